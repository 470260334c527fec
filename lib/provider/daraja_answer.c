/*
 * daraja_answer - what became of a push, a registration or a reversal
 *
 * The rule: "not taken" is said only on evidence. Evidence is a request that never left, a definite
 * HTTP refusal, or an error whose code and words together are known to mean that nothing was
 * begun. A 5xx of another kind, a 200 that does not say "0", and whatever cannot be read may follow
 * on an acceptance.
 */
#include <string.h>

#include "provider/daraja_envelope.h"
#include "provider/daraja_parts.h"
#include "provider/daraja_reply.h"
#include "provider/detail.h"

#define RETRY_SOON_S 5 /* no connection: the queue's own delays grow from there */
#define BUSY_S 30      /* a payer has another dialogue open, which ends within a minute */

#define LOCKED "500.001.1001"

/* What is each endpoint's own comes first. */
static const struct daraja_rule push_rules[] = {
    { 400, 599, LOCKED, "unable to lock subscriber", DARAJA_RETRY, "payer_busy", BUSY_S },
    { 400, 599, LOCKED, "already in process", DARAJA_RETRY, "payer_busy", BUSY_S },
    { 400, 400, "400.002.02", "phonenumber", DARAJA_REFUSED, "invalid_phone", 0 },
    { 400, 400, "400.002.02", "phone number", DARAJA_REFUSED, "invalid_phone", 0 },
    { 400, 400, "400.002.02", "partya", DARAJA_REFUSED, "invalid_phone", 0 },
    { 400, 400, "400.002.02", "amount", DARAJA_REFUSED, "invalid_amount", 0 },
    DARAJA_RULES_END,
};

static const struct daraja_rule register_rules[] = {
    { 400, 599, "500.003.1001", "already registered", DARAJA_REFUSED, "already_registered", 0 },
    DARAJA_RULES_END,
};

static const struct daraja_rule reversal_rules[] = { DARAJA_RULES_END };

/* Before the token's: the gateway may say this with 401 too, and no other token would help. */
static const struct daraja_rule product_rules[] = {
    { 400, 499, NULL, "apiproduct", DARAJA_MISCONFIGURED, "product_not_enabled", 0 },
    DARAJA_RULES_END,
};

static const struct daraja_rule act_rules[] = {
    { 400, 599, "500.003.02", "busy", DARAJA_RETRY, "system_busy", DARAJA_WAIT_S },
    { 400, 599, LOCKED, "merchant does not exist", DARAJA_MISCONFIGURED, "merchant_unknown", 0 },
    { 400, 599, LOCKED, "wrong credentials", DARAJA_MISCONFIGURED, "wrong_credentials", 0 },
    { 400, 400, "400.002.02", NULL, DARAJA_MISCONFIGURED, "invalid_field", 0 },
    { 400, 400, "400.002.05", NULL, DARAJA_MISCONFIGURED, "invalid_payload", 0 },
    { 403, 403, NULL, NULL, DARAJA_MISCONFIGURED, "forbidden", 0 },
    { 404, 404, NULL, NULL, DARAJA_MISCONFIGURED, "wrong_path", 0 },
    { 405, 405, NULL, NULL, DARAJA_MISCONFIGURED, "wrong_method", 0 },
    /* A gateway may say it while M-Pesa works on. */
    { 408, 408, NULL, NULL, DARAJA_UNKNOWN, "provider_timeout", 0 },
    { 400, 499, NULL, NULL, DARAJA_MISCONFIGURED, "bad_request", 0 },
    { 301, 301, NULL, NULL, DARAJA_MISCONFIGURED, "moved", 0 },
    { 307, 308, NULL, NULL, DARAJA_MISCONFIGURED, "moved", 0 },
    { 500, 599, NULL, NULL, DARAJA_UNKNOWN, "provider_error", 0 },
    { 0, INT32_MAX, NULL, NULL, DARAJA_UNKNOWN, "unexpected_status", 0 },
    DARAJA_RULES_END,
};

const char *daraja_class_name(enum daraja_class class)
{
    static const char *const names[] = {
        [DARAJA_UNKNOWN] = "unknown", [DARAJA_ACCEPTED] = "accepted",
        [DARAJA_REFUSED] = "refused", [DARAJA_MISCONFIGURED] = "misconfigured",
        [DARAJA_RETRY] = "retry",     [DARAJA_TOKEN] = "token",
    };

    return names[class];
}

static void set(struct daraja_answer *out, enum daraja_class class, const char *why)
{
    out->class = class;
    out->why = why;
}

