/*
 * calls - what each report of a call does
 *
 * Keys and ends come in any order: whoever pressed the key that stops is not called again, also
 * when the end came first and would have had it so.
 */
#include "calls.h"

#include <string.h>

#include "apply.h"
#include "base/id.h"
#include "ends.h"

#define DAY_MS (24LL * 3600 * 1000)
#define DOUBLED_MOST 16 /* a pause grows by that many steps */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

void call_read(const struct call_reported *told, struct call *out_call)
{
    const char *campaign = or_empty(told->campaign), *request = or_empty(told->request);
    int batch, pass;
    struct call call = {
        .provider = told->provider,
        .session = told->session,
        .msisdn = apply_msisdn(or_empty(told->phone)),
        .ended = told->ended,
        .step = (int16_t)told->step,
        .keys = or_empty(told->keys),
        .duration_s = told->duration_s,
        .amount_e4 = told->amount_e4,
        .currency = or_empty(told->currency),
        .status = or_empty(told->status),
        .cause = or_empty(told->cause),
        .received_ms = told->received_ms,
    };

    if (!id_parse("cmp", campaign, &call.campaign_id) &&
        !voice_request_read(request, &call.campaign_id, &batch, &pass)) {
        call.campaign_id = *campaign != '\0' || *request != '\0' ? CALL_OF_OTHERS : 0;
    }
    call.end = at_voice_end(&(struct at_voice){
        .duration_s = call.duration_s, .status = call.status, .hangup_cause = call.cause });
    *out_call = call;
}

const char *call_raw(const struct call *call, struct arena *arena)
{
    char campaign[ID_TEXT_BYTES] = "";

    if (call->campaign_id > 0) {
        id_format("cmp", call->campaign_id, campaign);
    }
    return arena_printf(arena,
                        "sessionId=%s&callerNumber=%lld&campaign=%s&isActive=%d&dtmfDigits=%s"
                        "&step=%d&durationInSeconds=%lld&amount_e4=%lld&currencyCode=%s&status=%s"
                        "&hangupCause=%s",
                        call->session, (long long)call->msisdn, campaign, !call->ended, call->keys,
                        (int)call->step, (long long)call->duration_s, (long long)call->amount_e4,
                        call->currency, call->status, call->cause);
}

/* It has to wait, unless it was told before. */
static void hold_back(const struct ends *ends, const struct callee *callee, struct call *call)
{
    call->fate = ends_has(ends, callee, call) ? CALL_KNOWN : CALL_WAITS;
}

/* What a call is to the recipient. */
enum part {
    PART_AWAITED, /* the one it waits for */
    PART_LATE,    /* the one it was waited for in vain */
    PART_OTHER,
};

static enum part part_of(const struct callee *callee, const struct call *call)
{
    bool named = strcmp(callee->session, call->session) == 0;
    bool unnamed = *callee->session == '\0' || callee->has_ended;

    switch (callee->state) {
    case CALLEE_CALLED:
        return named ? PART_AWAITED : PART_OTHER;
    case CALLEE_IN_DOUBT:
        return named || unnamed ? PART_AWAITED : PART_OTHER;
    case CALLEE_EXPIRED:
        return named && strcmp(callee->reason, "no_report") == 0 ? PART_LATE : PART_OTHER;
    case CALLEE_FAILED:
        return (named || unnamed) && strcmp(callee->reason, "answer_lost") == 0 ? PART_LATE
                                                                                : PART_OTHER;
    default:
        return PART_OTHER;
    }
}

static bool is_answered(const struct call *call)
{
    return strcmp(call->end.word, "completed") == 0;
}

/* Percent of what was to be heard. */
static int16_t listened(const struct callee *callee, const struct call *call)
{
    int64_t heard_ms = call->duration_s * 1000;
    int64_t percent = heard_ms >= callee->content_ms ? 100 : heard_ms * 100 / callee->content_ms;

    return (int16_t)percent;
}

static bool is_called_again(const struct reconcile_conf *conf, const struct callee *callee,
                            const struct call *call)
{
    const struct voice *voice = callee->voice;
    long most = voice->attempts > 0 ? voice->attempts : conf->call_attempts;
    bool is_short =
        is_answered(call) && callee->heard == 0 && listened(callee, call) < voice->below_percent;

    return callee->goes_on && !callee->has_stopped && callee->attempts < most &&
           (call->end.again || is_short);
}

/* Twice as long after each call. */
static int64_t pause_ms(const struct reconcile_conf *conf, const struct callee *callee)
{
    int64_t first_ms =
        callee->voice->retry_s > 0 ? callee->voice->retry_s * INT64_C(1000) : conf->call_backoff_ms;
    int doubled = callee->attempts > 1 ? callee->attempts - 1 : 0;
    int64_t pause = first_ms << (doubled < DOUBLED_MOST ? doubled : DOUBLED_MOST);

    return pause < DAY_MS ? pause : DAY_MS;
}

/* What a call that is told now costs the account: nothing once the recipient's end is paid. */
static int32_t tokens_of(const struct callee *callee, const struct call *call)
{
    int32_t left = callee->segments - callee->tokens;
    int32_t tokens = is_answered(call) ? voice_tokens(callee->voice, call->duration_s) : 0;

    if (callee->state != CALLEE_CALLED && callee->state != CALLEE_IN_DOUBT) {
        return 0;
    }
    return tokens < left ? tokens : left > 0 ? left : 0;
}

static void take_end(struct ends *ends, const struct reconcile_conf *conf, struct callee *callee,
                     struct call *call, int64_t now_ms)
{
    enum part part = part_of(callee, call);
    bool again = part == PART_AWAITED && is_called_again(conf, callee, call);
    int32_t tokens = tokens_of(callee, call);
    bool reached;

