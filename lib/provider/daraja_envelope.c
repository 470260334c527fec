/*
 * daraja_envelope - a reply's status, error code and words, whichever of four shapes it has
 */
#include "provider/daraja_envelope.h"

#include <string.h>

#include "provider/daraja_parts.h"
#include "provider/detail.h"

#define WAIT_MAX_S 3600 /* our bound on what a reply may ask for */

#define SPIKE "policies.ratelimit.SpikeArrestViolation"
#define QUOTA "policies.ratelimit.QuotaViolation"

const struct daraja_rule daraja_throttle_rules[] = {
    { 429, 429, NULL, NULL, 0, "throttled", DARAJA_WAIT_S },
    { 400, 599, SPIKE, NULL, 0, "throttled", DARAJA_WAIT_S },
    { 400, 599, QUOTA, NULL, 0, "quota_exceeded", DARAJA_WAIT_S },
    { 400, 599, "500.003.02", "spike arrest", 0, "throttled", DARAJA_WAIT_S },
    { 400, 599, "500.003.03", "quota", 0, "quota_exceeded", DARAJA_WAIT_S },
    DARAJA_RULES_END,
};

/* The code differs by product and age; only a refusal says it, never a 5xx. */
const struct daraja_rule daraja_token_rules[] = {
    { 400, 499, NULL, "invalid access token", 0, "token_invalid", 0 },
    { 400, 499, "404.001.03", NULL, 0, "token_invalid", 0 },
    { 400, 499, "404.001.04", NULL, 0, "token_invalid", 0 },
    { 400, 499, "400.003.01", NULL, 0, "token_invalid", 0 },
    { 400, 499, "401.001", NULL, 0, "token_invalid", 0 },
    { 400, 499, "401.002.01", NULL, 0, "token_invalid", 0 },
    { 400, 499, "401.003.01", NULL, 0, "token_invalid", 0 },
    { 401, 401, NULL, NULL, 0, "token_invalid", 0 },
    DARAJA_RULES_END,
};

void daraja_open(const struct http_reply *reply, struct daraja_envelope *out, struct arena *arena)
{
    const struct loose *fault;
    struct err err;

    *out = (struct daraja_envelope){
        .status = reply->status,
        .code = "",
        .words = "",
        .retry_after_s = reply->retry_after_s,
    };
    if (!daraja_body_read(reply->body, reply->body_len, &out->root, arena, &err)) {
        detail_set(out->detail, sizeof(out->detail), reply->body);
        return;
    }
    fault = loose_member(out->root, "fault");
    if (fault != NULL) {
        out->code = daraja_text(loose_member(fault, "detail"), "errorcode");
        out->words = daraja_text(fault, "faultstring");
    } else {
        out->code = daraja_text(out->root, "errorCode");
        out->words = daraja_text(out->root, "errorMessage");
    }
    detail_set(out->detail, sizeof(out->detail), out->words);
}

const struct daraja_rule *daraja_match(const struct daraja_rule *rules,
                                       const struct daraja_envelope *envelope)
{
    for (const struct daraja_rule *rule = rules; rule->why != NULL; rule++) {
        if (envelope->status >= rule->from && envelope->status <= rule->to &&
            (rule->code == NULL || strcmp(rule->code, envelope->code) == 0) &&
            (rule->words == NULL || strcasestr(envelope->words, rule->words) != NULL)) {
            return rule;
        }
    }
    return NULL;
}

int64_t daraja_wait_s(const struct daraja_rule *rule, const struct daraja_envelope *envelope)
{
    int64_t wait_s = envelope->retry_after_s;

    if (wait_s < 0) {
        return rule->wait_s;
    }
    if (wait_s < 1) {
        return 1;
    }
    return wait_s > WAIT_MAX_S ? WAIT_MAX_S : wait_s;
}
