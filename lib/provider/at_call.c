/*
 * at_call - settings, requests and replies of Africa's Talking Voice
 */
#include "provider/at_call.h"

#include <string.h>

#include "base/panic.h"
#include "base/str.h"
#include "json/loose.h"
#include "provider/at_parts.h"
#include "provider/detail.h"

#define FORM_NUMBER_BYTES 21 /* "%2C%2B", 15 digits at most */
#define FORM_FIXED_BYTES 256
#define WORD_BYTES_MAX 100

#define DIGITS "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const struct conf_item at_call_conf_items[] = {
    AT_CALL_CONF_ITEMS(struct at_call_conf, ),
    CONF_END,
};

const struct at_call_word at_call_words[] = {
    { "Queued", AT_ACCEPTED, "accepted" },
    { "InvalidPhoneNumber", AT_FINAL, "invalid_number" },
    { "DestinationNotSupported", AT_FINAL, "no_route" },
    { "InsufficientCredit", AT_HOLD_ACCOUNT, "insufficient_balance" },
};
const size_t at_call_words_count = sizeof(at_call_words) / sizeof(at_call_words[0]);

/* Beginnings of errorMessage, which refuse a request as a whole. */
static const struct refusal {
    const char *begins;
    const char *reason;
} refusals[] = {
    { "Invalid callerId", "invalid_caller_id" },
    { "Invalid callbackUrl", "invalid_callback_url" },
    { "InsufficientCredit", "insufficient_balance" },
    { "", "request_refused" },
};

bool at_call_is_number(const char *text)
{
    size_t digits = text[0] == '+' ? strspn(text + 1, DIGITS) : 0;

    return digits >= 7 && digits <= 15 && text[1] != '0' && text[1 + digits] == '\0';
}

static bool is_id(const char *text, size_t max)
{
    size_t len = strspn(text, LETTERS DIGITS "_-");

    return len > 0 && len <= max && text[len] == '\0';
}

bool at_session_is_id(const char *text)
{
    return is_id(text, AT_SESSION_ID_BYTES_MAX) && strcmp(text, "None") != 0;
}

bool at_call_conf_check(const struct at_call_conf *conf, struct err *err)
{
    if (!at_account_check("AT_VOICE_URL", conf->url, conf->username, conf->api_key, err)) {
        return false;
    }
    if (conf->caller_id[0] != '\0' && !at_call_is_number(conf->caller_id)) {
        return err_permanent(err, "bad_setting",
                             "AT_VOICE_CALLER_ID must be a number as +254711000000, or empty");
    }
    return true;
}

bool at_call_request(const struct at_call_conf *conf, const char *from, const char *request_id,
                     const int64_t *msisdns, size_t n, struct http_call *out, struct arena *arena,
                     struct err *err)
{
    struct str body = { 0 };

    if (n == 0 || n > AT_CALL_NUMBERS_MAX) {
        panic("a request for %zu calls", n);
    }
    if (from == NULL || from[0] == '\0') {
        from = conf->caller_id;
    }
    if (from[0] == '\0') {
        return err_permanent(err, "no_caller_id",
                             "no number to call from: name a callerId or set AT_VOICE_CALLER_ID");
    }
    if (!at_call_is_number(from)) {
        return err_permanent(err, "bad_caller_id", "callerId must be a number as +254711000000");
    }
    if (!is_id(request_id, AT_CALL_REQUEST_ID_BYTES_MAX)) {
        return err_permanent(err, "bad_request_id",
                             "clientRequestId must be 1 to %d letters, "
                             "digits, '_' and '-'",
                             AT_CALL_REQUEST_ID_BYTES_MAX);
    }
    (void)str_room(&body, FORM_FIXED_BYTES + FORM_NUMBER_BYTES * n);
    http_form_add(&body, "username", conf->username, strlen(conf->username));
    http_form_add(&body, "from", from, strlen(from));
    http_form_add(&body, "clientRequestId", request_id, strlen(request_id));
    /* One field with commas: of repeated keys the provider keeps only the last number. */
    str_puts(&body, "&to=");
    for (size_t i = 0; i < n; i++) {
        str_puts(&body, i == 0 ? "%2B" : "%2C%2B");
        str_put_int(&body, msisdns[i]);
    }
    const char **headers = arena_array(arena, 4, sizeof(*headers));
    headers[0] = arena_printf(arena, "apiKey: %s", conf->api_key);
    headers[1] = "Accept: application/json";
    headers[2] = "Content-Type: application/x-www-form-urlencoded";
    *out = (struct http_call){
        .method = "POST",
        .url = arena_printf(arena, "%s/call", conf->url),
        .headers = headers,
        .body = arena_strndup(arena, body.bytes, body.len),
        .body_len = body.len,
        .timeout_ms = conf->timeout_ms,
    };
    str_free(&body);
    return true;
}

static void fill_all(struct at_call_outcome *outcomes, size_t n, enum at_class class,
                     const char *reason)
{
    for (size_t i = 0; i < n; i++) {
        outcomes[i] = (struct at_call_outcome){ .class = class, .reason = reason, .word = "" };
    }
}

