/*
 * automaton - numbering plans as one small table of states
 *
 * Patterns become nondeterministic automata (Thompson), all patterns of a country are walked in
 * step, and the resulting states are interned bottom-up. The syntax is what the metadata uses:
 * literals, classes, \d, groups, |, ? and {n,m}.
 */
#include "automaton.hh"

#include <cctype>
#include <functional>
#include <iomanip>
#include <stdexcept>

typedef std::set<int> States;

/* Longest national number that the metadata knows, and then some. */
static const int DIGITS_MAX = 17;

namespace
{

/* One pattern as a nondeterministic automaton. */
class Pattern
{
  public:
    explicit Pattern(const std::string &text) : source(text)
    {
        start = add();
        end = alternatives(start);
        if (at != source.size()) {
            throw std::runtime_error("cannot read the pattern " + source);
        }
    }

    States first() const
    {
        return closure({ start });
    }

    States step(const States &from, int digit) const
    {
        States to;

        for (int state : from) {
            for (const Arc &arc : arcs[static_cast<size_t>(state)]) {
                if (arc.digits >> digit & 1) {
                    to.insert(arc.to);
                }
            }
        }
        return closure(to);
    }

    bool accepts(const States &states) const
    {
        return states.count(end) > 0;
    }

  private:
    struct Arc {
        unsigned digits; /* a bit each; 0 needs none */
        int to;
    };

    std::string source;
    size_t at = 0;
    std::vector<std::vector<Arc>> arcs;
    int start, end;

    int add()
    {
        arcs.emplace_back();
        return static_cast<int>(arcs.size()) - 1;
    }

    void connect(int from, unsigned digits, int to)
    {
        arcs[static_cast<size_t>(from)].push_back({ digits, to });
    }

    States closure(const States &from) const
    {
        States reached;
        std::vector<int> todo(from.begin(), from.end());

        while (!todo.empty()) {
            int state = todo.back();

            todo.pop_back();
            if (!reached.insert(state).second) {
                continue;
            }
            for (const Arc &arc : arcs[static_cast<size_t>(state)]) {
                if (arc.digits == 0) {
                    todo.push_back(arc.to);
                }
            }
        }
        return reached;
    }

    bool take(char c)
    {
        if (at < source.size() && source[at] == c) {
            at++;
            return true;
        }
        return false;
    }

    int number()
    {
        size_t used = 0;
        int value = std::stoi(source.substr(at), &used);

        at += used;
        return value;
    }

    /* Each function reads from `at`, builds behind state `from`, and returns the last state. */

    int alternatives(int from)
    {
        int join = add();

        do {
            int branch = add();

            connect(from, 0, branch);
            connect(sequence(branch), 0, join);
        } while (take('|'));
        return join;
    }

    int sequence(int from)
    {
        while (at < source.size() && source[at] != '|' && source[at] != ')') {
            from = repeated(from);
        }
        return from;
    }

    /* An atom is read again for each repetition, so that each has states of its own. */
    int repeated(int from)
    {
        size_t atom_at = at;
        int last = atom(from);
        int low = 1, high = 1;
        size_t after;

        if (take('?')) {
            low = 0;
        } else if (take('{')) {
            low = number();
            high = take(',') ? number() : low;
            if (!take('}')) {
                throw std::runtime_error("} expected in " + source);
            }
        }
        after = at;
        if (low == 0) {
            connect(from, 0, last);
        }
        for (int i = 1; i < high; i++) {
            int begin = last;

            at = atom_at;
            last = atom(begin);
            if (i >= low) {
                connect(begin, 0, last);
            }
        }
        at = after;
        return last;
    }

    int atom(int from)
    {
        int to;

        if (take('(')) {
            if (take('?') && !take(':')) {
                throw std::runtime_error("only (?: groups are known: " + source);
            }
            to = alternatives(from);
            if (!take(')')) {
                throw std::runtime_error(") expected in " + source);
            }
            return to;
        }
        to = add();
        connect(from, digits(), to);
        return to;
    }

    unsigned digits()
    {
        unsigned set = 0;

        if (take('\\')) {
            if (!take('d')) {
                throw std::runtime_error("only \\d is known: " + source);
            }
            return 0x3FF;
        }
        if (!take('[')) {
            return 1U << digit();
        }
        while (!take(']')) {
            int low = digit();
            int high = take('-') ? digit() : low;

            for (; low <= high; low++) {
                set |= 1U << low;
            }
        }
        return set;
    }

    int digit()
    {
        if (at >= source.size() || !isdigit(static_cast<unsigned char>(source[at]))) {
            throw std::runtime_error("a digit is expected in " + source);
        }
        return source[at++] - '0';
    }
};

} // namespace

Automaton::Automaton(const std::vector<Plan> &all) : plans(all)
{
    intern(State{});
    for (const Plan &plan : plans) {
        roots.push_back(add_plan(plan));
    }
}

