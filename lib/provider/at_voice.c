/*
 * at_voice - callbacks of Africa's Talking Voice, and the meaning of their words
 *
 * Words from the provider's pages, its clients and recorded posts. The sets are open: words are
 * added without notice, so no lookup here may fail a callback. Compared without case.
 */
#include "provider/at_voice.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "provider/africastalking.h"
#include "provider/at_call.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Names are those of the switches of telephone networks (Q.850). */
const struct at_cause at_causes[] = {
    { "NORMAL_CLEARING", "no_answer", true },
    { "NO_ANSWER", "no_answer", true },
    { "ORIGINATOR_CANCEL", "no_answer", true }, /* rang until we gave up */
    { "USER_BUSY", "busy", true },
    { "NO_USER_RESPONSE", "unreachable", true },
    { "SUBSCRIBER_ABSENT", "unreachable", true },
    { "USER_NOT_REGISTERED", "unreachable", true },
    { "RECOVERY_ON_TIMER_EXPIRE", "unreachable", true },
    { "CALL_REJECTED", "rejected", false },
    { "NORMAL_TEMPORARY_FAILURE", "failed", true },
    { "SERVICE_UNAVAILABLE", "failed", true },
    { "UNSPECIFIED", "failed", true },
    { "UNALLOCATED_NUMBER", "failed", false },
    { "LOSE_RACE", "failed", false }, /* taken elsewhere */
};
const size_t at_causes_count = COUNT(at_causes);

const struct at_call_status at_call_statuses[] = {
    { "Success", "completed", false },
    { "NotAnswered", "no_answer", true },
    { "Aborted", "failed", false },
};
const size_t at_call_statuses_count = COUNT(at_call_statuses);

static bool get(const struct http_pair *pairs, int count, const char *key, const char **out,
                struct err *err)
{
    const char *value = http_form_find(pairs, count, key);
    size_t len = value != NULL ? strlen(value) : 0;

    if (len > AT_VOICE_WORD_BYTES_MAX) {
        return err_permanent(err, "bad_field", "%s is %zu bytes long, at most %d allowed", key, len,
                             AT_VOICE_WORD_BYTES_MAX);
    }
    if (!str_is_utf8(value != NULL ? value : "", len)) {
        return err_permanent(err, "bad_field", "%s is not UTF-8", key);
    }
    *out = value != NULL && strcmp(value, "None") != 0 ? value : "";
    return true;
}

/* "+254…"; also with the plus lost, or read as the blank that a bare plus is in a form. */
static int64_t msisdn_of(const char *text, struct arena *arena)
{
    int64_t msisdn = 0;

    text += *text == '+' || *text == ' ';
    if (!at_call_is_number(arena_printf(arena, "+%s", text)) ||
        !str_parse_int(text, 1, INT64_MAX, &msisdn)) {
        return 0;
    }
    return msisdn;
}

static enum at_direction direction_of(const char *word)
{
    if (strcasecmp(word, "Outbound") == 0) {
        return AT_DIRECTION_OUTBOUND;
    }
    return strcasecmp(word, "Inbound") == 0 ? AT_DIRECTION_INBOUND : AT_DIRECTION_UNKNOWN;
}

static void read_digits(const char *digits, struct at_voice *out)
{
    out->digits = "";
    if (strcmp(digits, "undefined") == 0) {
        return; /* nothing was pressed */
    }
    if (strspn(digits, "0123456789*#") != strlen(digits)) {
        out->odd = "dtmfDigits";
        return;
    }
    out->digits = digits;
}

static void read_duration(const char *text, struct at_voice *out)
{
    out->duration_s = -1;
    if (text[0] != '\0' && !str_parse_int(text, 0, AT_VOICE_DURATION_S_MAX, &out->duration_s)) {
        out->duration_s = -1;
        out->odd = "durationInSeconds";
    }
}

/* Amount and currency come apart. Nothing costs nothing in any currency, or none. */
static void read_amount(const char *amount, const char *currency, struct at_voice *out,
                        struct arena *arena)
{
    char read_currency[4] = "";

