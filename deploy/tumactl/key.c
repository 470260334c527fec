/*
 * key - API keys: "tuma_" and 40 random characters, of which only the SHA-256 is stored
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "crypto/crypto.h"
#include "ctl.h"

#define KEY_RANDOM_BYTES 30 /* 40 characters */
#define KEY_START "tuma_"
#define PREFIX_LETTERS 12 /* shown ever after, to recognise a key by: 42 bits of 240 */

static const struct db_statement insert_key = {
    "ctl_insert_key",
    "INSERT INTO api_keys (id, account_id, name, hash, prefix, scopes, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)",
    7,
};

/* "read,send" to its words; fails on any other. */
static bool parse_scopes(struct ctl *ctl, const char *text, const char *out[3], size_t *out_count,
                         struct err *err)
{
    static const char *const known[] = { "read", "send", "admin" };
    char *copy = arena_strdup(ctl->arena, text);
    char *at = copy;
    char *word;
    size_t count = 0;

    while ((word = strsep(&at, ",")) != NULL) {
        size_t i = 0;

        while (i < 3 && strcmp(known[i], word) != 0) {
            i++;
        }
        if (i == 3) {
            return ctl_usage(err, "--scopes: '%.20s' is none of read, send, admin", word);
        }
        for (size_t j = 0; j < count; j++) {
            if (out[j] == known[i]) {
                return ctl_usage(err, "--scopes: %s is there twice", word);
            }
        }
        out[count++] = known[i];
    }
    *out_count = count;
    return true;
}

static bool create(struct ctl *ctl, struct err *err)
{
    const char *scope_text = ctl_option(ctl, "scopes");
    const char *name = ctl_option(ctl, "name");
    char key[sizeof KEY_START + CRYPTO_TOKEN_BYTES(KEY_RANDOM_BYTES)] = KEY_START;
    unsigned char hash[CRYPTO_SHA256_BYTES];
    const char *scopes[3];
    struct account account;
    size_t scope_count = 0;
    int64_t expires_ms;
    struct db *db;

    if (!parse_scopes(ctl, scope_text ? scope_text : "read,send", scopes, &scope_count, err) ||
        !ctl_option_time(ctl, "expires", &expires_ms, err)) {
        return false;
    }
    if (expires_ms && expires_ms <= clock_now_ms()) {
        return ctl_usage(err, "--expires: is in the past");
    }
    if (!ctl_account(ctl, &account, err) || !ctl_db(ctl, &db, err)) {
        return false;
    }
    crypto_token(key + strlen(KEY_START), KEY_RANDOM_BYTES);
    crypto_sha256(key, strlen(key), hash);
    if (!db_run(db, &insert_key,
                (struct db_value[]){ db_int8(id_create(clock_now_ms())), db_int8(account.id),
                                     db_text(name ? name : "tumactl"), db_bytes(hash, sizeof hash),
                                     db_text(arena_strndup(ctl->arena, key, PREFIX_LETTERS)),
                                     db_texts(scopes, scope_count), db_time(expires_ms) },
                NULL, err)) {
        return false;
    }
    printf("%s\n", key);
    fprintf(stderr, "key of account %s, expires %s; it is not shown again\n", account.slug,
            expires_ms ? ctl_time(ctl, expires_ms) : "never");
    return true;
}

const struct command key_create_command = {
    .name = "key create",
    .arguments = "",
    .summary = "Make an API key and print it, once",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "whose; may be left out while there is one account" },
            { OPTION_TEXT, "scopes", "read,send", "of read, send, admin; default read,send" },
            { OPTION_TEXT, "expires", "TIME", "RFC 3339, +90d or never; default never" },
            { OPTION_TEXT, "name", "TEXT", "what it is for" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = create,
};

static const struct db_statement list_keys = {
    "ctl_list_keys",
    "SELECT k.prefix, a.slug, array_to_string(k.scopes, ','), k.created_at, k.expires_at,"
    "       k.last_used_at, k.name,"
    "       CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'"
    "            WHEN k.expires_at <= now() THEN 'expired' ELSE 'valid' END"
    "  FROM api_keys k JOIN accounts a ON a.id = k.account_id"
    " WHERE $1 = '' OR a.slug = $1"
    " ORDER BY k.id",
    1
};

static bool list(struct ctl *ctl, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const char *slug = ctl_option(ctl, "account");
    struct db *db;

    if (!ctl_db(ctl, &db, err) ||
        !db_query(db, &list_keys, (struct db_value[]){ db_text(slug ? slug : "") }, &found, err)) {
        return false;
    }
    printf("%-13s %-20s %-15s %-8s %-19s %-19s  %s\n", "KEY", "ACCOUNT", "SCOPES", "STATUS",
           "EXPIRES", "LAST USED", "NAME");
    for (int i = 0; i < db_rows(found); i++) {
        printf("%-13s %-20s %-15s %-8s %-19s %-19s  %s\n", db_get_text(found, i, 0),
               db_get_text(found, i, 1), db_get_text(found, i, 2), db_get_text(found, i, 7),
               ctl_time(ctl, db_get_time(found, i, 4)), ctl_time(ctl, db_get_time(found, i, 5)),
               db_get_text(found, i, 6));
    }
    return true;
}

const struct command key_list_command = {
    .name = "key list",
    .arguments = "",
    .summary = "List API keys by their first letters",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "only this account's" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = list,
};

static const struct db_statement revoke_key = {
    "ctl_revoke_key",
    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE prefix = $1",
    1,
};

static bool revoke(struct ctl *ctl, struct err *err)
{
    struct db *db;
    int64_t rows;
    size_t len = strlen(ctl->arguments[0]);
    const char *prefix =
        arena_strndup(ctl->arena, ctl->arguments[0], len < PREFIX_LETTERS ? len : PREFIX_LETTERS);

    if (!ctl_db(ctl, &db, err) ||
        !db_run(db, &revoke_key, (struct db_value[]){ db_text(prefix) }, &rows, err)) {
        return false;
    }
    if (rows == 0) {
        return err_permanent(err, "key_unknown", "there is no key %s…; see tumactl key list",
                             prefix);
    }
    printf("key %s… revoked; a running ingress may remember it for a few seconds\n", prefix);
    return true;
}

const struct command key_revoke_command = {
    .name = "key revoke",
    .arguments = "KEY",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Revoke a key, named by its first 12 letters or whole",
    .run = revoke,
};
