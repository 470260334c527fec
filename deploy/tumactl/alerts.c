/*
 * alerts - what accounts and operators were alerted of, and an account's own settings
 */
#include <stdio.h>
#include <string.h>

#include "alert/alert.h"
#include "ctl.h"

#define LIST_DEFAULT 20
#define LIST_MAX 1000

static bool check_kind(const char *kind, struct err *err)
{
    const char *const *known = alert_kinds;

    while (kind != NULL && *known != NULL && strcmp(*known, kind) != 0) {
        known++;
    }
    return *known != NULL ||
           ctl_usage(err,
                     "--kind: '%.30s' is none of low_balance, lot_expiring, unusual_spend, "
                     "provider_credit_low",
                     kind);
}

static bool list(struct ctl *ctl, struct err *err)
{
    const char *kind = ctl_option(ctl, "kind");
    struct account account = { 0 };
    struct alert *alerts;
    struct db *db;
    int64_t limit;
    size_t count;

    if (!ctl_option_int(ctl, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, err) ||
        !check_kind(kind, err) ||
        ((ctl_option(ctl, "account") || ctl_option(ctl, "user")) &&
         !ctl_account(ctl, &account, err)) ||
        !ctl_db(ctl, &db, err) ||
        !alert_list(db, account.id, kind, 0, (size_t)limit, ctl->arena, &alerts, &count, err)) {
        return false;
    }
    printf("%-19s %-20s %-19s %-6s %s\n", "TIME", "ACCOUNT", "KIND", "TOLD", "DETAIL");
    for (size_t i = 0; i < count; i++) {
        printf("%-19s %-20s %-19s %-6s %s\n", ctl_time(ctl, alerts[i].created_ms),
               *alerts[i].slug ? alerts[i].slug : "-", alerts[i].kind,
               alerts[i].untold_ms ? "no" : "yes", alerts[i].detail);
    }
    return true;
}

const struct command alerts_list_command = {
    .name = "alerts list",
    .arguments = "",
    .summary = "List the newest alerts of all accounts and of the platform",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "only this account's" },
            { OPTION_TEXT, "user", "EMAIL", "only this account's, by e-mail address" },
            { OPTION_TEXT, "kind", "WORD", "low_balance, lot_expiring, unusual_spend, …" },
            { OPTION_TEXT, "limit", "N", "at most that many; default 20" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = list,
};

static const struct db_statement set_account = {
    "ctl_set_account",
    "UPDATE accounts"
    "   SET low_balance = CASE WHEN $2 THEN $3::bigint ELSE low_balance END,"
    "       refund_failed = CASE WHEN $4 THEN $5::boolean ELSE refund_failed END"
    " WHERE id = $1"
    " RETURNING coalesce(low_balance::text, 'default'),"
    "           CASE refund_failed WHEN true THEN 'on' WHEN false THEN 'off' ELSE 'default' END",
    5
};

/* "on", "off" or "default", which is NULL. */
static bool read_refund(const char *word, struct db_value *out_value, struct err *err)
{
    *out_value = db_null();
    if (word == NULL || strcmp(word, "default") == 0) {
        return true;
    }
    *out_value = db_bool(strcmp(word, "on") == 0);
    return strcmp(word, "on") == 0 || strcmp(word, "off") == 0 ||
           ctl_usage(err, "--refund-failed: '%.20s' is none of on, off, default", word);
}

static bool set(struct ctl *ctl, struct err *err)
{
    AUTO_DB_RESULT struct db_result *now = NULL;
    const char *low = ctl_option(ctl, "low-balance"), *refund = ctl_option(ctl, "refund-failed");
    struct db_value low_value = db_null(), refund_value;
    struct account account;
    struct db *db;
    int64_t tokens;

    if (low == NULL && refund == NULL) {
        return ctl_usage(err, "account set: nothing to set; see tumactl help account set");
    }
    if (low != NULL && strcmp(low, "default") != 0) {
        if (!ctl_option_int(ctl, "low-balance", 0, ALERT_TOKENS_MAX, 0, &tokens, err)) {
            return false;
        }
        low_value = db_int8(tokens);
    }
    if (!read_refund(refund, &refund_value, err) || !ctl_account(ctl, &account, err) ||
        !ctl_db(ctl, &db, err) ||
        !db_query(db, &set_account,
                  (struct db_value[]){ db_int8(account.id), db_bool(low != NULL), low_value,
                                       db_bool(refund != NULL), refund_value },
                  &now, err)) {
        return false;
    }
    printf("account %s: low balance %s, refund of failed reports %s\n", account.slug,
           db_get_text(now, 0, 0), db_get_text(now, 0, 1));
    return true;
}

const struct command account_set_command = {
    .name = "account set",
    .arguments = "",
    .summary = "Change when an account is alerted, and whether what fails is refunded",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose" },
            { OPTION_TEXT, "user", "EMAIL", "whose, by e-mail address" },
            { OPTION_TEXT, "low-balance", "N", "alert below so many tokens; 0 never; or default" },
            { OPTION_TEXT, "refund-failed", "WORD",
              "on, off or default: tokens back when a report says failed or expired" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = set,
};
