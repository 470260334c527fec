#include "voice_post.h"

#include <string.h>

#include "base/err.h"
#include "callback.h"
#include "campaign/voice.h"
#include "http/http.h"
#include "msg/campaign.h"
#include "msg/report.h"

#define PROVIDER "africastalking"
#define STEPS_MAX (CAMPAIGN_REPEATS_MAX + 2) /* heard, again, and asked once more */

struct form {
    struct http_pair pairs[AT_VOICE_FIELDS_MAX];
    int count;
};

static bool is_word(const struct form *form, const char *key, const char *word)
{
    const char *value = http_form_find(form->pairs, form->count, key);

    return value != NULL && strcmp(value, word) == 0;
}

/* A forged or broken argument says nothing. */
static void read_said(const struct voice_said *said, struct voice_post *out)
{
    int64_t step;
    int batch, pass;

    if (said->step != NULL && str_parse_int(said->step, 1, STEPS_MAX, &step)) {
        out->step = (int)step;
    }
    if (said->campaign != NULL && id_parse("cmp", said->campaign, &out->campaign)) {
        return;
    }
    if (!voice_request_read(out->call.request_id, &out->campaign, &batch, &pass)) {
        out->campaign = 0;
    }
}

static int64_t or_zero(int64_t value)
{
    return value < 0 ? 0 : value;
}

static bool keep_call(const struct voice_post *post, const struct voice_said *said, int64_t now_ms,
                      struct str *json, struct err *err)
{
    const struct at_voice *call = &post->call;
    const bool ended = post->made == VOICE_ENDED;
    int64_t ignored;
    const struct call_reported reported = {
        .provider = PROVIDER,
        .session = call->session_id,
        .phone = call->caller,
        .request = call->request_id,
        .campaign = said->campaign != NULL && id_parse("cmp", said->campaign, &ignored)
                        ? said->campaign
                        : "",
        .ended = ended,
        .step = ended            ? 0
                : post->step > 0 ? post->step
                                 : 1,
        .keys = call->digits,
        .duration_s = ended ? or_zero(call->duration_s) : 0,
        .amount_e4 = ended ? or_zero(call->amount_e4) : 0,
        .currency = ended ? call->currency : "",
        .status = ended ? call->status : "",
        .cause = ended ? call->hangup_cause : "",
        .received_ms = now_ms,
    };

    if (reported.amount_e4 > INT32_MAX) {
        return err_permanent(err, "bad_field", "amount is too large");
    }
    if (!callback_fits(&call_reported_v1, &reported, err)) {
        return false;
    }
    shape_write(&call_reported_v1, &reported, json);
    return true;
}

/* A post that comes again has the same id. */
static void name_message(struct arena *arena, struct voice_post *post)
{
    const char *what =
        post->made == VOICE_ENDED
            ? arena_printf(arena, "%s end", post->call.session_id)
            : arena_printf(arena, "%s %d %s", post->call.session_id, post->step, post->call.digits);

    callback_derive_id("voice", what, post->id);
}

static enum voice_made decide(const struct voice_post *post)
{
    if (post->call.direction == AT_DIRECTION_INBOUND) {
        return VOICE_INBOUND;
    }
    if (!post->is_active) {
        return VOICE_ENDED;
    }
    return post->call.digits[0] != '\0' ? VOICE_KEYS : VOICE_ASKS;
}

static bool read_call(const struct form *form, const struct voice_said *said, int64_t now_ms,
                      struct arena *arena, struct str *json, struct voice_post *out,
                      struct err *err)
{
    if (!at_voice_read(form->pairs, form->count, &out->call, arena, err)) {
        return false;
    }
    read_said(said, out);
    out->is_active = out->call.is_active;
    out->made = decide(out);
    out->is_answer = out->is_active && (out->made == VOICE_KEYS || out->step > 0 ||
                                        is_word(form, "dtmfDigits", "undefined"));
    if (out->made != VOICE_KEYS && out->made != VOICE_ENDED) {
        return true;
    }
    name_message(arena, out);
    return keep_call(out, said, now_ms, json, err);
}

void voice_post_read(const char *body, size_t len, const struct voice_said *said, int64_t now_ms,
                     struct arena *arena, struct str *json, struct voice_post *out)
{
    struct form form;
    struct err err;

    str_reset(json);
    *out = (struct voice_post){ .made = VOICE_MISREAD };
    form.count = http_form_read(body, len, form.pairs, AT_VOICE_FIELDS_MAX, arena, &err);
    if (form.count >= 0) {
        out->is_active = is_word(&form, "isActive", "1");
    }
    if (form.count < 0 || !read_call(&form, said, now_ms, arena, json, out, &err)) {
        out->made = VOICE_MISREAD;
        callback_keep_misread("voice", body, len, err.detail, now_ms, arena, json, out->id);
    }
}

const struct shape *voice_post_shape(const struct voice_post *post)
{
    return post->made == VOICE_MISREAD ? &callback_misread_v1 : &call_reported_v1;
}
