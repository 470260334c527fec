/*
 * plan - a country's numbering plan, as libphonenumber's metadata states it
 *
 *     std::vector<Plan> plans = read_plans(stream);      // msisdn_rules.txt
 *
 * For the generator and its test only: nothing here is linked into a Tuma program.
 */
#ifndef TEXT_GENERATE_PLAN_H
#define TEXT_GENERATE_PLAN_H

#include <istream>
#include <set>
#include <string>
#include <vector>

/* In the order in which libphonenumber decides what a number is; the first match counts. */
enum Kind {
    GENERAL, /* every valid number matches this one too */
    PREMIUM_RATE,
    TOLL_FREE,
    SHARED_COST,
    VOIP,
    PERSONAL,
    PAGER,
    UAN,
    VOICEMAIL,
    FIXED_LINE,
    MOBILE,
    KINDS,
};

/* One kind of number: a regular expression for all of it, and the lengths allowed. */
struct Desc {
    std::string pattern;   /* empty: the country has none */
    std::set<int> lengths; /* empty: as the pattern says */
};

struct Plan {
    std::string iso;
    int calling_code = 0;
    bool trunk_zero = false; /* national calls are dialled with a leading 0 */
    Desc descs[KINDS];
};

/* What a national number is, as far as Tuma cares. The values are those in the C table. */
enum Class { CLASS_INVALID, CLASS_MOBILE, CLASS_FIXED, CLASS_OTHER };

/* The verdict from the kinds that match. */
Class classify(const bool (&matches)[KINDS]);

/* Throws std::runtime_error with the line that is wrong. */
std::vector<Plan> read_plans(std::istream &in);

#endif
