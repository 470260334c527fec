/*
 * daraja_query - what M-Pesa says of a push when asked, and the access token's reply
 *
 * A query may be asked again at will, so only certainty concludes: 200, ResponseCode 0, the id that
 * was asked for, and a result code known to be final. Errors between two good answers are common,
 * and "in progress" comes in four forms.
 */
#include <string.h>

#include "base/str.h"
#include "provider/daraja_envelope.h"
#include "provider/daraja_parts.h"
#include "provider/daraja_reply.h"
#include "provider/detail.h"

#define EXPIRES_IN_S 3600 /* when the reply does not say: M-Pesa's nominal life of a token */
#define EXPIRES_IN_S_MAX 86400
#define TOKEN_BYTES_MAX 4000

static const struct daraja_rule query_rules[] = {
    { 400, 599, "500.003.02", NULL, DARAJA_QUERY_THROTTLED, "system_busy", DARAJA_WAIT_S },
    { 400, 599, NULL, "being processed", DARAJA_QUERY_UNDECIDED, "in_progress", 0 },
    { 400, 599, NULL, "does not exist", DARAJA_QUERY_UNDECIDED, "id_not_known", 0 },
    { 400, 400, NULL, "checkoutrequestid", DARAJA_QUERY_UNDECIDED, "id_not_known", 0 },
    { 400, 599, NULL, "wrong credentials", DARAJA_QUERY_UNDECIDED, "wrong_credentials", 0 },
    { 400, 499, NULL, NULL, DARAJA_QUERY_UNDECIDED, "query_refused", 0 },
    { 500, 599, NULL, NULL, DARAJA_QUERY_UNDECIDED, "provider_error", 0 },
    { 0, INT32_MAX, NULL, NULL, DARAJA_QUERY_UNDECIDED, "unexpected_status", 0 },
    DARAJA_RULES_END,
};

static void set(struct daraja_query_answer *out, enum daraja_query_class class, const char *why)
{
    out->class = class;
    out->why = why;
}

/* A 200 with a body: the only kind that can conclude. */
static void read_result(const struct daraja_envelope *envelope, const char *asked,
                        struct daraja_query_answer *out)
{
    const struct loose *root = envelope->root;

    if (root == NULL) {
        set(out, DARAJA_QUERY_UNDECIDED, "unreadable_reply");
        return;
    }
    if (loose_member(root, "fault") != NULL || loose_member(root, "errorCode") != NULL) {
        bool processed = strcmp(envelope->code, "500.001.1001") == 0;
        set(out, DARAJA_QUERY_UNDECIDED, processed ? "in_progress" : "error_with_200");
        return;
    }
    if (strcmp(daraja_text(root, "ResponseCode"), "0") != 0) {
        set(out, DARAJA_QUERY_UNDECIDED, "unexpected_code");
        return;
    }
    if (asked[0] == '\0' || strcmp(daraja_text(root, "CheckoutRequestID"), asked) != 0) {
        set(out, DARAJA_QUERY_UNDECIDED, "other_id");
        return;
    }
    out->code = daraja_text(root, "ResultCode");
    const struct daraja_result *result = daraja_stk_result(out->code);
    out->ours = result->ours;
    detail_set(out->detail, sizeof(out->detail), daraja_text(root, "ResultDesc"));
    switch (result->state) {
    case DARAJA_PAID:
        set(out, DARAJA_QUERY_PAID, result->reason);
        return;
    case DARAJA_FAILED:
        set(out, DARAJA_QUERY_FAILED, result->reason);
        return;
    case DARAJA_UNDECIDED:
        break;
    }
    set(out, DARAJA_QUERY_UNDECIDED, result->reason);
}

static void judge(const struct daraja_envelope *envelope, struct daraja_query_answer *out)
{
    const struct daraja_rule *rule = daraja_match(daraja_throttle_rules, envelope);

    if (rule != NULL) {
        set(out, DARAJA_QUERY_THROTTLED, rule->why);
    } else if ((rule = daraja_match(daraja_token_rules, envelope)) != NULL) {
        set(out, DARAJA_QUERY_TOKEN, rule->why);
    } else if ((rule = daraja_match(query_rules, envelope)) != NULL) {
        set(out, (enum daraja_query_class)rule->class, rule->why);
    } else {
        set(out, DARAJA_QUERY_UNDECIDED, "unexpected_status");
    }
    if (out->class == DARAJA_QUERY_THROTTLED) {
        out->retry_after_s = daraja_wait_s(rule, envelope);
    }
}

void daraja_query_read(const struct http_reply *reply, const char *checkout_request_id,
                       struct daraja_query_answer *out, struct arena *arena)
{
    struct daraja_envelope envelope;

    *out = (struct daraja_query_answer){ .code = "" };
    if (reply->sent != HTTP_ANSWERED) {
        set(out, DARAJA_QUERY_UNDECIDED, reply->err.what);
        detail_set(out->detail, sizeof(out->detail), reply->err.detail);
        return;
    }
    daraja_open(reply, &envelope, arena);
    out->status = envelope.status;
    out->code = envelope.code;
    memcpy(out->detail, envelope.detail, sizeof(out->detail));
    if (envelope.status == 200) {
        read_result(&envelope, checkout_request_id, out);
        return;
    }
    judge(&envelope, out);
}

bool daraja_token_read(const struct http_reply *reply, const char **out_token,
                       int64_t *out_expires_in_ms, struct arena *arena, struct err *err)
{
    struct daraja_envelope envelope;
    int64_t expires_s;

    if (reply->sent != HTTP_ANSWERED) {
        /* A token may be asked for again, whatever became of the first. */
        return err_temporary(err, reply->err.what, "%s", reply->err.detail);
    }
    daraja_open(reply, &envelope, arena);
    if (envelope.status == 401 ||
        (envelope.status == 400 && strncmp(envelope.code, "400.008.", 8) == 0)) {
        return err_permanent(err, "mpesa_bad_credentials",
                             "M-Pesa refuses MPESA_CONSUMER_KEY and MPESA_CONSUMER_SECRET: %d %s",
                             envelope.status, envelope.detail);
    }
    if (envelope.status != 200) {
        return err_temporary(err, "mpesa_no_token", "M-Pesa answered %d when asked for a token",
                             envelope.status);
    }
    const char *token = daraja_text(envelope.root, "access_token");
    /* It goes into a header line. */
    if (!daraja_is_visible(token, TOKEN_BYTES_MAX)) {
        return err_temporary(err, "mpesa_no_token", "M-Pesa's answer has no readable token");
    }
    if (!str_parse_int(daraja_text(envelope.root, "expires_in"), 1, EXPIRES_IN_S_MAX, &expires_s)) {
        expires_s = EXPIRES_IN_S;
    }
    *out_token = token;
    *out_expires_in_ms = expires_s * 1000;
    return true;
}
