/*
 * usage - what an account's tokens went for, and what follows from it; a receipt for each operation
 */
#include "usage/usage.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"
#include "ledger/history.h"
#include "money.h"
#include "provider/africastalking.h"
#include "usage/insights.h"

#define DAYS_DEFAULT 30
#define TOP_DEFAULT 10
#define MINOR_E4 100 /* ten-thousandths in a hundredth */

static void print_heading(const char *what)
{
    printf("\n%-36s %12s %12s %12s\n", what, "TOKENS", "REFUNDED", "RECIPIENTS");
}

static void print_sums(struct ctl *ctl, const char *label, const struct usage_sums *sums)
{
    printf("%-36.60s %12s %12s %12s\n", label, ctl_number(ctl, sums->tokens),
           ctl_number(ctl, sums->refunded), ctl_number(ctl, sums->recipients));
}

static void print_days(struct ctl *ctl, const struct usage *usage)
{
    char date[CLOCK_RFC3339_BYTES];

    print_heading("DAY (UTC)");
    for (size_t i = 0; i < usage->day_count; i++) {
        clock_format(usage->days[i].day_ms, date);
        date[sizeof("2026-11-20") - 1] = '\0';
        print_sums(ctl, date, &usage->days[i].sums);
    }
    print_sums(ctl, "in all", &usage->total);
}

static void print_campaigns(struct ctl *ctl, const struct usage *usage)
{
    char id[ID_TEXT_BYTES];

    print_heading(arena_printf(ctl->arena, "CAMPAIGN (%zu of %s)", usage->top_count,
                               ctl_number(ctl, usage->campaigns)));
    for (size_t i = 0; i < usage->top_count; i++) {
        id_format(*usage->top[i].kind == 'm' ? "msg" : "cmp", usage->top[i].id, id);
        print_sums(ctl, arena_printf(ctl->arena, "%s %.18s", id, usage->top[i].title),
                   &usage->top[i].sums);
    }
    print_heading("CHANNEL");
    for (size_t i = 0; i < usage->channel_count; i++) {
        print_sums(ctl, usage->channels[i].channel, &usage->channels[i].sums);
    }
}

static void print_networks(struct ctl *ctl, const struct usage *usage)
{
    printf("\n%-36s %12s %12s %12s %14s\n", "NETWORK", "TOKENS", "RECIPIENTS", "DELIVERED",
           "LOST TOKENS");
    for (size_t i = 0; i < usage->network_count; i++) {
        const struct usage_network *network = &usage->networks[i];
        const char *code = arena_printf(ctl->arena, "%lld", (long long)network->network);
        const char *name = at_network_name(code);

        printf("%-36.60s %12s %12s %12s %14s\n",
               network->network != 0 ? arena_printf(ctl->arena, "%s %s", code, name ? name : "")
                                     : "not named by a report",
               ctl_number(ctl, network->tokens), ctl_number(ctl, network->recipients),
               ctl_number(ctl, network->delivered), ctl_number(ctl, network->failed_tokens));
    }
    if (usage->uncounted > 0) {
        printf("%-36s %12s\n", "not counted yet", ctl_number(ctl, usage->uncounted));
    }
}

static bool show_usage(struct ctl *ctl, struct err *err)
{
    struct account account;
    struct usage usage;
    int64_t days, top;
    struct db *db;

    if (!ctl_option_int(ctl, "days", 1, USAGE_DAYS_MAX, DAYS_DEFAULT, &days, err) ||
        !ctl_option_int(ctl, "top", 1, USAGE_CAMPAIGNS_MAX, TOP_DEFAULT, &top, err) ||
        !ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) ||
        !usage_read(db, account.id, days, top, clock_now_ms(), ctl->arena, &usage, err)) {
        return false;
    }
    printf("account  %s <%s>\n", account.slug, account.email);
    print_days(ctl, &usage);
    print_campaigns(ctl, &usage);
    print_networks(ctl, &usage);
    return true;
}

const struct command tokens_usage_command = {
    .name = "tokens usage",
    .arguments = "",
    .summary = "Show what an account's tokens went for: by day, campaign, channel and network",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_TEXT, "days", "N", "today and the days before it; default 30, at most 366" },
            { OPTION_TEXT, "top", "N", "campaigns that used most; default 10" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = show_usage,
};

static void put(const char *label, const char *value)
{
    printf("%-22s %s\n", label, value);
}

static void print_burn(struct ctl *ctl, const struct insights_burn *burn)
{
    const char *label = arena_printf(ctl->arena, "last %lld days", (long long)burn->window_days);
    const char *rate =
        arena_printf(ctl->arena, "%s tokens in %lld days, %s.%02d a day",
                     ctl_number(ctl, burn->tokens), (long long)burn->days,
                     ctl_number(ctl, burn->e2_per_day / 100), (int)(burn->e2_per_day % 100));

    put(label, burn->days_left_e1 < 0 ? "nothing was used"
                                      : arena_printf(ctl->arena, "%s: %lld.%d days are left", rate,
                                                     (long long)(burn->days_left_e1 / 10),
                                                     (int)(burn->days_left_e1 % 10)));
}

