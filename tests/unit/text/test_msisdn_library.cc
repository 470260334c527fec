/*
 * test_msisdn_library - our verdict on a number is libphonenumber's
 *
 * The installed library carries older metadata than we use, so equality is shown in three steps:
 *   1. tables made from the library's own metadata judge as the library does;
 *   2. the committed table is what the generator makes of msisdn_rules.txt, and judges as the
 *      regular expressions in it do, one by one;
 *   3. where rules and library agree on a number, msisdn.c reads all its written forms as the
 *      library does.
 *
 *     test_msisdn_library [numbers per country]
 *
 * Deliberate differences to the library: 00 and 000 start a country code everywhere; a number with
 * a country code but no plus is taken also when it is not of the home country; letters, extensions
 * and digits of other scripts are refused.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <phonenumbers/phonemetadata.pb.h>
#include <phonenumbers/phonenumberutil.h>
#include <random>
#include <regex>
#include <sstream>

#include "text/generate/automaton.hh"

extern "C" {
#include "text/msisdn.h"
}

/* Exported by the library, declared in none of its installed headers. */
namespace i18n
{
namespace phonenumbers
{
int metadata_size();
const void *metadata_get();
} // namespace phonenumbers
} // namespace i18n

using i18n::phonenumbers::PhoneMetadata;
using i18n::phonenumbers::PhoneMetadataCollection;
using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberDesc;
using i18n::phonenumbers::PhoneNumberUtil;

static const PhoneNumberUtil &util = *PhoneNumberUtil::GetInstance();
static int failures;

static void failed(const std::string &what)
{
    if (failures++ < 20) {
        std::fprintf(stderr, "FAILED: %s\n", what.c_str());
    }
}

static Desc library_desc(const PhoneNumberDesc &from)
{
    Desc desc;

    desc.pattern = from.national_number_pattern();
    for (int length : from.possible_length()) {
        if (length > 0) { /* -1: there are no such numbers */
            desc.lengths.insert(length);
        }
    }
    return desc;
}

/* The plans of these countries as the installed library has them. */
static std::vector<Plan> library_plans(const std::vector<Plan> &like)
{
    PhoneMetadataCollection all;
    std::vector<Plan> plans;

    if (!all.ParseFromArray(i18n::phonenumbers::metadata_get(),
                            i18n::phonenumbers::metadata_size())) {
        failed("cannot read the library's metadata");
        return plans;
    }
    for (const Plan &wanted : like) {
        for (const PhoneMetadata &region : all.metadata()) {
            if (region.id() != wanted.iso) {
                continue;
            }
            Plan plan;

            plan.iso = region.id();
            plan.calling_code = region.country_code();
            plan.trunk_zero = region.national_prefix() == "0";
            plan.descs[GENERAL] = library_desc(region.general_desc());
            plan.descs[PREMIUM_RATE] = library_desc(region.premium_rate());
            plan.descs[TOLL_FREE] = library_desc(region.toll_free());
            plan.descs[SHARED_COST] = library_desc(region.shared_cost());
            plan.descs[VOIP] = library_desc(region.voip());
            plan.descs[PERSONAL] = library_desc(region.personal_number());
            plan.descs[PAGER] = library_desc(region.pager());
            plan.descs[UAN] = library_desc(region.uan());
            plan.descs[VOICEMAIL] = library_desc(region.voicemail());
            plan.descs[FIXED_LINE] = library_desc(region.fixed_line());
            plan.descs[MOBILE] = library_desc(region.mobile());
            plans.push_back(plan);
        }
    }
    if (plans.size() != like.size()) {
        failed("the library does not know all our countries");
    }
    return plans;
}

static Class library_class(const PhoneNumber &number)
{
    if (!util.IsValidNumber(number)) {
        return CLASS_INVALID;
    }
    switch (util.GetNumberType(number)) {
    case PhoneNumberUtil::MOBILE:
    case PhoneNumberUtil::FIXED_LINE_OR_MOBILE:
        return CLASS_MOBILE;
    case PhoneNumberUtil::FIXED_LINE:
        return CLASS_FIXED;
    default:
        return CLASS_OTHER;
    }
}

