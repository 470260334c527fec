/*
 * daraja_token - M-Pesa's access token, one for all processes
 *
 * Every statement is a transaction of its own, so now() is its time. The claim is an UPDATE whose
 * WHERE asks for everything at once, so that of several only one finds its row; a claim that ran
 * out stores nothing, whatever its late answer says, because another may have asked since.
 */
#include "provider/daraja_token.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/panic.h"
#include "crypto/crypto.h"
#include "provider/daraja_reply.h"

#define LEASE_SLACK_MS 2000 /* beyond the request's own timeout: two statements */
#define LOOK_AGAIN_MS 50    /* how often who waits looks */

struct row {
    const char *key; /* the consumer key's digest */
    const char *token;
    bool fresh; /* and far from its end */
};

static const struct db_statement add_token_row = {
    "add_token_row",
    "INSERT INTO daraja_tokens (base_url, key_sha256)"
    " VALUES ($1, $2)"
    " ON CONFLICT DO NOTHING",
    2,
};

/* A token past its end is none. */
static const struct db_statement find_token = {
    "find_token",
    "SELECT token, renew_at > now()"
    " FROM daraja_tokens"
    " WHERE base_url = $1 AND key_sha256 = $2 AND expires_at > now()",
    2,
};

static const struct db_statement claim_refresh = {
    "claim_refresh",
    "UPDATE daraja_tokens"
    " SET refreshing_by = $3,"
    "     refreshing_until = now() + $4::int * interval '1 millisecond'"
    " WHERE base_url = $1 AND key_sha256 = $2"
    "   AND (refreshing_until IS NULL OR refreshing_until <= now())"
    "   AND (renew_at IS NULL OR renew_at <= now())",
    4,
};

static const struct db_statement store_token = {
    "store_token",
    "UPDATE daraja_tokens"
    " SET token = $4,"
    "     expires_at = now() + $5::int * interval '1 millisecond',"
    "     renew_at = now() + $6::int * interval '1 millisecond',"
    "     refreshing_by = NULL, refreshing_until = NULL,"
    "     refreshes = refreshes + 1"
    " WHERE base_url = $1 AND key_sha256 = $2 AND refreshing_by = $3"
    "   AND refreshing_until > now()",
    6,
};

static const struct db_statement give_up_refresh = {
    "give_up_refresh",
    "UPDATE daraja_tokens"
    " SET refreshing_by = NULL, refreshing_until = NULL"
    " WHERE base_url = $1 AND key_sha256 = $2 AND refreshing_by = $3",
    3,
};

static const struct db_statement forget_token = {
    "forget_token",
    "UPDATE daraja_tokens"
    " SET token = NULL, expires_at = NULL, renew_at = NULL"
    " WHERE base_url = $1 AND key_sha256 = $2 AND token = $3",
    3,
};

static const char *digest_key(const struct daraja_conf *conf, struct arena *arena)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    char *hex = arena_alloc(arena, 2 * sizeof(digest) + 1);

    crypto_sha256(conf->consumer_key, strlen(conf->consumer_key), digest);
    id_hex(digest, sizeof(digest), hex);
    return hex;
}

static bool look(struct db *db, const struct daraja_conf *conf, struct row *row,
                 struct arena *arena, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_token,
                  (struct db_value[]){ db_text(conf->base_url), db_text(row->key) }, &found, err)) {
        return false;
    }
    row->token = NULL;
    row->fresh = false;
    if (db_rows(found) > 0) {
        row->token = arena_strdup(arena, db_get_text(found, 0, 0));
        row->fresh = db_get_bool(found, 0, 1);
    }
    return true;
}

static bool claim(struct db *db, const struct daraja_conf *conf, const struct row *row,
                  const char *me, bool *out_claimed, struct err *err)
{
    int64_t rows;

    if (!db_run(db, &claim_refresh,
                (struct db_value[]){ db_text(conf->base_url), db_text(row->key), db_text(me),
                                     db_int4((int32_t)(conf->token_timeout_ms + LEASE_SLACK_MS)) },
                &rows, err)) {
        return false;
    }
    *out_claimed = rows > 0;
    return true;
}

