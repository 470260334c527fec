/*
 * transfer - tokens moved between accounts, and corrected, by an operator
 *
 * Limits are for customers: an operator has none.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/conf.h"
#include "ctl.h"
#include "ledger/ledger.h"

#define TOKENS_MAX INT64_C(1000000000000)

/* Who does it: as told, else whoever is logged in. */
static const char *find_actor(struct ctl *ctl)
{
    const char *by = ctl_option(ctl, "by");

    by = by ? by : conf_get("SUDO_USER", ctl->arena);
    by = by ? by : conf_get("USER", ctl->arena);
    return by ? by : "operator";
}

static const char *find_reference(struct ctl *ctl, const char *kind)
{
    const char *reference = ctl_option(ctl, "reference");

    return reference ? reference : ledger_reference(kind, ctl->arena);
}

static bool find_receiver(struct ctl *ctl, struct account *out_account, struct err *err)
{
    const char *to = ctl_option(ctl, "to");
    struct db *db;
    bool found;

    if (!ctl_db(ctl, &db, err) || !account_find(db, to, 0, ctl->arena, out_account, &found, err)) {
        return false;
    }
    return found || err_permanent(err, "account_unknown", "there is no account '%.60s'", to);
}

static bool transfer(struct ctl *ctl, struct err *err)
{
    struct ledger_transfer transfer = { .reason = ctl_option(ctl, "reason") };
    struct account from, to;
    struct db *db;
    bool is_new;

    if (!ctl_option_int(ctl, "tokens", 1, TOKENS_MAX, 0, &transfer.tokens, err) ||
        !ctl_account(ctl, &from, err) || !find_receiver(ctl, &to, err) || !ctl_db(ctl, &db, err) ||
        !db_begin(db, err)) {
        return false;
    }
    transfer.from = from.id;
    transfer.to = to.id;
    transfer.reference = find_reference(ctl, "TRF");
    transfer.actor = find_actor(ctl);
    if (!ledger_transfer(db, &transfer, clock_now_ms(), &is_new, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    printf("%s %s: %s from %s to %s\n", transfer.reference,
           is_new ? "transferred" : "was transferred before, nothing changed",
           ctl_number(ctl, transfer.tokens), from.slug, to.slug);
    return true;
}

const struct command tokens_transfer_command = {
    .name = "tokens transfer",
    .arguments = "",
    .summary = "Move available tokens to another account; they keep their expiry",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "who gives" },
            { OPTION_TEXT, "user", "EMAIL", "who gives, by e-mail address" },
            { OPTION_REQUIRED, "to", "EMAIL", "who receives, by e-mail address or slug" },
            { OPTION_REQUIRED, "tokens", "N", "how many" },
            { OPTION_TEXT, "reason", "TEXT", "both sides see it" },
            { OPTION_TEXT, "reference", "TEXT", "done once; default TRF- and 12 digits" },
            { OPTION_TEXT, "by", "NAME", "who did it; default who is logged in" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = transfer,
};

static bool adjust(struct ctl *ctl, struct err *err)
{
    struct ledger_adjustment adjustment = { .reason = ctl_option(ctl, "reason") };
    struct ledger_balance balance;
    struct account account;
    struct db *db;
    bool is_new;

    if (!ctl_option_int(ctl, "tokens", -TOKENS_MAX, TOKENS_MAX, 0, &adjustment.tokens, err) ||
        !ctl_option_time(ctl, "expires", &adjustment.expires_ms, err)) {
        return false;
    }
    if (adjustment.tokens == 0) {
        return ctl_usage(err, "--tokens: nothing to add or to take");
    }
    if (!ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    adjustment.account = account.id;
    adjustment.reference = find_reference(ctl, "ADJ");
    adjustment.actor = find_actor(ctl);
    if (!ledger_adjust(db, &adjustment, clock_now_ms(), &is_new, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    if (!ledger_balance(db, account.id, &balance, err)) {
        return false;
    }
    printf("%s %s: %s; %s available\n", adjustment.reference,
           is_new ? "corrected" : "was corrected before, nothing changed", account.slug,
           ctl_number(ctl, balance.available));
    return true;
}

const struct command tokens_adjust_command = {
    .name = "tokens adjust",
    .arguments = "",
    .summary = "Correct an account's tokens, up or down, with a reason",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_REQUIRED, "tokens", "N", "how many more; -N to take some away" },
            { OPTION_REQUIRED, "reason", "TEXT", "the customer sees it" },
            { OPTION_TEXT, "reference", "TEXT", "done once; default ADJ- and 12 digits" },
            { OPTION_TEXT, "expires", "TIME", "of tokens added; default never" },
            { OPTION_TEXT, "by", "NAME", "who did it; default who is logged in" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = adjust,
};