/* A national number, leading zeros kept, without the parser's opinion about prefixes. */
static Class library_verdict(const Plan &plan, const std::string &national)
{
    PhoneNumber number;
    size_t zeros = national.find_first_not_of('0');

    number.set_country_code(plan.calling_code);
    if (zeros == std::string::npos) {
        return CLASS_INVALID;
    }
    number.set_national_number(std::strtoull(national.c_str(), nullptr, 10));
    if (zeros > 0) {
        number.set_italian_leading_zero(true);
        number.set_number_of_leading_zeros(static_cast<int>(zeros));
    }
    return library_class(number);
}

/* The rules, read by the standard library's regular expressions. */
class Reference
{
  public:
    explicit Reference(const Plan &from) : plan(from)
    {
        for (const Desc &desc : plan.descs) {
            patterns.emplace_back(desc.pattern, std::regex::optimize);
        }
    }

    Class verdict(const std::string &national) const
    {
        bool matches[KINDS];

        for (size_t kind = 0; kind < KINDS; kind++) {
            const Desc &desc = plan.descs[kind];

            matches[kind] =
                !desc.pattern.empty() &&
                (desc.lengths.empty() || desc.lengths.count(static_cast<int>(national.size()))) &&
                std::regex_match(national, patterns[kind]);
        }
        return classify(matches);
    }

  private:
    Plan plan;
    std::vector<std::regex> patterns;
};

/*
 * Numbers worth asking about: most are walks through one of the two tables, which therefore are
 * valid and go down every branch alike; half of those get a digit changed near the front, added or
 * lost, which crosses the edges between prefixes; the rest are random.
 */
class Numbers
{
  public:
    std::string next(const Automaton &automaton, size_t plan)
    {
        std::string number;

        if (below(10) == 0) {
            return random(5 + below(8));
        }
        do {
            std::string longer = number + random(1);

            if (automaton.leads_on(plan, longer)) {
                number = longer;
            }
        } while (automaton.verdict(plan, number) == CLASS_INVALID);
        if (below(2) == 0) {
            number[below(number.size() < 6 ? number.size() : 6)] = random(1)[0];
        }
        if (below(20) == 0) {
            number += random(1);
        }
        if (below(20) == 0) {
            number.pop_back();
        }
        return number;
    }

    size_t below(size_t limit)
    {
        return engine() % limit;
    }

  private:
    std::mt19937_64 engine{ 20261120 };

    std::string random(size_t length)
    {
        std::string number;

        while (number.size() < length) {
            number += static_cast<char>('0' + below(10));
        }
        return number;
    }
};

static std::string name(const Plan &plan, const std::string &number)
{
    return plan.iso + " " + number;
}

/* What we make of a written number: E.164, or the word of the fault. */
static std::string ours(const std::string &written, const Plan &home)
{
    int64_t msisdn = 0;
    enum text_msisdn_fault fault = text_msisdn_parse(written.data(), written.size(),
                                                     text_country_find(home.iso.c_str()), &msisdn);

    return fault == TEXT_MSISDN_OK ? "+" + std::to_string(msisdn) : text_msisdn_word(fault);
}

/* What the library makes of it: E.164, or nothing when it is no mobile number. */
static std::string theirs(const std::string &written, const Plan &home)
{
    PhoneNumber number;
    std::string formatted;

    if (util.Parse(written, home.iso, &number) != PhoneNumberUtil::NO_PARSING_ERROR ||
        library_class(number) != CLASS_MOBILE) {
        return "";
    }
    util.Format(number, PhoneNumberUtil::E164, &formatted);
    return formatted;
}

/* Step 3: the same number in the forms in which people write it. */
static void check_forms(const Plan &plan, const std::string &national, Class verdict)
{
    const std::string code = std::to_string(plan.calling_code);
    const std::string forms[] = {
        national,
        "+" + code + national,
        code + national,
        "+" + code + " " + national.substr(0, 3) + "-" + national.substr(3),
        (plan.trunk_zero ? "0" : "") + national,
        "+" + code + (plan.trunk_zero ? "(0)" : "") + national,
    };

    for (const std::string &form : forms) {
        std::string us = ours(form, plan);
        std::string them = theirs(form, plan);

        if (us[0] != '+') {
            us = "";
        }
        if (us == "+" + form && us.compare(1, code.size(), code) != 0) {
            continue; /* complete, and of another country: the second deliberate difference */
        }
        if (us != "" && theirs(us, plan) != us) {
            continue; /* read as another number, which only the newer rules know */
        }
        if (us != them) {
            failed(plan.iso + ": '" + form + "' is '" + us + "', the library says '" + them + "'");
        }
    }
    if (verdict == CLASS_MOBILE && ours("00" + code + national, plan) != "+" + code + national) {
        failed(plan.iso + ": 00" + code + national + " is not understood");
    }
}