    out->amount_e4 = -1;
    if (currency[0] != '\0') {
        int64_t nothing;
        if (!at_money_parse(arena_printf(arena, "%s 0", currency), &nothing, out->currency)) {
            out->odd = "currencyCode";
            return;
        }
    }
    if (amount[0] == '\0') {
        return;
    }
    const char *money =
        currency[0] != '\0' ? arena_printf(arena, "%s %s", currency, amount) : amount;
    if (!at_money_parse(money, &out->amount_e4, read_currency) || out->amount_e4 < 0 ||
        strcmp(read_currency, out->currency) != 0 || (out->amount_e4 > 0 && currency[0] == '\0')) {
        out->amount_e4 = -1;
        out->odd = "amount";
    }
}

bool at_voice_read(const struct http_pair *pairs, int count, struct at_voice *out,
                   struct arena *arena, struct err *err)
{
    struct at_voice voice = { .odd = NULL };
    const char *active, *direction, *digits, *duration, *amount, *currency;
    const struct {
        const char *key;
        const char **into;
    } fields[] = {
        { "isActive", &active },
        { "sessionId", &voice.session_id },
        { "callerNumber", &voice.caller },
        { "destinationNumber", &voice.destination },
        { "direction", &direction },
        { "dtmfDigits", &digits },
        { "durationInSeconds", &duration },
        { "amount", &amount },
        { "currencyCode", &currency },
        { "status", &voice.status },
        { "hangupCause", &voice.hangup_cause },
        { "clientRequestId", &voice.request_id },
        { "callSessionState", &voice.state },
    };

    for (size_t i = 0; i < COUNT(fields); i++) {
        if (!get(pairs, count, fields[i].key, fields[i].into, err)) {
            return false;
        }
    }
    if (strcmp(active, "0") != 0 && strcmp(active, "1") != 0) {
        return err_permanent(err, "bad_field", "isActive is %s, must be 0 or 1",
                             active[0] == '\0' ? "missing" : "another word");
    }
    if (!at_session_is_id(voice.session_id)) {
        return err_permanent(err, "bad_field", "sessionId is %s",
                             voice.session_id[0] == '\0' ? "missing" : "no id");
    }
    voice.is_active = active[0] == '1';
    voice.msisdn = msisdn_of(voice.caller, arena);
    voice.direction = direction_of(direction);
    read_digits(digits, &voice);
    read_duration(duration, &voice);
    read_amount(amount, currency, &voice, arena);
    *out = voice;
    return true;
}

static const struct at_call_status *find_status(const char *word)
{
    for (size_t i = 0; i < at_call_statuses_count; i++) {
        if (strcasecmp(at_call_statuses[i].status, word) == 0) {
            return &at_call_statuses[i];
        }
    }
    return NULL;
}

static const struct at_cause *find_cause(const char *word)
{
    for (size_t i = 0; i < at_causes_count; i++) {
        if (strcasecmp(at_causes[i].cause, word) == 0) {
            return &at_causes[i];
        }
    }
    return NULL;
}

struct at_call_end at_voice_end(const struct at_voice *voice)
{
    const struct at_call_status *status = find_status(voice->status);
    const struct at_cause *cause = find_cause(voice->hangup_cause);
    bool unanswered = strcasecmp(voice->status, "NotAnswered") == 0;

    if ((status != NULL && strcmp(status->word, "completed") == 0) ||
        (voice->duration_s > 0 && !unanswered)) {
        return (struct at_call_end){ "completed", false, status != NULL };
    }
    /* A normal end says that nobody answered only where the status says so. */
    if (cause != NULL && (status != NULL || strcmp(cause->cause, "NORMAL_CLEARING") != 0)) {
        return (struct at_call_end){ cause->word, cause->again, true };
    }
    if (status != NULL) {
        return (struct at_call_end){ status->word, status->again, voice->hangup_cause[0] == '\0' };
    }
    return (struct at_call_end){ "failed", false, false };
}
