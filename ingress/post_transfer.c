/*
 * POST /api/tokens/transfer - give available tokens to another account
 *
 * The reference is made here and noted beside the Idempotency-Key, in the transaction that moves
 * the tokens: a request that is run again answers with what it did the first time. Both accounts
 * are told by an event, of which reserve-tokens takes care.
 */
#include <string.h>

#include "base/clock.h"
#include "campaign/store.h"
#include "entry_view.h"
#include "idempotency.h"
#include "ledger/ledger.h"
#include "routes.h"
#include "rows.h"

#define TO_MAX 254 /* of an e-mail address */
#define REASON_MAX 200
#define TOKENS_MAX INT64_C(1000000000000)

struct gift {
    const char *to, *reason;
    int64_t tokens;
};

static const struct field gift_fields[] = {
    FIELD_STR(struct gift, to, 1, TO_MAX),
    FIELD_INT(struct gift, tokens, 1, TOKENS_MAX),
    FIELD_STR(struct gift, reason, 0, REASON_MAX, FIELD_OPTIONAL),
    FIELD_END,
};

static const struct shape gift_shape = {
    .type = "transfer",
    .size = sizeof(struct gift),
    .fields = gift_fields,
};

/* Which field of the body a refusal of the ledger is about, and what to do instead. */
static const struct {
    const char *what, *field, *fix;
} faults[] = {
    { "transfer_to_self", "to", "; name another account" },
    { "account_inactive", "to", "; nobody can give tokens to it or from it" },
    { "transfer_limit", "tokens", "; make it several transfers, or ask us" },
    { "daily_limit", "tokens", "; wait, or ask us" },
    { "tokens_missing", "tokens", "; transfer fewer, or buy some" },
    { "bad_words", "reason", "" },
};

static enum reply refuse_gift(struct request *req, const struct err *err)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (err->kind == ERR_PERMANENT && strcmp(err->what, faults[i].what) == 0) {
            return refuse(req, REPLY_UNPROCESSABLE, err->what, faults[i].field, "%s%s", err->detail,
                          faults[i].fix);
        }
    }
    return refuse_err(req, err);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* REPLY_NONE when both the body and whom it names are well. */
static enum reply read_gift(struct request *req, struct gift *gift, struct account *to)
{
    static const char *const known[] = { "to", "tokens", "reason" };
    const char *body = req->body.bytes != NULL ? req->body.bytes : "";
    struct err err;
    bool found;

    if (!shape_read(&gift_shape, body, req->body.len, gift, req->arena, &err) ||
        !json_check_members(body, req->body.len, known, sizeof known / sizeof *known, &err)) {
        return refuse_err(req, &err);
    }
    if (gift->reason != NULL && is_blank(gift->reason)) {
        gift->reason = NULL;
    }
    if (!account_find(req->db, gift->to, 0, req->arena, to, &found, &err)) {
        return refuse_err(req, &err);
    }
    if (!found) {
        return refuse(req, REPLY_UNPROCESSABLE, "account_unknown", "to",
                      "no account has this e-mail address or name; ask the other side for it");
    }
    return REPLY_NONE;
}

/* {"reference":…,"entry":{…},"balance":{…}}: as it stands now. */
static enum reply answer(struct request *req, const char *reference)
{
    struct str *out = &req->body_out;
    struct ledger_balance balance;
    struct ledger_entry *entries;
    struct err err;
    size_t count;

    if (!ledger_find(req->db, req->caller.account_id, reference, req->arena, &entries, &count,
                     &err) ||
        !ledger_balance(req->db, req->caller.account_id, &balance, &err)) {
        return refuse_err(req, &err);
    }
    if (count == 0) {
        return refuse(req, REPLY_INTERNAL, "bad_note", NULL,
                      "what the first request made cannot be found");
    }
    str_putc(out, '{');
    put_text(out, "reference", reference);
    str_puts(out, ",\"entry\":");
    entry_view_put(req, out, &entries[0]);
    put_int(out, "available", balance.available);
    put_int(out, "reserved", balance.reserved);
    str_putc(out, '}');
    return REPLY_OK;
}

static const struct db_statement find_key = {
    "ingress_find_key",
    "SELECT prefix FROM api_keys WHERE id = $1",
    1,
};

/* As its owner knows it. */
static bool name_key(struct request *req, const char **out_name, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const struct db_value id = db_int8(req->caller.key_id);

    if (!db_query(req->db, &find_key, &id, &found, err)) {
        return false;
    }
    *out_name =
        arena_printf(req->arena, "API key %s…", db_rows(found) > 0 ? db_get_text(found, 0, 0) : "");
    return true;
}

enum reply post_transfer(struct request *req)
{
    const struct settings *settings = req->app->settings;
    struct ledger_transfer transfer = {
        .from = req->caller.account_id,
        .limit_each = settings->transfer_max,
        .limit_day = settings->transfer_day_max,
    };
    struct account to = { 0 };
    struct gift gift = { 0 };
    const char *noted;
    enum reply reply;
    struct err err;

    if (!idempotency_noted(req, &noted, &err)) {
        return refuse_err(req, &err);
    }
    if (noted != NULL) {
        return answer(req, noted);
    }
    if ((reply = read_gift(req, &gift, &to)) != REPLY_NONE) {
        return reply;
    }
    transfer.to = to.id;
    transfer.tokens = gift.tokens;
    transfer.reason = gift.reason;
    transfer.reference = ledger_reference("TRF", req->arena);
    if (!name_key(req, &transfer.actor, &err) || !db_begin(req->db, &err) ||
        !ledger_transfer(req->db, &transfer, clock_now_ms(), NULL, &err) ||
        !idempotency_note(req, transfer.reference, &err) || !db_commit(req->db, &err)) {
        db_rollback(req->db);
        return refuse_gift(req, &err);
    }
    return answer(req, transfer.reference);
}
