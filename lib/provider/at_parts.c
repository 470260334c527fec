/*
 * at_parts - what the readers of SMS replies and of call replies share
 *
 * The rule: "not sent" is said only on evidence. Evidence is a request that never left, a definite
 * HTTP refusal, or a word for that recipient. Everything else is doubt.
 */
#include "provider/at_parts.h"

#include <string.h>

#include "base/str.h"
#include "provider/detail.h"

#define HASH_FACTOR 0x9E3779B97F4A7C15u /* 2^64 divided by the golden ratio */

/* Statuses that say something by themselves; the first row that matches counts. */
static const struct status_row {
    int from, to;
    enum at_request_state state;
    const char *why;
} statuses[] = {
    { 200, 299, AT_REQUEST_OK, "ok" },
    { 301, 301, AT_REQUEST_MALFORMED, "moved" },
    { 307, 308, AT_REQUEST_MALFORMED, "moved" },
    { 401, 401, AT_REQUEST_UNAUTHORISED, "bad_credentials" },
    { 403, 403, AT_REQUEST_UNAUTHORISED, "forbidden" },
    /* A gateway may say it while the provider works on. */
    { 408, 408, AT_REQUEST_UNKNOWN, "provider_timeout" },
    { 409, 409, AT_REQUEST_REFUSED, "do_not_disturb" },
    { 429, 429, AT_REQUEST_THROTTLED, "throttled" },
    { 400, 499, AT_REQUEST_MALFORMED, "bad_request" },
    { 500, 599, AT_REQUEST_UNKNOWN, "provider_error" },
    { 0, INT32_MAX, AT_REQUEST_UNKNOWN, "unexpected_status" },
};

void at_verdict_set(struct at_verdict *whole, enum at_request_state state, const char *why)
{
    whole->state = state;
    whole->why = why;
}

/*
 * The server behind the API answers 503 by itself when a request takes too long, while the request
 * may go on; it says so, and gives no Retry-After. One with Retry-After is a refusal to start.
 */
static bool is_refusal_503(const struct http_reply *reply)
{
    return reply->status == 503 && reply->retry_after_s >= 0 &&
           strstr(reply->body, "timely response") == NULL;
}

void at_verdict_http(const struct http_reply *reply, struct at_verdict *whole)
{
    *whole = (struct at_verdict){ .retry_after_s = -1 };
    if (reply->sent == HTTP_NOT_SENT || reply->sent == HTTP_UNKNOWN) {
        at_verdict_set(whole,
                       reply->sent == HTTP_NOT_SENT ? AT_REQUEST_NOT_SENT : AT_REQUEST_UNKNOWN,
                       reply->err.what);
        detail_set(whole->detail, sizeof(whole->detail), reply->err.detail);
        return;
    }
    whole->status = reply->status;
    whole->retry_after_s = reply->retry_after_s;
    if (is_refusal_503(reply)) {
        at_verdict_set(whole, AT_REQUEST_THROTTLED, "throttled");
    } else {
        const struct status_row *row = statuses;
        while (reply->status < row->from || reply->status > row->to) {
            row++;
        }
        at_verdict_set(whole, row->state, row->why);
    }
    if (whole->state != AT_REQUEST_OK) {
        detail_set(whole->detail, sizeof(whole->detail), reply->body);
    }
}

enum at_class at_verdict_class(const struct at_verdict *whole)
{
    switch (whole->state) {
    case AT_REQUEST_NOT_SENT:
    case AT_REQUEST_THROTTLED:
        return AT_RETRY;
    case AT_REQUEST_REFUSED:
        return whole->status == 409 ? AT_HOLD_WINDOW : AT_HOLD_ACCOUNT;
    case AT_REQUEST_UNAUTHORISED:
    case AT_REQUEST_MALFORMED:
        return AT_HOLD_ACCOUNT;
    case AT_REQUEST_OK:
    case AT_REQUEST_UNKNOWN:
        break;
    }
    return AT_DOUBT;
}

static void fill_places(struct at_places *places, struct arena *arena)
{
    size_t size = 4;

    while (size < 2 * places->n) {
        size *= 2;
    }
    places->table = arena_array(arena, size, sizeof(*places->table));
    places->mask = size - 1;
    for (size_t i = 0; i < places->n; i++) {
        size_t at = (size_t)(((uint64_t)places->msisdns[i] * HASH_FACTOR) >> 32) & places->mask;
        while (places->table[at] != 0) {
            at = (at + 1) & places->mask;
        }
        places->table[at] = (uint32_t)i + 1;
    }
}

size_t at_place(struct at_places *places, const char *number, size_t guess, struct arena *arena)
{
    int64_t msisdn;

    number += *number == '+';
    if (!str_parse_int(number, 1, INT64_MAX, &msisdn)) {
        return places->n;
    }
    if (guess < places->n && places->msisdns[guess] == msisdn) {
        return guess;
    }
    if (places->table == NULL) {
        fill_places(places, arena);
    }
    size_t at = (size_t)(((uint64_t)msisdn * HASH_FACTOR) >> 32) & places->mask;
    while (places->table[at] != 0) {
        size_t place = places->table[at] - 1;
        if (places->msisdns[place] == msisdn) {
            return place;
        }
        at = (at + 1) & places->mask;
    }
    return places->n;
}

bool at_account_check(const char *url_name, const char *url, const char *username,
                      const char *api_key, struct err *err)
{
    size_t len = strlen(url);

    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) {
        return err_permanent(err, "bad_setting", "%s must begin with http:// or https://",
                             url_name);
    }
    if (url[len - 1] == '/') {
        return err_permanent(err, "bad_setting", "%s must not end in a slash", url_name);
    }
    if (username[0] == '\0' || api_key[0] == '\0') {
        return err_permanent(err, "bad_setting", "AT_USERNAME and AT_API_KEY must not be empty");
    }
    for (const char *at = api_key; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ') {
            return err_permanent(err, "bad_setting", "AT_API_KEY contains a line break");
        }
    }
    return true;
}