/* The member's text, or "" when there is none, it is too long, or it says None. */
static const char *text_of(const struct loose *node, const char *key)
{
    const char *text = loose_text(loose_member(node, key));

    return text != NULL && strlen(text) <= WORD_BYTES_MAX && strcmp(text, "None") != 0 ? text : "";
}

static void read_entry(const struct loose *entry, struct at_call_outcome *out)
{
    const char *session_id = text_of(entry, "sessionId");

    *out = (struct at_call_outcome){
        .class = AT_DOUBT,
        .reason = "unknown_word",
        .word = text_of(entry, "status"),
        .session_id = at_session_is_id(session_id) ? session_id : NULL,
    };
    for (size_t i = 0; i < at_call_words_count; i++) {
        if (strcmp(at_call_words[i].word, out->word) == 0) {
            out->class = at_call_words[i].class;
            out->reason = at_call_words[i].reason;
        }
    }
    if (out->class == AT_ACCEPTED && out->session_id == NULL) {
        out->class = AT_DOUBT;
        out->reason = "no_session";
    }
}

static void read_entries(const struct loose *entries, const int64_t *msisdns, size_t n,
                         struct at_call_outcome *outcomes, struct at_verdict *whole,
                         struct arena *arena)
{
    struct at_places places = { .msisdns = msisdns, .n = n };
    bool *seen = arena_array(arena, n, sizeof(*seen));

    for (size_t i = 0; i < entries->count; i++) {
        const struct loose *entry = &entries->items[i];
        size_t place = at_place(&places, text_of(entry, "phoneNumber"), i, arena);
        struct at_call_outcome read;
        if (place == n) {
            whole->unasked++;
            continue;
        }
        whole->unasked += seen[place];
        read_entry(entry, &read);
        /* Named twice: one acceptance is enough to say that it is called. */
        if (!seen[place] || (outcomes[place].class != AT_ACCEPTED && read.class == AT_ACCEPTED)) {
            outcomes[place] = read;
        }
        seen[place] = true;
    }
}

/* A 2xx without entries: errorMessage says why, or the reply contradicts itself. */
static void judge_empty(const char *message, struct at_verdict *whole)
{
    const struct refusal *row = refusals;

    if (message[0] == '\0') {
        at_verdict_set(whole, AT_REQUEST_UNKNOWN, "entries_missing");
        return;
    }
    while (strncmp(message, row->begins, strlen(row->begins)) != 0) {
        row++;
    }
    at_verdict_set(whole, AT_REQUEST_REFUSED, row->reason);
}

/* Up to an address: that of our callback, which it may repeat, has the webhook token in it. */
static void tell_message(const char *message, struct at_verdict *whole, struct arena *arena)
{
    const char *address = strstr(message, "://");

    if (address != NULL) {
        while (address > message && address[-1] != ' ') {
            address--;
        }
        message = arena_printf(arena, "%.*s<address>", (int)(address - message), message);
    }
    detail_set(whole->detail, sizeof(whole->detail), message);
}

static bool is_nothing(const struct loose *entries)
{
    return entries == NULL || entries->kind == LOOSE_OTHER ||
           (entries->kind == LOOSE_LIST && entries->count == 0);
}

static bool read_root(const struct http_reply *reply, const struct loose **out_root,
                      struct arena *arena, struct err *err)
{
    if (reply->body_len > AT_CALL_REPLY_BYTES_MAX) {
        return err_permanent(err, "reply_too_long", "%zu bytes, at most %d allowed",
                             reply->body_len, AT_CALL_REPLY_BYTES_MAX);
    }
    if (!loose_read(reply->body, reply->body_len, out_root, arena, err)) {
        return false;
    }
    return (*out_root)->kind == LOOSE_OBJECT ||
           err_permanent(err, "bad_json", "%s where an object belongs", loose_kind_name(*out_root));
}

void at_call_read(const struct http_reply *reply, const int64_t *msisdns, size_t n,
                  struct at_call_outcome *out_outcomes, struct at_verdict *out_whole,
                  struct arena *arena)
{
    const struct loose *root;
    struct err err;

    at_verdict_http(reply, out_whole);
    if (out_whole->state != AT_REQUEST_OK) {
        fill_all(out_outcomes, n, at_verdict_class(out_whole), out_whole->why);
        return;
    }
    if (!read_root(reply, &root, arena, &err)) {
        at_verdict_set(out_whole, AT_REQUEST_UNKNOWN, "unreadable_reply");
        detail_set(out_whole->detail, sizeof(out_whole->detail), err.detail);
        fill_all(out_outcomes, n, AT_DOUBT, out_whole->why);
        return;
    }
    const struct loose *entries = loose_member(root, "entries");
    const char *message = loose_text(loose_member(root, "errorMessage"));
    message = message != NULL && strcmp(message, "None") != 0 ? message : "";
    tell_message(message, out_whole, arena);
    if (entries != NULL && entries->kind == LOOSE_LIST && entries->count > 0) {
        fill_all(out_outcomes, n, AT_DOUBT, "missing_in_reply");
        read_entries(entries, msisdns, n, out_outcomes, out_whole, arena);
        return;
    }
    judge_empty(is_nothing(entries) ? message : "", out_whole);
    fill_all(out_outcomes, n, at_verdict_class(out_whole), out_whole->why);
}