/* Keeps the token; of a short life at most half goes to the margin, or none would ever be fresh. */
static bool store(struct db *db, const struct daraja_conf *conf, const struct db_value mine[3],
                  const char *token, int64_t life_ms, struct err *err)
{
    int64_t margin_ms = conf->token_margin_ms;

    life_ms = life_ms > 1 ? life_ms : 1;
    margin_ms = margin_ms < life_ms / 2 ? margin_ms : life_ms / 2;
    return db_run(db, &store_token,
                  (struct db_value[]){ mine[0], mine[1], mine[2], db_text(token),
                                       db_int4((int32_t)life_ms),
                                       db_int4((int32_t)(life_ms - margin_ms)) },
                  NULL, err);
}

/* Asks M-Pesa, holding the claim; after a failure it is given up, as far as the database allows. */
static bool refresh(struct db *db, struct http *http, const struct daraja_conf *conf,
                    struct row *row, const char *me, struct arena *arena, struct err *err)
{
    const struct db_value mine[] = { db_text(conf->base_url), db_text(row->key), db_text(me) };
    struct http_call call;
    struct http_reply reply;
    int64_t life_ms;
    const char *token;
    struct err ignored; /* a claim that stays runs out by itself */

    daraja_token_request(conf, &call, arena);
    http_run(http, &call, &reply, 1, arena);
    if (!daraja_token_read(&reply, &token, &life_ms, arena, err)) {
        (void)!db_run(db, &give_up_refresh, mine, NULL, &ignored);
        return false;
    }
    /* Counted from when the request left: at M-Pesa the token began to age no earlier. */
    if (!store(db, conf, mine, token, life_ms - reply.took_us / 1000, err)) {
        return false;
    }
    row->token = token;
    row->fresh = true;
    return true;
}

/* One process asks; the others come by until there is a token, the asker dies, or time is up. */
static bool obtain(struct db *db, struct http *http, const struct daraja_conf *conf,
                   struct row *row, struct arena *arena, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + conf->token_timeout_ms + LEASE_SLACK_MS;
    char id[ID_MESSAGE_BYTES];

    id_message(id);
    const char *me = arena_printf(arena, "%d-%s", (int)getpid(), id);
    for (;;) {
        bool claimed;
        if (!claim(db, conf, row, me, &claimed, err)) {
            return false;
        }
        if (claimed) {
            return refresh(db, http, conf, row, me, arena, err);
        }
        if (!look(db, conf, row, arena, err)) {
            return false;
        }
        if (row->fresh) {
            return true;
        }
        if (clock_mono_ms() >= until_ms) {
            return err_temporary(err, "mpesa_token_awaited",
                                 "another process asks M-Pesa for a token and has none yet");
        }
        clock_sleep_ms(LOOK_AGAIN_MS);
    }
}

bool daraja_token_get(struct db *db, struct http *http, const struct daraja_conf *conf,
                      const char **out_token, struct arena *arena, struct err *err)
{
    struct row row = { .key = digest_key(conf, arena) };

    if (db_in_transaction(db)) {
        panic("a token is asked for inside a transaction");
    }
    if (!look(db, conf, &row, arena, err)) {
        return false;
    }
    if (row.token == NULL &&
        !db_run(db, &add_token_row,
                (struct db_value[]){ db_text(conf->base_url), db_text(row.key) }, NULL, err)) {
        return false;
    }
    if (!row.fresh && !obtain(db, http, conf, &row, arena, err) &&
        (row.token == NULL || err->kind != ERR_TEMPORARY)) {
        return false;
    }
    *out_token = row.token;
    return true;
}

bool daraja_token_replace(struct db *db, struct http *http, const struct daraja_conf *conf,
                          const char *refused, const char **out_token, struct arena *arena,
                          struct err *err)
{
    const struct db_value values[] = { db_text(conf->base_url), db_text(digest_key(conf, arena)),
                                       db_text(refused) };

    if (db_in_transaction(db)) {
        panic("a token is replaced inside a transaction");
    }
    return db_run(db, &forget_token, values, NULL, err) &&
           daraja_token_get(db, http, conf, out_token, arena, err);
}
