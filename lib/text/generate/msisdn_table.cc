/*
 * msisdn_table - makes ../msisdn_table.c out of msisdn_rules.txt
 *
 *     g++ -std=c++17 -o /tmp/msisdn_table msisdn_table.cc automaton.cc plan.cc
 *     /tmp/msisdn_table < msisdn_rules.txt > ../msisdn_table.c
 *
 * Run by a developer after msisdn_rules.txt has changed. A test generates the table again and
 * fails when it is not the committed one.
 */
#include <exception>
#include <iostream>

#include "automaton.hh"

int main()
{
    try {
        Automaton(read_plans(std::cin)).write(std::cout);
    } catch (const std::exception &e) {
        std::cerr << "msisdn_table: " << e.what() << "\n";
        return 1;
    }
    return std::cout.flush().good() ? 0 : 1;
}
