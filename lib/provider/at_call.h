/*
 * at_call - placing calls at Africa's Talking Voice
 *
 *     if (!at_call_request(conf, from, request_id, msisdns, n, &call, arena, &err)) …
 *     http_run(http, &call, &reply, 1, arena);
 *     at_call_read(&reply, msisdns, n, outcomes, &whole, arena);
 *     for (i < n) switch (outcomes[i].class) …      // outcomes[i] belongs to msisdns[i]
 *
 * Verdict and classes are those of the SMS client (africastalking.h), and so are the rules: every
 * outcome is filled whatever happened, AT_DOUBT must never be called again without evidence, and no
 * number comes twice into one request. What a callee hears is not in the request: the provider asks
 * for it when the call is answered (at_voice.h, at_voice_xml.h).
 */
#ifndef PROVIDER_AT_CALL_H
#define PROVIDER_AT_CALL_H

#include "provider/africastalking.h"

struct at_call_conf {
    const char *url; /* without a trailing slash or path */
    const char *username;
    const char *api_key;
    const char *caller_id; /* used when a campaign names none; "" when each must name one */
    long timeout_ms;       /* of one request */
};

/* Rows of a program's own table, as AT_CONF_ITEMS. AT_USERNAME and AT_API_KEY are the same. */
#define AT_CALL_CONF_ITEMS(T, in)                                                                  \
    AT_ACCOUNT_ITEMS(T, in),                                                                       \
        CONF_STR(T, in url, "AT_VOICE_URL", "https://voice.africastalking.com",                    \
                 "Base URL of the voice API: live or simulator."),                                 \
        CONF_STR(T, in caller_id, "AT_VOICE_CALLER_ID", "",                                        \
                 "Number of ours, with + and country code, that calls when a campaign names "      \
                 "none."),                                                                         \
        CONF_MS(T, in timeout_ms, "VOICE_TIMEOUT", "20s", 100, 25000,                              \
                "Longest wait for the answer to one call request.")

extern const struct conf_item at_call_conf_items[];

/* What a type of setting cannot say: the URL is http or https, the caller id empty or a number. */
bool at_call_conf_check(const struct at_call_conf *conf, struct err *err)
    __attribute__((warn_unused_result));

/* The provider publishes no limits; these are our bounds. */
#define AT_CALL_NUMBERS_MAX 200
#define AT_CALL_REPLY_BYTES_MAX (64 << 10)
#define AT_CALL_REQUEST_ID_BYTES_MAX 64
#define AT_SESSION_ID_BYTES_MAX 64

/* "+", a digit other than 0, 7 to 15 digits in all. */
bool at_call_is_number(const char *text);

/* 1 to AT_SESSION_ID_BYTES_MAX letters, digits, '_' and '-'; those seen are ATVId_ and 32 hex. */
bool at_session_is_id(const char *text);

/*
 * Fills *out with a call in the arena that rings n numbers (E.164 without the plus, at most
 * AT_CALL_NUMBERS_MAX). A NULL or empty from means conf->caller_id. request_id comes back in event
 * callbacks; letters, digits, '_' and '-'. Errors, all permanent: no_caller_id, bad_caller_id,
 * bad_request_id.
 */
bool at_call_request(const struct at_call_conf *conf, const char *from, const char *request_id,
                     const int64_t *msisdns, size_t n, struct http_call *out, struct arena *arena,
                     struct err *err) __attribute__((warn_unused_result));

struct at_call_outcome {
    enum at_class class;
    const char *reason;     /* static snake_case; "accepted" */
    const char *word;       /* the provider's status word; "" when absent; in the arena */
    const char *session_id; /* NULL when absent or no at_session_is_id(); in the arena */
};

/*
 * Reads the reply to an at_call_request() of these numbers. out_outcomes has n elements. As in
 * at_read(): unless the state is AT_REQUEST_OK all are alike. REFUSED is a 2xx without entries
 * whose errorMessage says why. AT_ACCEPTED always has a session id: a call queued without one
 * is AT_DOUBT, "no_session".
 */
void at_call_read(const struct http_reply *reply, const int64_t *msisdns, size_t n,
                  struct at_call_outcome *out_outcomes, struct at_verdict *out_whole,
                  struct arena *arena);

/* The words of entries: what each means to us. Any other is AT_DOUBT, "unknown_word". */
struct at_call_word {
    const char *word;
    enum at_class class;
    const char *reason;
};
extern const struct at_call_word at_call_words[];
extern const size_t at_call_words_count;

#endif
