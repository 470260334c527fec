/*
 * automaton - numbering plans as one small table of states
 *
 *     Automaton automaton(plans);
 *     automaton.verdict(i, "712345678");     // what plans[i] says of a national number
 *     automaton.write(out);                  // the same as C
 *
 * The regular expressions of a plan describe finitely many numbers, so together they are an acyclic
 * automaton: one step per digit, and the state at the end says what the number is. Equal states are
 * shared, also between countries, which makes it minimal: nothing is sampled and nothing lost.
 */
#ifndef TEXT_GENERATE_AUTOMATON_H
#define TEXT_GENERATE_AUTOMATON_H

#include <array>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "plan.hh"

class Automaton
{
  public:
    explicit Automaton(const std::vector<Plan> &plans);
    Class verdict(size_t plan, const std::string &national) const;

    /* Whether some valid number starts with these digits. */
    bool leads_on(size_t plan, const std::string &national) const;
    void write(std::ostream &out) const;
    size_t state_count() const
    {
        return states.size();
    }

  private:
    /* What follows each digit, and at the end the class of a number that stops here. */
    typedef std::array<uint16_t, 11> State;

    std::vector<Plan> plans;
    std::vector<uint16_t> roots;
    std::vector<State> states; /* the first is the dead end */
    std::map<State, uint16_t> known;

    uint16_t add_plan(const Plan &plan);
    uint16_t intern(const State &state);
    uint16_t walk(size_t plan, const std::string &national) const;
    std::set<int> mobile_lengths(uint16_t root) const;
};

#endif