    if (callee->state == CALLEE_PENDING || (again && callee->is_claimed)) {
        hold_back(ends, callee, call);
        return;
    }
    if (ends_has(ends, callee, call)) {
        call->fate = CALL_KNOWN;
        return;
    }
    ends_add(ends, callee, call, is_answered(call) ? listened(callee, call) : -1, tokens);
    callee->heard += is_answered(call);
    callee->tokens += tokens;
    callee_pay(callee, call->amount_e4, call->currency);
    if (part == PART_OTHER) {
        return;
    }
    callee->session = callee->new_session = call->session;
    callee->has_ended = true;
    reached = callee->heard > 0; /* by this call or one before */
    if (again) {
        callee_again(callee, call->end.word, now_ms + pause_ms(conf, callee));
    } else if (part == PART_LATE) {
        callee_put_right(callee, reached ? CALLEE_DELIVERED : CALLEE_FAILED,
                         reached ? NULL : call->end.word, call->received_ms);
    } else {
        callee_end(callee, reached ? CALLEE_DELIVERED : CALLEE_FAILED,
                   reached ? NULL : call->end.word, call->received_ms);
    }
}

static const struct db_statement add_keys = {
    "calls_add_keys",
    "INSERT INTO call_keys (campaign_id, seq, session_id, step, keys, pressed_at)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT ON CONSTRAINT call_keys_pkey DO NOTHING",
    6,
};

static bool take_keys(struct db *db, struct callee *callee, struct call *call, struct err *err)
{
    int64_t rows;

    if (!db_run(db, &add_keys,
                (struct db_value[]){ db_int8(callee->campaign_id), db_int4(callee->seq),
                                     db_text(call->session), db_int2(call->step),
                                     db_text(call->keys), db_time(call->received_ms) },
                &rows, err)) {
        return false;
    }
    if (rows == 0) {
        call->fate = CALL_KNOWN;
    } else if (callee->voice->stop_key != '\0' && call->keys[0] == callee->voice->stop_key) {
        callee->has_stopped = callee->stops_now = true;
        /* The end was told first, and had it called again. */
        if (callee->state == CALLEE_PENDING && callee->heard > 0 && !callee->is_claimed) {
            callee_end(callee, CALLEE_DELIVERED, NULL, call->received_ms);
        }
    }
    return true;
}

static const struct db_statement suppress = {
    "calls_suppress",
    "INSERT INTO suppressions (account_id, msisdn, reason)"
    " SELECT account_id, msisdn, 'pressed_stop'"
    "   FROM unnest($1::bigint[], $2::bigint[]) AS u(account_id, msisdn)"
    "  ORDER BY account_id, msisdn"
    " ON CONFLICT ON CONSTRAINT suppressions_key DO NOTHING",
    2,
};

/* They are not called or sent to again. */
static bool suppress_stopped(struct db *db, const struct callees *callees, struct arena *arena,
                             struct err *err)
{
    int64_t *accounts = arena_array(arena, callees->count + 1, sizeof *accounts);
    int64_t *msisdns = arena_array(arena, callees->count + 1, sizeof *msisdns);
    size_t n = 0;

    for (size_t i = 0; i < callees->count; i++) {
        if (callees->list[i].stops_now) {
            accounts[n] = callees->list[i].account_id;
            msisdns[n++] = callees->list[i].msisdn;
        }
    }
    return n == 0 ||
           db_run(db, &suppress, (struct db_value[]){ db_int8s(accounts, n), db_int8s(msisdns, n) },
                  NULL, err);
}

static bool take(struct db *db, struct ends *ends, const struct reconcile_conf *conf,
                 struct callee *callee, struct call *call, int64_t now_ms, struct err *err)
{
    call->fate = callee == NULL ? CALL_WAITS : CALL_APPLIED;
    if (callee == NULL) {
        return true;
    }
    if (!call->ended) {
        return take_keys(db, callee, call, err);
    }
    take_end(ends, conf, callee, call, now_ms);
    return true;
}

static struct place *find_places(struct db *db, const struct reconcile_conf *conf,
                                 const struct call *calls, size_t count, int64_t now_ms,
                                 struct arena *arena, struct err *err)
{
    struct asked *asked = arena_array(arena, count + 1, sizeof *asked);
    struct place *places = arena_array(arena, count + 1, sizeof *places);

    for (size_t i = 0; i < count; i++) {
        asked[i] = (struct asked){ .msisdn = calls[i].msisdn,
                                   .campaign_id = calls[i].campaign_id,
                                   .session = calls[i].session,
                                   .received_ms = calls[i].received_ms };
    }
    return callees_find(db, asked, count, now_ms - conf->doubt_after_ms, now_ms, arena, places, err)
               ? places
               : NULL;
}

bool calls_apply(struct db *db, const struct reconcile_conf *conf, struct call *calls, size_t count,
                 int64_t now_ms, struct arena *arena, struct callees *out_callees, struct err *err)
{
    struct place *places;
    struct ends ends;

    *out_callees = (struct callees){ 0 };
    if (count == 0) {
        return true;
    }
    places = find_places(db, conf, calls, count, now_ms, arena, err);
    if (places == NULL || !callees_lock(db, places, count, now_ms, arena, out_callees, err) ||
        !ends_begin(db, calls, places, count, arena, &ends, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take(db, &ends, conf, callees_at(out_callees, places[i]), &calls[i], now_ms, err)) {
            return false;
        }
    }
    return ends_write(db, &ends, arena, err) &&
           callees_write(db, out_callees, now_ms, arena, err) &&
           suppress_stopped(db, out_callees, arena, err);
}
