#include "idempotency.h"

#include <string.h>

#include "crypto/crypto.h"
#include "lease.h"
#include "sound.h"

/* A request has 15 s of statements and confirms at the most; an upload renews its claim. */
#define CLAIM_MS 60000

/* A claim without an answer that is older than $4 is its owner's corpse. */
static const struct db_statement claim_key = {
    "ingress_claim_key",
    "INSERT INTO idempotency_keys (account_id, key, request_hash) VALUES ($1, $2, $3)"
    " ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE SET created_at = now()"
    " WHERE idempotency_keys.status IS NULL"
    "   AND idempotency_keys.request_hash = excluded.request_hash"
    "   AND idempotency_keys.created_at < now() - $4::bigint * interval '1 millisecond'",
    4,
};

static const struct db_statement renew_claim = {
    "ingress_renew_claim",
    "UPDATE idempotency_keys SET created_at = now()"
    " WHERE account_id = $1 AND key = $2 AND status IS NULL",
    2,
};

static const struct db_statement find_answer = {
    "ingress_find_answer",
    "SELECT request_hash = $3, status, body FROM idempotency_keys"
    " WHERE account_id = $1 AND key = $2",
    3,
};

static const struct db_statement store_answer = {
    "ingress_store_answer",
    "UPDATE idempotency_keys SET status = $3, body = $4 WHERE account_id = $1 AND key = $2",
    4,
};

/* While a claim has no answer its body is the handler's note. */
static const struct db_statement note_made = {
    "ingress_note_made",
    "UPDATE idempotency_keys SET body = $3 WHERE account_id = $1 AND key = $2 AND status IS NULL",
    3,
};

static const struct db_statement find_note = {
    "ingress_find_note",
    "SELECT body FROM idempotency_keys"
    " WHERE account_id = $1 AND key = $2 AND status IS NULL AND body IS NOT NULL",
    2,
};

/* Free to be claimed again, but what was made stays known. */
static const struct db_statement lapse_noted = {
    "ingress_lapse_noted",
    "UPDATE idempotency_keys SET created_at = now() - interval '2 hours'"
    " WHERE account_id = $1 AND key = $2 AND status IS NULL AND body IS NOT NULL",
    2,
};

static const struct db_statement drop_claim = {
    "ingress_drop_claim",
    "DELETE FROM idempotency_keys"
    " WHERE account_id = $1 AND key = $2 AND status IS NULL AND body IS NULL",
    2,
};

static const struct db_statement purge_keys = {
    "ingress_purge_keys",
    "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY("
    " SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '24 hours'"
    "  LIMIT 10000))",
    0,
};

bool idempotency_renew(struct db *db, const struct request *req, struct err *err)
{
    return req->idempotency_key == NULL ||
           db_run(db, &renew_claim,
                  (struct db_value[]){ db_int8(req->caller.account_id),
                                       db_text(req->idempotency_key) },
                  NULL, err);
}

bool idempotency_note(struct request *req, const char *what, struct err *err)
{
    return req->idempotency_key == NULL ||
           db_run(req->db, &note_made,
                  (struct db_value[]){ db_int8(req->caller.account_id),
                                       db_text(req->idempotency_key), db_text(what) },
                  NULL, err);
}

bool idempotency_noted(struct request *req, const char **out_what, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    *out_what = NULL;
    if (req->idempotency_key == NULL) {
        return true;
    }
    if (!db_query(
            req->db, &find_note,
            (struct db_value[]){ db_int8(req->caller.account_id), db_text(req->idempotency_key) },
            &found, err)) {
        return false;
    }
    if (db_rows(found) > 0) {
        *out_what = arena_strdup(req->arena, db_get_text(found, 0, 0));
    }
    return true;
}

bool idempotency_purge(struct db *db, struct err *err)
{
    return db_run(db, &purge_keys, NULL, NULL, err);
}

/* Of what makes the request what it is. A streamed body counts by its length. */
static void hash_request(struct request *req, unsigned char out[CRYPTO_SHA256_BYTES])
{
    struct crypto_hash *hash = crypto_hash_begin();

    crypto_hash_add(hash, req->method, strlen(req->method) + 1);
    crypto_hash_add(hash, req->path, strlen(req->path) + 1);
    for (int i = 0; i < req->argument_count; i++) {
        crypto_hash_add(hash, req->arguments[i].key, strlen(req->arguments[i].key) + 1);
        crypto_hash_add(hash, req->arguments[i].value, strlen(req->arguments[i].value) + 1);
    }
    crypto_hash_add(hash, req->content_type, strlen(req->content_type) + 1);
    if (req->sound != NULL) {
        int64_t bytes = sound_bytes(req->sound);
        crypto_hash_add(hash, &bytes, sizeof(bytes));
    } else if (req->upload != NULL) {
        crypto_hash_add(hash, &req->content_length, sizeof(req->content_length));
    } else {
        crypto_hash_add(hash, req->body.bytes, req->body.len);
    }
    crypto_hash_end(hash, out);
}

