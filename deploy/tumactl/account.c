/*
 * account - customers, their sender IDs and, on wish, their own way in over AMQP
 *
 * Creating what is there already changes nothing and succeeds, so that set-up scripts may repeat.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"
#include "msg/campaign.h"
#include "partner.h"
#include "text/msisdn.h"

static const struct db_statement insert_account = {
    "ctl_insert_account",
    "INSERT INTO accounts (id, slug, name, email, country, default_sender)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    6,
};
static const struct db_statement insert_sender = {
    "ctl_insert_sender",
    "INSERT INTO sender_ids (account_id, sender) VALUES ($1, $2)"
    " ON CONFLICT ON CONSTRAINT sender_ids_key DO NOTHING",
    2,
};

static bool check_slug(const char *slug, struct err *err)
{
    size_t len = strlen(slug);

    if (len < 1 || len > ACCOUNT_SLUG_MAX || *slug == '-' ||
        strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") != len) {
        return ctl_usage(err, "--slug: '%.40s' must be 1 to %d of a-z, 0-9 and -, not - first",
                         slug, ACCOUNT_SLUG_MAX);
    }
    return true;
}

static bool check_sender(const char *sender, struct err *err)
{
    size_t len = strlen(sender);

    for (const char *at = sender; *at; at++) {
        if (*at < ' ' || *at > '~') {
            len = 0;
        }
    }
    return (len >= 1 && len <= SENDER_ID_MAX) ||
           ctl_usage(err, "sender ID '%.40s' must be 1 to %d plain characters", sender,
                     SENDER_ID_MAX);
}

static bool check_definition(struct ctl *ctl, struct err *err)
{
    const char *country = ctl_option(ctl, "country");
    const char *email = ctl_option(ctl, "email");
    const char *sender;

    if (!check_slug(ctl_option(ctl, "slug"), err)) {
        return false;
    }
    if (!strchr(email, '@') || strchr(email, ' ')) {
        return ctl_usage(err, "--email: '%.60s' is no e-mail address", email);
    }
    if (country && !text_country_find(country)) {
        return ctl_usage(err, "--country: '%.10s' is not served; use one of %s", country,
                         text_country_list());
    }
    for (int i = 0; (sender = ctl_option_at(ctl, "sender", i)) != NULL; i++) {
        if (!check_sender(sender, err)) {
            return false;
        }
    }
    return true;
}

/* The account as it now is; one with the same slug must be the same customer. */
static bool insert(struct ctl *ctl, struct db *db, struct account *out_account, bool *out_new,
                   struct err *err)
{
    const char *slug = ctl_option(ctl, "slug");
    const char *email = ctl_option(ctl, "email");
    const char *country = ctl_option(ctl, "country");
    int64_t rows;
    bool found;

    if (!db_run(db, &insert_account,
                (struct db_value[]){ db_int8(id_create(clock_now_ms())), db_text(slug),
                                     db_text(ctl_option(ctl, "name")), db_text(email),
                                     db_text(country ? country : "KE"),
                                     db_text(ctl_option(ctl, "sender")) },
                &rows, err) ||
        !account_find(db, slug, 0, ctl->arena, out_account, &found, err)) {
        return false;
    }
    *out_new = rows > 0;
    if (!found) {
        return err_permanent(err, "email_taken", "--email: %.80s belongs to another account",
                             email);
    }
    if (strcmp(out_account->email, email) != 0) {
        return err_permanent(err, "slug_taken", "--slug: '%s' is the account of %.80s", slug,
                             out_account->email);
    }
    return true;
}

static bool add_senders(struct ctl *ctl, struct db *db, int64_t account, struct err *err)
{
    const char *sender;

    for (int i = 0; (sender = ctl_option_at(ctl, "sender", i)) != NULL; i++) {
        if (!db_run(db, &insert_sender, (struct db_value[]){ db_int8(account), db_text(sender) },
                    NULL, err)) {
            return false;
        }
    }
    return true;
}

static bool create_account(struct ctl *ctl, struct err *err)
{
    struct account account;
    struct db *db;
    bool is_new;

    if (!check_definition(ctl, err) || !ctl_db(ctl, &db, err) || !db_begin(db, err)) {
        return false;
    }
    if (!insert(ctl, db, &account, &is_new, err) || !add_senders(ctl, db, account.id, err) ||
        !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    printf("account %s %s\n", account.slug, is_new ? "created" : "was there already");
    return !ctl_option(ctl, "amqp") || partner_open(ctl, account.slug, err);
}

const struct command account_create_command = {
    .name = "account create",
    .arguments = "",
    .summary = "Create a customer's account",
    .options =
        (const struct option_def[]){
            { OPTION_REQUIRED, "slug", "WORD", "its name in exchanges, logs and events" },
            { OPTION_REQUIRED, "name", "NAME", "the customer" },
            { OPTION_REQUIRED, "email", "ADDRESS", "one account each" },
            { OPTION_TEXT, "country", "KE", "of numbers written without a country code" },
            { OPTION_MANY, "sender", "ID", "sender IDs it may use; the first is its default" },
            { OPTION_FLAG, "amqp", NULL, "declare its exchange and its queue of events" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = create_account,
};

static const struct db_statement list_accounts = {
    "ctl_list_accounts",
    "SELECT a.slug, a.email, a.country::text, a.status, coalesce(b.available, 0),"
    "       coalesce(b.reserved, 0), a.name"
    "  FROM accounts a LEFT JOIN token_balances b ON b.account_id = a.id"
    " ORDER BY a.slug",
    0
};

static bool list(struct ctl *ctl, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db *db;

    if (!ctl_db(ctl, &db, err) || !db_query(db, &list_accounts, NULL, &found, err)) {
        return false;
    }
    printf("%-20s %-9s %-7s %12s %12s  %s\n", "ACCOUNT", "STATUS", "COUNTRY", "AVAILABLE",
           "RESERVED", "NAME");
    for (int i = 0; i < db_rows(found); i++) {
        printf("%-20s %-9s %-7s %12s %12s  %s <%s>\n", db_get_text(found, i, 0),
               db_get_text(found, i, 3), db_get_text(found, i, 2),
               ctl_number(ctl, db_get_int(found, i, 4)), ctl_number(ctl, db_get_int(found, i, 5)),
               db_get_text(found, i, 6), db_get_text(found, i, 1));
    }
    return true;
}

const struct command account_list_command = {
    .name = "account list",
    .arguments = "",
    .summary = "List the accounts with their tokens",
    .run = list,
};

static bool add_sender(struct ctl *ctl, struct err *err)
{
    struct account account;
    struct db *db;
    int64_t rows;
    const char *sender = ctl->arguments[0];

    if (!check_sender(sender, err) || !ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err) ||
        !db_run(db, &insert_sender, (struct db_value[]){ db_int8(account.id), db_text(sender) },
                &rows, err)) {
        return false;
    }
    printf("sender %s of account %s %s\n", sender, account.slug,
           rows > 0 ? "added" : "was there already");
    return true;
}

const struct command sender_add_command = {
    .name = "sender add",
    .arguments = "SENDER",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Let an account use a sender ID",
    .options =
        (const struct option_def[]){
            { OPTION_REQUIRED, "account", "SLUG", "whose" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = add_sender,
};
