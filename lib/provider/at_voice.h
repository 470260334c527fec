/*
 * at_voice - what Africa's Talking Voice posts to us, and what its words mean to us
 *
 *     count = http_form_read(body, len, pairs, AT_VOICE_FIELDS_MAX, arena, &err);
 *     if (count < 0 || !at_voice_read(pairs, count, &voice, arena, &err)) … keep it as misread
 *     if (voice.is_active) … answer with XML (at_voice_xml.h)
 *     else                 … at_voice_end(&voice) says how the call ended
 *
 * Whether a call lives is said by is_active alone, never by the state; the final post may be the
 * only one. Unknown words are kept as they came. The phone user is the caller in both directions,
 * and the destination is our number. Nothing is signed: an unknown session id may be anybody's.
 */
#ifndef PROVIDER_AT_VOICE_H
#define PROVIDER_AT_VOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "http/http.h"

/* The provider's largest posts have about twenty fields. Our bounds. */
#define AT_VOICE_FIELDS_MAX 48
#define AT_VOICE_WORD_BYTES_MAX 100   /* of every value kept */
#define AT_VOICE_DURATION_S_MAX 86400 /* of a call */

enum at_direction {
    AT_DIRECTION_UNKNOWN, /* absent, or a word we do not know */
    AT_DIRECTION_OUTBOUND,
    AT_DIRECTION_INBOUND,
};

/* Texts are never NULL; "" is absent, which "None" says too. They live as long as the pairs. */
struct at_voice {
    bool is_active;
    const char *session_id;  /* an at_session_is_id() */
    const char *caller;      /* as it came; a SIP name is possible */
    int64_t msisdn;          /* of the caller: E.164 without the plus; 0 when it is no number */
    const char *destination; /* as it came */
    enum at_direction direction;
    const char *digits; /* keys pressed: 0 to 9, '*', '#'; "" for none */
    int64_t duration_s; /* -1 when absent */
    int64_t amount_e4;  /* ten-thousandths of the currency's unit; -1 when absent */
    char currency[4];   /* "" when absent */
    const char *status;
    const char *hangup_cause;
    const char *request_id; /* clientRequestId */
    const char *state;      /* callSessionState: for people */
    const char *odd;        /* a field whose value was unreadable and is left out; NULL for none */
};

/*
 * Errors, permanent, "bad_field", naming the field: isActive is neither 0 nor 1, sessionId is no
 * id, or a value is too long or not UTF-8. Any other fault leaves the value out and is told in odd.
 */
bool at_voice_read(const struct http_pair *pairs, int count, struct at_voice *out,
                   struct arena *arena, struct err *err) __attribute__((warn_unused_result));

/* How a call ended. */
struct at_call_end {
    const char *word; /* static: completed no_answer busy unreachable rejected failed */
    bool again;       /* not heard, and worth another try later */
    bool known;       /* false: decided by default, since a word was unknown to us */
};

/*
 * Of a final post. Answered (status Success, or a duration under any status but NotAnswered) is
 * completed; else the hangup cause decides, and without a known one the status. What may have been
 * heard is never worth another try.
 */
struct at_call_end at_voice_end(const struct at_voice *voice);

/* Hangup causes of calls that were not answered. */
struct at_cause {
    const char *cause;
    const char *word;
    bool again;
};
extern const struct at_cause at_causes[];
extern const size_t at_causes_count;

/* Statuses of final posts, and what each says without a known cause. */
struct at_call_status {
    const char *status;
    const char *word;
    bool again;
};
extern const struct at_call_status at_call_statuses[];
extern const size_t at_call_statuses_count;

#endif