static void print_lots(struct ctl *ctl, const struct insights *insights)
{
    for (size_t i = 0; i < insights->lot_count; i++) {
        const struct insights_lot *lot = &insights->lots[i];

        put("lot", arena_printf(ctl->arena, "%s: %s left, expires %s, %s of them unused",
                                lot->reference, ctl_number(ctl, lot->available),
                                ctl_time(ctl, lot->expires_ms), ctl_number(ctl, lot->lost)));
    }
}

static void print_plan(struct ctl *ctl, const char *label, const struct insights_plan *plan)
{
    put(label,
        arena_printf(ctl->arena, "%s, %s in 30 days: %lld times %s tokens, each for %lld days",
                     plan->code, money_format(ctl, plan->cost_minor * MINOR_E4, plan->currency),
                     (long long)plan->purchases, ctl_number(ctl, plan->tokens),
                     (long long)plan->valid_days));
}

static void print_waste(struct ctl *ctl, const struct insights *insights)
{
    char id[ID_TEXT_BYTES];

    put("invalid numbers",
        arena_printf(ctl->arena, "%s rows, 0 tokens", ctl_number(ctl, insights->invalid_rows)));
    put("failed numbers", arena_printf(ctl->arena, "%s recipients, %s tokens",
                                       ctl_number(ctl, insights->failed_recipients),
                                       ctl_number(ctl, insights->failed_tokens)));
    put("just over a segment", arena_printf(ctl->arena, "%s tokens in %s campaigns",
                                            ctl_number(ctl, insights->just_over_tokens),
                                            ctl_number(ctl, insights->just_over_campaigns)));
    for (size_t i = 0; i < insights->over_count; i++) {
        const struct insights_over *over = &insights->over[i];

        id_format("cmp", over->id, id);
        put("", arena_printf(ctl->arena, "%s %.30s: %s of %s tokens%s", id, over->title,
                             ctl_number(ctl, over->recipients), ctl_number(ctl, over->captured),
                             over->encoding
                                 ? arena_printf(ctl->arena, ", %lld %s units are %lld too many",
                                                (long long)over->units, over->encoding,
                                                (long long)over->over)
                                 : ""));
    }
}

static bool show_insights(struct ctl *ctl, struct err *err)
{
    struct insights insights;
    struct account account;
    struct db *db;

    if (!ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) ||
        !insights_read(db, account.id, clock_now_ms(), ctl->arena, &insights, err)) {
        return false;
    }
    put("account", arena_printf(ctl->arena, "%s <%s>", account.slug, account.email));
    put("available", ctl_number(ctl, insights.available));
    put("reserved", ctl_number(ctl, insights.reserved));
    print_burn(ctl, &insights.week);
    print_burn(ctl, &insights.month);
    print_lots(ctl, &insights);
    if (insights.has_current) {
        print_plan(ctl, "plan", &insights.current);
    }
    if (insights.has_better) {
        print_plan(ctl, "better plan", &insights.better);
    }
    put("because", insights.plan_why);
    print_waste(ctl, &insights);
    return true;
}

const struct command tokens_insights_command = {
    .name = "tokens insights",
    .arguments = "",
    .summary = "Show how long an account's tokens last, which plan fits and what is wasted",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = show_insights,
};

static void print_entry(struct ctl *ctl, const struct ledger_entry *entry)
{
    const char *campaign = ledger_entry_campaign(entry, ctl->arena);

    printf("\n");
    put("position", ctl_number(ctl, entry->position));
    put("time", ctl_time(ctl, entry->created_ms));
    put("operation",
        arena_printf(ctl->arena, "%s, from %s to %s", entry->kind, entry->debit, entry->credit));
    put("tokens", ctl_number(ctl, entry->amount));
    put("available", arena_printf(ctl->arena, "%+lld", (long long)entry->change));
    if (entry->peer) {
        put(entry->change < 0 ? "to" : "from", entry->peer);
    }
    if (campaign) {
        put("campaign", campaign);
    }
    if (entry->detail) {
        put("reason", entry->detail);
    }
    if (entry->actor) {
        put("by", entry->actor);
    }
}

static bool show_receipt(struct ctl *ctl, struct err *err)
{
    const char *reference = ctl->arguments[0];
    struct ledger_entry *entries;
    struct account account;
    struct db *db;
    size_t count;

    if (!ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) ||
        !ledger_find(db, account.id, reference, ctl->arena, &entries, &count, err)) {
        return false;
    }
    if (count == 0) {
        return err_permanent(err, "reference_unknown", "no operation of %s is '%.80s'",
                             account.slug, reference);
    }
    put("account", arena_printf(ctl->arena, "%s <%s>", account.slug, account.email));
    put("customer", account.name);
    put("reference", reference);
    for (size_t i = 0; i < count; i++) {
        print_entry(ctl, &entries[i]);
    }
    return true;
}

const struct command tokens_receipt_command = {
    .name = "tokens receipt",
    .arguments = "REFERENCE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Show what was booked under a reference",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = show_receipt,
};
