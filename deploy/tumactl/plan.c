/*
 * plan - what is sold, edited as data, and given to an account by hand
 */
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"
#include "money.h"

#define CODE_MAX 31
#define NAME_MAX_BYTES 80
#define POSITION_MAX 1000000
#define E4_PER_MINOR 100

static void print_plan(struct ctl *ctl, const struct plan *plan)
{
    struct str features = { 0 };

    plan_features_write(plan->features, "", " ", &features);
    printf("%-12s %-20s %14s %10s tokens %5lld days %3lld a minute  %s%s%s%s\n", plan->code,
           plan->name, money_format(ctl, plan->price_minor * E4_PER_MINOR, plan->currency),
           ctl_number(ctl, plan->tokens), (long long)plan->valid_days,
           (long long)plan->tokens_per_minute, features.len > 0 ? features.bytes : "-",
           plan->once ? "; once" : "", plan->carries_over ? "; carries over" : "",
           plan->on_sale ? "" : "; not on sale");
    str_free(&features);
}

static bool list(struct ctl *ctl, struct err *err)
{
    struct plan *plans;
    struct db *db;
    size_t count;

    if (!ctl_db(ctl, &db, err) || !plan_list(db, PLANS_ALL, ctl->arena, &plans, &count, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        print_plan(ctl, &plans[i]);
    }
    return true;
}

const struct command plan_list_command = {
    .name = "plan list",
    .arguments = "",
    .summary = "Show what is sold, and what was",
    .run = list,
};

static bool check_code(const char *code, struct err *err)
{
    size_t len = strlen(code);

    return (len >= 1 && len <= CODE_MAX && *code >= 'a' && *code <= 'z' &&
            strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-") == len) ||
           ctl_usage(err, "PLAN: '%.40s' must be 1 to %d of a-z, 0-9 and -, a letter first", code,
                     CODE_MAX);
}

/* "yes" or "no"; unchanged when the option is absent. */
static bool read_flag(struct ctl *ctl, const char *name, bool *flag, struct err *err)
{
    const char *text = ctl_option(ctl, name);

    if (text != NULL) {
        *flag = strcmp(text, "yes") == 0;
        return *flag || strcmp(text, "no") == 0 ||
               ctl_usage(err, "--%s: '%.20s' is neither yes nor no", name, text);
    }
    return true;
}

/* "1000" or "1000.50" in minor units; unchanged when the option is absent. */
static bool read_price(struct ctl *ctl, int64_t *minor, struct err *err)
{
    const char *text = ctl_option(ctl, "price");
    const char *point;
    int64_t whole, cents = 0;
    char units[24];

    if (text == NULL) {
        return true;
    }
    point = strchr(text, '.');
    if ((point != NULL && (strlen(point + 1) != 2 || !str_parse_int(point + 1, 0, 99, &cents))) ||
        snprintf(units, sizeof units, "%.*s", point != NULL ? (int)(point - text) : 20, text) < 1 ||
        !str_parse_int(units, 0, PLAN_PRICE_MAX / 100 - 1, &whole)) {
        return ctl_usage(err, "--price: '%.30s' is no amount such as 1000 or 1000.50", text);
    }
    *minor = whole * 100 + cents;
    return true;
}

static bool read_features(struct ctl *ctl, unsigned *features, struct err *err)
{
    const char *text = ctl_option(ctl, "features");
    const char *bad;
    struct str known = { 0 };

    if (text == NULL || plan_features_parse(text, features, &bad)) {
        return true;
    }
    plan_features_write(PLAN_EVERYTHING, "", ", ", &known);
    ctl_usage(err, "--features: '%.*s' is none of %s", (int)strcspn(bad, ","), bad, known.bytes);
    str_free(&known);
    return false;
}

static bool read_currency(struct ctl *ctl, const char **currency, struct err *err)
{
    const char *text = ctl_option(ctl, "currency");

    if (text == NULL) {
        return true;
    }
    *currency = text;
    return (strlen(text) == 3 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3) ||
           ctl_usage(err, "--currency: '%.10s' is no code of three letters such as KES", text);
}

static bool read_plan(struct ctl *ctl, struct plan *plan, struct err *err)
{
    const char *name = ctl_option(ctl, "name");

    if (name != NULL) {
        plan->name = name;
    }
    if (strlen(plan->name) < 1 || strlen(plan->name) > NAME_MAX_BYTES) {
        return ctl_usage(err, "--name: must be 1 to %d bytes", NAME_MAX_BYTES);
    }
    return read_price(ctl, &plan->price_minor, err) && read_currency(ctl, &plan->currency, err) &&
           ctl_option_int(ctl, "tokens", 1, PLAN_TOKENS_MAX, plan->tokens, &plan->tokens, err) &&
           ctl_option_int(ctl, "days", 1, PLAN_DAYS_MAX, plan->valid_days, &plan->valid_days,
                          err) &&
           ctl_option_int(ctl, "tokens-per-minute", 1, PLAN_TOKENS_PER_MINUTE_MAX,
                          plan->tokens_per_minute, &plan->tokens_per_minute, err) &&
           ctl_option_int(ctl, "position", 0, POSITION_MAX, plan->position, &plan->position, err) &&
           read_features(ctl, &plan->features, err) && read_flag(ctl, "once", &plan->once, err) &&
           read_flag(ctl, "carry-over", &plan->carries_over, err) &&
           read_flag(ctl, "on-sale", &plan->on_sale, err);
}

static bool set(struct ctl *ctl, struct err *err)
{
    const char *code = ctl->arguments[0];
    struct plan plan;
    struct db *db;

    if (!check_code(code, err) || !ctl_db(ctl, &db, err)) {
        return false;
    }
    if (!plan_find(db, code, ctl->arena, &plan, err)) {
        if (strcmp(err->what, "plan_unknown") != 0) {
            return false;
        }
        plan = (struct plan){
            .code = code, .name = "", .currency = "KES", .tokens_per_minute = 1, .on_sale = true
        };
        if (!ctl_option(ctl, "name") || !ctl_option(ctl, "price") || !ctl_option(ctl, "tokens") ||
            !ctl_option(ctl, "days")) {
            return ctl_usage(err, "%s is new: it needs --name, --price, --tokens and --days", code);
        }
    }
    if (!read_plan(ctl, &plan, err) || !plan_save(db, &plan, err)) {
        return false;
    }
    print_plan(ctl, &plan);
    return true;
}

const struct command plan_set_command = {
    .name = "plan set",
    .arguments = "PLAN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Change a plan, or make a new one; holds for what is bought from now on",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "name", "TEXT", "as customers see it" },
            { OPTION_TEXT, "price", "AMOUNT", "such as 1000 or 1000.50" },
            { OPTION_TEXT, "currency", "CODE", "of the price; default KES" },
            { OPTION_TEXT, "tokens", "N", "granted with it" },
            { OPTION_TEXT, "days", "N", "how long it and its tokens are valid" },
            { OPTION_TEXT, "tokens-per-minute", "N",
              "what each minute of a call costs; default 1" },
            { OPTION_TEXT, "features", "A,B", "what it allows, at once and for who has it" },
            { OPTION_TEXT, "once", "yes|no", "whether an account may have it a single time" },
            { OPTION_TEXT, "carry-over", "yes|no", "whether unused tokens live on with it" },
            { OPTION_TEXT, "on-sale", "yes|no", "whether it may be bought" },
            { OPTION_TEXT, "position", "N", "its place in lists" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = set,
};

static bool subscribe(struct ctl *ctl, struct err *err)
{
    const char *reference = ctl_option(ctl, "reference");
    struct subscription bought;
    struct account account;
    struct db *db;

    if (reference == NULL) {
        reference = arena_printf(ctl->arena, "SUB-%08u", id_random_below(100000000));
    }
    if (!ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    if (!plan_subscribe(db, account.id, ctl->arguments[0], reference, NULL, clock_now_ms(),
                        ctl->arena, &bought, err) ||
        !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    printf("%s %s: %s has %s until %s, %s tokens\n", bought.reference,
           bought.is_new ? "subscribed" : "was subscribed before, nothing changed", account.slug,
           bought.plan, ctl_time(ctl, bought.ends_ms), ctl_number(ctl, bought.tokens));
    return true;
}

const struct command plan_subscribe_command = {
    .name = "plan subscribe",
    .arguments = "PLAN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Give an account a plan that was paid some other way; a reference counts once",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "to whom" },
            { OPTION_TEXT, "user", "EMAIL", "to whom, by e-mail address" },
            { OPTION_TEXT, "reference", "TEXT", "of the payment; default SUB- and 8 digits" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = subscribe,
};