static void check_callable(const Plan &plan, const std::string &national, Class verdict)
{
    std::string written = "+" + std::to_string(plan.calling_code) + national;
    int64_t msisdn = 0;
    bool callable = text_msisdn_parse_callable(written.data(), written.size(), nullptr, &msisdn) ==
                    TEXT_MSISDN_OK;

    if (callable != (verdict == CLASS_MOBILE || verdict == CLASS_FIXED)) {
        failed(name(plan, national) + " is callable or not");
    }
}

static void check_committed_table(const Automaton &automaton, const std::string &folder)
{
    std::ifstream in(folder + "/msisdn_table.c");
    std::ostringstream made;

    automaton.write(made);
    if (std::string(std::istreambuf_iterator<char>(in), {}) != made.str()) {
        failed("msisdn_table.c is not what the generator makes of msisdn_rules.txt");
    }
}

static void measure(const std::vector<std::string> &numbers, const Plan &home)
{
    auto start = std::chrono::steady_clock::now();
    long accepted[2] = { 0, 0 };
    double ns[2];

    for (int who = 0; who < 2; who++) {
        for (const std::string &number : numbers) {
            accepted[who] +=
                who == 0 ? ours(number, home)[0] == '+' : !theirs(number, home).empty();
        }
        auto now = std::chrono::steady_clock::now();
        ns[who] = std::chrono::duration<double, std::nano>(now - start).count() /
                  static_cast<double>(numbers.size());
        start = now;
    }
    std::printf("%s: %.0f ns a number, libphonenumber %.0f ns (%ld and %ld of %zu accepted)\n",
                home.iso.c_str(), ns[0], ns[1], accepted[0], accepted[1], numbers.size());
}

int main(int argc, char **argv)
{
    const std::string folder = TEXT_FOLDER;
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 5600; /* 100,000 in all */
    std::ifstream in(folder + "/generate/msisdn_rules.txt");
    std::vector<Plan> rules = read_plans(in);
    std::vector<Plan> library = library_plans(rules);

    if (rules.empty() || failures > 0) {
        failed("no plans to compare");
        return 1;
    }
    Automaton from_rules(rules);
    Automaton from_library(library);

    check_committed_table(from_rules, folder);
    for (size_t i = 0; i < rules.size(); i++) {
        Reference reference(rules[i]);
        Numbers numbers;
        std::vector<std::string> asked;
        long valid = 0, newer = 0, older = 0;

        for (int round = 0; round < rounds; round++) {
            std::string national =
                numbers.next(numbers.below(3) == 0 ? from_library : from_rules, i);
            Class rule = reference.verdict(national);
            Class lib = library_verdict(library[i], national);

            asked.push_back("+" + std::to_string(rules[i].calling_code) + national);
            valid += rule == CLASS_MOBILE;
            newer += rule == CLASS_MOBILE && lib != CLASS_MOBILE;
            older += rule != CLASS_MOBILE && lib == CLASS_MOBILE;
            if (from_library.verdict(i, national) != lib) {
                failed(name(library[i], national) + ": the table is not the library's verdict");
            }
            if (from_rules.verdict(i, national) != rule) {
                failed(name(rules[i], national) + ": the table is not the rules' verdict");
            }
            if (national[0] == '0' && rules[i].trunk_zero) {
                continue; /* would be read as a trunk prefix, of another number */
            }
            if (rule == lib && national.compare(0, 2, "00") != 0) {
                check_forms(rules[i], national, rule);
            }
            check_callable(rules[i], national, rule);
        }
        std::printf("%s: %d numbers, %ld mobile; %ld new and %ld gone since the library's time\n",
                    rules[i].iso.c_str(), rounds, valid, newer, older);
        if (valid < rounds / 20) {
            failed(rules[i].iso + ": too few valid numbers to prove anything");
        }
        if (rules[i].iso == "KE") {
            measure(asked, rules[i]);
        }
    }
    if (failures > 0) {
        std::fprintf(stderr, "%d failures\n", failures);
    }
    return failures == 0 ? 0 : 1;
}