/* What a reply other than 200 means at the endpoint whose own rules are given. */
static void judge(const struct daraja_rule *own, const struct daraja_envelope *envelope,
                  struct daraja_answer *out)
{
    const struct {
        const struct daraja_rule *rules;
        enum daraja_class class; /* DARAJA_UNKNOWN: the row's */
    } tables[] = {
        { own, DARAJA_UNKNOWN },
        { product_rules, DARAJA_UNKNOWN },
        { daraja_throttle_rules, DARAJA_RETRY },
        { daraja_token_rules, DARAJA_TOKEN },
        { act_rules, DARAJA_UNKNOWN },
    };

    set(out, DARAJA_UNKNOWN, "unexpected_status");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        const struct daraja_rule *rule = daraja_match(tables[i].rules, envelope);
        if (rule == NULL) {
            continue;
        }
        set(out,
            tables[i].class != DARAJA_UNKNOWN ? tables[i].class : (enum daraja_class)rule->class,
            rule->why);
        if (out->class == DARAJA_RETRY) {
            out->retry_after_s = daraja_wait_s(rule, envelope);
        }
        return;
    }
}

/*
 * Fills *out as far as it can be without looking for what an acceptance brings. True when the reply
 * is a 200 with ResponseCode 0, then *out_root is its body.
 */
static bool read_answer(const struct http_reply *reply, const struct daraja_rule *own,
                        struct daraja_answer *out, const struct loose **out_root,
                        struct arena *arena)
{
    struct daraja_envelope envelope;

    *out = (struct daraja_answer){
        .code = "",
        .merchant_request_id = "",
        .checkout_request_id = "",
        .originator_conversation_id = "",
        .conversation_id = "",
    };
    if (reply->sent != HTTP_ANSWERED) {
        set(out, reply->sent == HTTP_NOT_SENT ? DARAJA_RETRY : DARAJA_UNKNOWN, reply->err.what);
        out->retry_after_s = reply->sent == HTTP_NOT_SENT ? RETRY_SOON_S : 0;
        detail_set(out->detail, sizeof(out->detail), reply->err.detail);
        return false;
    }
    daraja_open(reply, &envelope, arena);
    out->status = envelope.status;
    out->code = envelope.code;
    memcpy(out->detail, envelope.detail, sizeof(out->detail));
    if (envelope.status != 200) {
        judge(own, &envelope, out);
        return false;
    }
    if (envelope.root == NULL) {
        set(out, DARAJA_UNKNOWN, "unreadable_reply");
        return false;
    }
    /* The query is known to say 200 and mean an error that is none; so may others. */
    if (envelope.code[0] != '\0' || loose_member(envelope.root, "fault") != NULL) {
        set(out, DARAJA_UNKNOWN, "error_with_200");
        return false;
    }
    out->code = daraja_text(envelope.root, "ResponseCode");
    if (strcmp(out->code, "0") != 0) {
        set(out, DARAJA_UNKNOWN, "unexpected_code");
        detail_set(out->detail, sizeof(out->detail),
                   daraja_text(envelope.root, "ResponseDescription"));
        return false;
    }
    set(out, DARAJA_ACCEPTED, "accepted");
    out->detail[0] = '\0';
    *out_root = envelope.root;
    return true;
}

void daraja_push_read(const struct http_reply *reply, struct daraja_answer *out,
                      struct arena *arena)
{
    const struct loose *root;

    if (!read_answer(reply, push_rules, out, &root, arena)) {
        return;
    }
    const char *checkout = daraja_text(root, "CheckoutRequestID");
    const char *merchant = daraja_text(root, "MerchantRequestID");
    if (!daraja_is_id(checkout)) {
        set(out, DARAJA_UNKNOWN, "ids_missing");
        return;
    }
    out->checkout_request_id = checkout;
    out->merchant_request_id = daraja_is_id(merchant) ? merchant : "";
}

/* The first spelling is the documented one of the registration. */
static void read_conversation(const struct loose *root, struct daraja_answer *out)
{
    const char *originator = daraja_text(root, "OriginatorCoversationID");
    const char *conversation = daraja_text(root, "ConversationID");

    if (originator[0] == '\0') {
        originator = daraja_text(root, "OriginatorConversationID");
    }
    out->originator_conversation_id = daraja_is_id(originator) ? originator : "";
    out->conversation_id = daraja_is_id(conversation) ? conversation : "";
}

void daraja_register_read(const struct http_reply *reply, struct daraja_answer *out,
                          struct arena *arena)
{
    const struct loose *root;

    if (read_answer(reply, register_rules, out, &root, arena)) {
        read_conversation(root, out);
    }
}

void daraja_reversal_read(const struct http_reply *reply, struct daraja_answer *out,
                          struct arena *arena)
{
    const struct loose *root;

    if (read_answer(reply, reversal_rules, out, &root, arena)) {
        read_conversation(root, out);
    }
}
