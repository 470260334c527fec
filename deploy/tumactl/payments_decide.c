/*
 * payments_decide - what a person decides about money: whose it is, and that it goes back
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"
#include "money.h"
#include "payment/payment.h"
#include "payment/reversal.h"

#define E4_PER_MINOR 100
#define BY_MAX 60
#define WHY_MAX 120

static bool check_grounds(const char *by, const char *why, struct err *err)
{
    if (*by == '\0' || strlen(by) > BY_MAX) {
        return ctl_usage(err, "--by: must be 1 to %d bytes", BY_MAX);
    }
    return (*why != '\0' && strlen(why) <= WHY_MAX) ||
           ctl_usage(err, "--why: must be 1 to %d bytes", WHY_MAX);
}

static bool match(struct ctl *ctl, struct err *err)
{
    const char *by = ctl_option(ctl, "by");
    const char *why = ctl_option(ctl, "why");
    const char *reference = ctl->arguments[1];
    struct purchase purchase;
    struct db *db;
    int64_t id;

    if (!check_grounds(by, why, err)) {
        return false;
    }
    if (!ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    if (id_parse("pur", reference, &id)) {
        if (!purchase_find(db, 0, id, ctl->arena, &purchase, err)) {
            db_rollback(db);
            return false;
        }
        reference = purchase.reference;
    }
    if (!payment_match(db, ctl->arguments[0], reference,
                       arena_printf(ctl->arena, "matched by %s: %s", by, why), clock_now_ms(),
                       ctl->arena, &purchase, err) ||
        !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    printf("%s pays %s: %s has %s, %s tokens\n", ctl->arguments[0], purchase.reference,
           purchase.account_slug, purchase.plan, ctl_number(ctl, purchase.tokens));
    return true;
}

const struct command payments_match_command = {
    .name = "payments match",
    .arguments = "RECEIPT PURCHASE",
    .arguments_min = 2,
    .arguments_max = 2,
    .summary = "Credit money that nobody could match to the purchase (TK…) it was meant for",
    .options =
        (const struct option_def[]){
            { OPTION_REQUIRED, "by", "NAME", "who decided" },
            { OPTION_REQUIRED, "why", "TEXT", "on what grounds" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = match,
};

static bool reverse(struct ctl *ctl, struct err *err)
{
    const struct reversal_wish wish = {
        .receipt = ctl->arguments[0],
        .by = ctl_option(ctl, "by"),
        .why = ctl_option(ctl, "why"),
        .what_is_left = ctl_option(ctl, "what-is-left") != NULL,
    };
    struct reversal reversal;
    struct receipt money;
    struct db *db;

    if (!check_grounds(wish.by, wish.why, err) || !ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    if (!payment_reverse(db, &wish, clock_now_ms(), ctl->arena, &reversal, err) ||
        !receipt_find(db, reversal.receipt, ctl->arena, &money, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    printf("%s: %s tokens are taken back, and settle-payment asks the provider to pay back %s;\n"
           "tumactl payments show %s tells what becomes of it\n",
           reversal.receipt, ctl_number(ctl, reversal.tokens),
           money_format(ctl, money.amount_minor * E4_PER_MINOR, money.currency), reversal.receipt);
    return true;
}

const struct command payments_reverse_command = {
    .name = "payments reverse",
    .arguments = "RECEIPT",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Give money back to its payer, and take back the tokens that it had bought",
    .options =
        (const struct option_def[]){
            { OPTION_REQUIRED, "by", "NAME", "who decided" },
            { OPTION_REQUIRED, "why", "TEXT", "on what grounds" },
            { OPTION_FLAG, "what-is-left", NULL, "also when some of the tokens are spent" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = reverse,
};
