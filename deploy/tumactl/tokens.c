/*
 * tokens - prepaid tokens: grant them, look at them, retire what has expired
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"
#include "ledger/history.h"
#include "ledger/ledger.h"

#define TOKENS_MAX INT64_C(1000000000000)
#define LOTS_A_TIME 1000
#define LOTS_SHOWN 100

static bool add(struct ctl *ctl, struct err *err)
{
    const char *reference = ctl_option(ctl, "reference");
    int64_t now_ms = clock_now_ms();
    struct ledger_balance balance;
    struct account account;
    int64_t tokens, expires_ms;
    struct db *db;
    bool is_new;

    if (!ctl_option_int(ctl, "tokens", 1, TOKENS_MAX, 0, &tokens, err) ||
        !ctl_option_time(ctl, "expires", &expires_ms, err)) {
        return false;
    }
    if (expires_ms && expires_ms <= now_ms) {
        return ctl_usage(err, "--expires: is in the past");
    }
    if (!reference) {
        reference = arena_printf(ctl->arena, "TKN-%08u", id_random_below(100000000));
    }
    if (!ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    if (!ledger_grant(db, account.id, tokens, reference, expires_ms, now_ms, &is_new, err) ||
        !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    if (!ledger_balance(db, account.id, &balance, err)) {
        return false;
    }
    printf("%s %s: %s; %s available\n", reference,
           is_new ? "granted" : "was granted before, nothing changed", account.slug,
           ctl_number(ctl, balance.available));
    return true;
}

const struct command tokens_add_command = {
    .name = "tokens add",
    .arguments = "",
    .summary = "Grant tokens to an account; a reference is granted once",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "to whom" },
            { OPTION_TEXT, "user", "EMAIL", "to whom, by e-mail address" },
            { OPTION_REQUIRED, "tokens", "N", "how many; one pays one SMS segment" },
            { OPTION_TEXT, "reference", "TEXT", "of the payment; default TKN- and 8 digits" },
            { OPTION_TEXT, "expires", "TIME", "RFC 3339, +365d or never; default never" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = add,
};

static bool check(struct ctl *ctl, struct err *err)
{
    struct ledger_balance balance;
    struct ledger_lot *lots;
    struct account account;
    struct db *db;
    size_t count;

    if (!ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) ||
        !ledger_balance(db, account.id, &balance, err) ||
        !ledger_lots(db, account.id, LOTS_SHOWN, ctl->arena, &lots, &count, err)) {
        return false;
    }
    printf("account      %s <%s>\n", account.slug, account.email);
    printf("granted      %s\n", ctl_number(ctl, balance.granted));
    printf("available    %s\n", ctl_number(ctl, balance.available));
    printf("reserved     %s\n", ctl_number(ctl, balance.reserved));
    printf("spent        %s\n", ctl_number(ctl, balance.spent));
    printf("expired      %s\n", ctl_number(ctl, balance.expired));
    printf("transferred  %s\n", ctl_number(ctl, balance.transferred));
    for (size_t i = 0; i < count; i++) {
        printf("lot          %s: %s of %s left, expires %s\n", lots[i].reference,
               ctl_number(ctl, lots[i].available), ctl_number(ctl, lots[i].granted),
               lots[i].expires_ms ? ctl_time(ctl, lots[i].expires_ms) : "never");
    }
    return true;
}

const struct command tokens_check_command = {
    .name = "tokens check",
    .arguments = "",
    .summary = "Show an account's tokens and the lots they are in",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = check,
};

static bool expire(struct ctl *ctl, struct err *err)
{
    struct db *db;
    int64_t lots;
    int64_t all = 0;

    if (!ctl_db(ctl, &db, err)) {
        return false;
    }
    do { /* an account each time */
        if (!db_begin(db, err)) {
            return false;
        }
        if (!ledger_expire(db, clock_now_ms(), LOTS_A_TIME, &lots, err) || !db_commit(db, err)) {
            db_rollback(db);
            return false;
        }
        all += lots;
    } while (lots > 0);
    printf(all > 0 ? "expired tokens were retired\n" : "nothing has expired\n");
    return true;
}

const struct command tokens_expire_command = {
    .name = "tokens expire",
    .arguments = "",
    .summary = "Retire expired tokens now; reserve-tokens does so by itself",
    .run = expire,
};