uint16_t Automaton::intern(const State &state)
{
    auto found = known.find(state);

    if (found != known.end()) {
        return found->second;
    }
    if (states.size() > UINT16_MAX) {
        throw std::runtime_error("more states than 16 bits number");
    }
    uint16_t id = static_cast<uint16_t>(states.size());
    states.push_back(state);
    known[state] = id;
    return id;
}

uint16_t Automaton::add_plan(const Plan &plan)
{
    typedef std::array<States, KINDS> Front; /* where each pattern stands */

    std::vector<Pattern> patterns;
    std::map<std::pair<int, Front>, uint16_t> built;
    Front first;

    for (int kind = 0; kind < KINDS; kind++) {
        patterns.emplace_back(plan.descs[kind].pattern);
        if (!plan.descs[kind].pattern.empty()) {
            first[static_cast<size_t>(kind)] = patterns.back().first();
        }
    }

    std::function<uint16_t(const Front &, int)> build = [&](const Front &front, int depth) {
        auto found = built.find({ depth, front });
        bool matches[KINDS];
        State state{};

        if (found != built.end()) {
            return found->second;
        }
        for (size_t kind = 0; kind < KINDS; kind++) {
            const std::set<int> &lengths = plan.descs[kind].lengths;

            matches[kind] = patterns[kind].accepts(front[kind]) &&
                            (lengths.empty() || lengths.count(depth) > 0);
        }
        for (int digit = 0; digit < 10 && depth < DIGITS_MAX; digit++) {
            Front next;
            bool alive = false;

            for (size_t kind = 0; kind < KINDS; kind++) {
                next[kind] = patterns[kind].step(front[kind], digit);
                alive |= !next[kind].empty();
            }
            state[static_cast<size_t>(digit)] =
                alive ? build(next, depth + 1) : static_cast<uint16_t>(0);
        }
        state[10] = static_cast<uint16_t>(classify(matches));
        return built[{ depth, front }] = intern(state);
    };
    return build(first, 0);
}

uint16_t Automaton::walk(size_t plan, const std::string &national) const
{
    uint16_t state = roots[plan];

    for (char c : national) {
        state = states[state][static_cast<size_t>(c - '0')];
    }
    return state;
}

Class Automaton::verdict(size_t plan, const std::string &national) const
{
    return static_cast<Class>(states[walk(plan, national)][10]);
}

bool Automaton::leads_on(size_t plan, const std::string &national) const
{
    return walk(plan, national) != 0;
}

/* The lengths of mobile numbers: all paths at once, a digit at a time. */
std::set<int> Automaton::mobile_lengths(uint16_t root) const
{
    std::set<int> lengths;
    std::set<uint16_t> front = { root };

    for (int depth = 0; !front.empty(); depth++) {
        std::set<uint16_t> next;

        for (uint16_t state : front) {
            if (states[state][10] == CLASS_MOBILE) {
                lengths.insert(depth);
            }
            next.insert(states[state].begin(), states[state].begin() + 10);
        }
        next.erase(0);
        front = next;
    }
    return lengths;
}

void Automaton::write(std::ostream &out) const
{
    out << "/*\n"
           " * msisdn_table - the numbering plans we serve, one step per digit\n"
           " *\n"
           " * Generated from generate/msisdn_rules.txt by generate/msisdn_table.cc. Do not edit.\n"
           " */\n"
           "/* clang-format off */\n"
           "#include \"text/msisdn_table.h\"\n\n"
           "const struct text_country text_countries[] = {\n";
    for (size_t i = 0; i < plans.size(); i++) {
        std::set<int> lengths = mobile_lengths(roots[i]);

        out << "    { \"" << plans[i].iso << "\", " << plans[i].calling_code << ", "
            << (plans[i].trunk_zero ? "true" : "false") << ", " << *lengths.begin() << ", "
            << *lengths.rbegin() << ", " << roots[i] << " },\n";
    }
    out << "};\n\nconst size_t text_country_count = " << plans.size()
        << ";\n\nconst char text_country_codes[] = \"";
    for (size_t i = 0; i < plans.size(); i++) {
        out << (i == 0 ? "" : " ") << plans[i].iso;
    }
    out << "\";\n\nconst uint8_t text_country_by_code[1000] = {\n";
    for (size_t i = 0; i < plans.size(); i++) {
        out << "    [" << plans[i].calling_code << "] = " << i + 1 << ",\n";
    }
    out << "};\n\nconst struct text_msisdn_state text_msisdn_states[] = {\n";
    for (const State &state : states) {
        out << "    { { ";
        for (size_t digit = 0; digit < 10; digit++) {
            out << state[digit] << (digit < 9 ? ", " : " }, ");
        }
        out << state[10] << " },\n";
    }
    out << "};\n";
}
