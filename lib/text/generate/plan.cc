/*
 * plan - reads msisdn_rules.txt
 */
#include "plan.hh"

#include <cstring>
#include <sstream>
#include <stdexcept>

static const char *const kind_names[KINDS] = {
    "general", "premium_rate", "toll_free", "shared_cost", "voip",   "personal",
    "pager",   "uan",          "voicemail", "fixed_line",  "mobile",
};

/* As PhoneNumberUtil::GetNumberTypeHelper() does; a number both fixed and mobile counts as mobile.
 */
Class classify(const bool (&matches)[KINDS])
{
    if (!matches[GENERAL]) {
        return CLASS_INVALID;
    }
    for (int kind = PREMIUM_RATE; kind < FIXED_LINE; kind++) {
        if (matches[kind]) {
            return CLASS_OTHER;
        }
    }
    if (matches[MOBILE]) {
        return CLASS_MOBILE;
    }
    return matches[FIXED_LINE] ? CLASS_FIXED : CLASS_INVALID;
}

static Kind parse_kind(const std::string &name)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (name == kind_names[kind]) {
            return static_cast<Kind>(kind);
        }
    }
    throw std::runtime_error("unknown kind: " + name);
}

static std::set<int> parse_lengths(const std::string &text)
{
    std::set<int> lengths;
    std::istringstream in(text);
    std::string length;

    while (text != "-" && std::getline(in, length, ',')) {
        lengths.insert(std::stoi(length));
    }
    return lengths;
}

std::vector<Plan> read_plans(std::istream &in)
{
    std::vector<Plan> plans;
    std::string line;

    while (std::getline(in, line)) {
        std::istringstream words(line);
        std::string first, second, third, fourth;

        if (!(words >> first) || first[0] == '#') {
            continue;
        }
        if (!(words >> second >> third)) {
            throw std::runtime_error("three words expected: " + line);
        }
        if (first == "country") {
            Plan plan;

            words >> fourth;
            plan.iso = second;
            plan.calling_code = std::stoi(third);
            plan.trunk_zero = fourth == "0";
            plans.push_back(plan);
        } else if (plans.empty()) {
            throw std::runtime_error("a country comes first: " + line);
        } else {
            Desc &desc = plans.back().descs[parse_kind(first)];

            desc.lengths = parse_lengths(second);
            desc.pattern = third;
        }
    }
    return plans;
}
