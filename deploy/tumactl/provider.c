/*
 * provider - is the provider there, and do our account and settings work
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "http/http.h"
#include "money.h"
#include "provider/africastalking.h"
#include "send.h"
#include "watch.h"

#define TEST_WAIT_S 120

static bool print_balance(struct ctl *ctl, struct err *err)
{
    struct at_conf conf;
    struct http *http = NULL;
    int64_t balance_e4;
    char currency[4];
    bool ok;

    if (!ctl_settings(ctl, at_conf_items, &conf, err)) {
        return false;
    }
    ok = at_conf_check(&conf, err) && http_create(&(struct http_conf){ 0 }, &http, err) &&
         at_balance(http, &conf, ctl->arena, &balance_e4, currency, err);
    if (ok) {
        printf("%s\n", money_format(ctl, balance_e4, currency));
    }
    http_destroy(http);
    return ok;
}

const struct command at_balance_command = {
    .name = "at-balance",
    .arguments = "",
    .summary = "Ask Africa's Talking for the balance (AT_USERNAME, AT_API_KEY, AT_SMS_URL)",
    .run = print_balance,
};

static const struct db_statement find_recipient = {
    "ctl_find_recipient",
    "SELECT word, coalesce(reason, ''), coalesce(provider_id, ''), coalesce(cost_e4, 0),"
    "       coalesce(currency::text, '')"
    "  FROM recipient_states WHERE campaign_id = $1",
    1,
};
static const struct db_statement find_reject = {
    "ctl_find_reject",
    "SELECT reason FROM campaign_rejects WHERE campaign_id = $1",
    1,
};

/* What became of the one recipient; false unless it was delivered. */
static bool print_outcome(struct ctl *ctl, int64_t campaign, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    AUTO_DB_RESULT struct db_result *rejected = NULL;

    if (!db_query(ctl->db, &find_recipient, (struct db_value[]){ db_int8(campaign) }, &found,
                  err) ||
        !db_query(ctl->db, &find_reject, (struct db_value[]){ db_int8(campaign) }, &rejected,
                  err)) {
        return false;
    }
    if (db_rows(rejected) > 0) {
        return err_permanent(err, "rejected", "the number was not accepted: %s",
                             db_get_text(rejected, 0, 0));
    }
    if (db_rows(found) == 0) {
        return err_permanent(err, "no_recipient", "no recipient came of it");
    }
    printf("%s%s%s, provider id %s, %s\n", db_get_text(found, 0, 0),
           *db_get_text(found, 0, 1) ? ": " : "", db_get_text(found, 0, 1),
           *db_get_text(found, 0, 2) ? db_get_text(found, 0, 2) : "none",
           money_format(ctl, db_get_int(found, 0, 3), db_get_text(found, 0, 4)));
    return strcmp(db_get_text(found, 0, 0), "delivered") == 0 ||
           err_permanent(err, "not_delivered", "the message was not delivered");
}

static bool test_sms(struct ctl *ctl, struct err *err)
{
    const char *text = ctl_option(ctl, "text");
    struct account account;
    int64_t campaign, seconds;

    if (!ctl_option_int(ctl, "timeout", 1, 864000, TEST_WAIT_S, &seconds, err) ||
        !ctl_account(ctl, &account, err) ||
        !send_one(ctl, &account, ctl->arguments[0], text ? text : "Test message from Tuma.",
                  ctl_option(ctl, "sender"), &campaign, err) ||
        !watch(ctl, campaign, NULL, seconds * 1000, err)) {
        return false;
    }
    return print_outcome(ctl, campaign, err);
}

const struct command test_sms_command = {
    .name = "test-sms",
    .arguments = "PHONE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Send one message through the whole chain and wait for its report",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose; may be left out while there is one account" },
            { OPTION_TEXT, "text", "TEXT", "what to say" },
            { OPTION_TEXT, "sender", "ID", "sender ID; default the account's" },
            { OPTION_TEXT, "timeout", "SECONDS", "give up after that long; default 120" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = test_sms,
};