static enum reply repeat_answer(struct request *req, const struct db_result *found)
{
    if (!db_get_bool(found, 0, 0)) {
        return refuse(req, REPLY_UNPROCESSABLE, "idempotency_key_reused", "Idempotency-Key",
                      "this key was used with another request");
    }
    if (db_is_null(found, 0, 1)) {
        req->retry_after_s = 1;
        return refuse(req, REPLY_CONFLICT, "request_under_way", "Idempotency-Key",
                      "the first request with this key is still under way");
    }
    int64_t status = db_get_int(found, 0, 1);
    for (int reply = REPLY_OK; reply < (int)replies_count(); reply++) {
        if (reply == REPLY_STREAM || reply_http((enum reply)reply) != status) {
            continue;
        }
        str_reset(&req->body_out);
        str_puts(&req->body_out, db_get_text(found, 0, 2));
        req->code = "repeated";
        req->type_out = status >= 400 ? "application/problem+json" : NULL;
        return (enum reply)reply;
    }
    return refuse(req, REPLY_INTERNAL, "bad_answer", NULL, "the stored answer cannot be read");
}

enum reply idempotency_begin(struct request *req)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    unsigned char hash[CRYPTO_SHA256_BYTES];
    struct err err;
    int64_t rows;

    if (req->idempotency_key == NULL || !req->route->acts) {
        return REPLY_NONE;
    }
    hash_request(req, hash);
    const struct db_value values[] = { db_int8(req->caller.account_id),
                                       db_text(req->idempotency_key), db_bytes(hash, sizeof(hash)),
                                       db_int8(req->upload != NULL ? lease_ms(req->app->settings)
                                                                   : CLAIM_MS) };
    for (int tries = 0; tries < 2; tries++) {
        if (!db_run(req->db, &claim_key, values, &rows, &err)) {
            return refuse_err(req, &err);
        }
        if (rows == 1) {
            return REPLY_NONE;
        }
        if (!db_query(req->db, &find_answer, values, &found, &err)) {
            return refuse_err(req, &err);
        }
        if (db_rows(found) == 1) {
            return repeat_answer(req, found);
        }
        db_result_cleanup(&found); /* dropped between the two statements */
        found = NULL;
    }
    return refuse(req, REPLY_CONFLICT, "request_under_way", "Idempotency-Key",
                  "another request with this key is under way");
}

static bool is_stored(enum reply reply)
{
    return reply != REPLY_TOO_MANY && reply != REPLY_INTERNAL && reply != REPLY_UNAVAILABLE;
}

void idempotency_end(struct request *req, enum reply reply)
{
    struct err err;
    bool ok;

    if (req->idempotency_key == NULL || !req->route->acts) {
        return;
    }
    db_rollback(req->db); /* what the handler left open when it refused */
    if (is_stored(reply)) {
        ok = db_run(req->db, &store_answer,
                    (struct db_value[]){ db_int8(req->caller.account_id),
                                         db_text(req->idempotency_key), db_int4(reply_http(reply)),
                                         db_text(req->body_out.bytes) },
                    NULL, &err);
    } else {
        const struct db_value values[] = { db_int8(req->caller.account_id),
                                           db_text(req->idempotency_key) };
        ok = db_run(req->db, &drop_claim, values, NULL, &err) &&
             db_run(req->db, &lapse_noted, values, NULL, &err);
    }
    if (!ok) { /* the claim lapses; the answer stands */
        log_warn(&req->log, "answer_not_stored", KV_STR("why", err.what),
                 KV_STR("detail", err.detail));
    }
}

enum reply idempotency_run(struct request *req, handle_fn *handle)
{
    enum reply reply = idempotency_begin(req);

    if (reply != REPLY_NONE) {
        return reply;
    }
    reply = handle(req);
    idempotency_end(req, reply);
    return reply;
}

const char *idempotency_reference(struct request *req)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];

    if (req->idempotency_key != NULL) {
        crypto_sha256(req->idempotency_key, strlen(req->idempotency_key), digest);
        id_hex(digest, sizeof(digest), hex);
        return arena_printf(req->arena, "key:%s", hex);
    }
    id_message(hex);
    return arena_printf(req->arena, "rest:%s", hex);
}
