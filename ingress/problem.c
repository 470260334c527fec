/*
 * problem - refusals: one table of statuses, one way of writing them
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "request.h"
#include "routes.h"

static const struct {
    int status;
    const char *title;
} replies[] = {
    [REPLY_NONE] = { 0, "" },
    [REPLY_OK] = { 200, "OK" },
    [REPLY_CREATED] = { 201, "Created" },
    [REPLY_ACCEPTED] = { 202, "Accepted" },
    [REPLY_NO_CONTENT] = { 204, "No content" },
    [REPLY_PARTIAL] = { 206, "Partial content" },
    [REPLY_STREAM] = { 200, "OK" },
    [REPLY_NOT_MODIFIED] = { 304, "Not modified" },
    [REPLY_BAD_REQUEST] = { 400, "The request cannot be read" },
    [REPLY_UNAUTHORISED] = { 401, "A valid API key is needed" },
    [REPLY_FORBIDDEN] = { 403, "Not allowed" },
    [REPLY_NOT_FOUND] = { 404, "Not found" },
    [REPLY_BAD_METHOD] = { 405, "This method is not available here" },
    [REPLY_CONFLICT] = { 409, "In conflict with the present state" },
    [REPLY_GONE] = { 410, "No longer there" },
    [REPLY_TOO_LARGE] = { 413, "Too large" },
    [REPLY_BAD_MEDIA_TYPE] = { 415, "This content type is not accepted here" },
    [REPLY_BAD_RANGE] = { 416, "Nothing of that range is there" },
    [REPLY_UNPROCESSABLE] = { 422, "A value is not acceptable" },
    [REPLY_TOO_MANY] = { 429, "Too many requests" },
    [REPLY_INTERNAL] = { 500, "Something went wrong on our side" },
    [REPLY_UNAVAILABLE] = { 503, "Not available for the moment" },
};

int reply_http(enum reply reply)
{
    return replies[reply].status;
}

const char *reply_title(enum reply reply)
{
    return replies[reply].title;
}

size_t replies_count(void)
{
    return sizeof(replies) / sizeof(*replies);
}

/* "schedule_in_past" to "urn:tuma:problem:schedule-in-past". */
static void put_type(struct str *out, const char *code)
{
    str_puts(out, "{\"type\":\"urn:tuma:problem:");
    for (; *code != '\0'; code++) {
        str_putc(out, *code == '_' ? '-' : *code);
    }
    str_putc(out, '"');
}

enum reply refuse(struct request *req, enum reply reply, const char *code, const char *field,
                  const char *fmt, ...)
{
    struct str *out = &req->body_out;
    char detail[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    str_reset(out);
    put_type(out, code);
    put_text(out, "title", reply_title(reply));
    put_int(out, "status", reply_http(reply));
    put_text(out, "detail", detail);
    put_text(out, "code", code);
    if (field != NULL) {
        put_text(out, "field", field);
    }
    put_text(out, "trace", req->trace);
    str_putc(out, '}');
    req->type_out = "application/problem+json";
    req->code = code;
    req->disposition = NULL;
    req->etag = NULL;
    req->cache_control = NULL;
    req->content_range = NULL;
    if ((reply == REPLY_UNAVAILABLE || reply == REPLY_TOO_MANY) && req->retry_after_s == 0) {
        req->retry_after_s = RETRY_AFTER_S;
    }
    return reply;
}

/* Fields of a campaign as the record names them, and as the families of the API do. */
static const struct {
    const char *record, *messages, *communications, *voice;
} names[] = {
    { "message_template", "message", "messageTemplate", "sayTemplate" },
    { "sender_id", "sender_id", "senderId", "callerId" },
    { "scheduled_at", "options.scheduled_time", "scheduledTime", "scheduledTime" },
    { "priority", "options.priority", "priority", "priority" },
    { "expires_at", "expires_at", "expiresAt", "expiresAt" },
    { "missing_default", "missing_default", "missingDefault", "missingDefault" },
    { "voice.audio", NULL, NULL, "audioAssetId" },
    { "voice.say_voice", NULL, NULL, "voice" },
    { "voice.repeat_key", NULL, NULL, "keys.repeat" },
    { "voice.repeats", NULL, NULL, "keys.repeats" },
    { "voice.stop_key", NULL, NULL, "keys.stop" },
    { "voice.answers", NULL, NULL, "keys.answers" },
    { "voice.wait_s", NULL, NULL, "keys.waitSeconds" },
    { "voice.thanks", NULL, NULL, "keys.thanks" },
    { "voice.stopped", NULL, NULL, "keys.stopped" },
};

enum family { MESSAGES, COMMUNICATIONS, VOICE };

static const char *find_name(enum family family, const char *field)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(names[i].record, field) == 0) {
            const char *name = family == VOICE      ? names[i].voice
                               : family == MESSAGES ? names[i].messages
                                                    : names[i].communications;
            return name != NULL ? name : field;
        }
    }
    return field;
}

/* A follow-up's fields are those of the other channel. */
static const char *rename_field(const struct request *req, const char *field)
{
    static const char follow_up[] = "follow_up.";
    const char *path = req->route != NULL ? req->route->path : "";
    const bool voice = strcmp(path, "/api/communications/voice") == 0;

    if (strncmp(field, follow_up, sizeof(follow_up) - 1) == 0) {
        return arena_printf(
            req->arena, "followUp.%s",
            find_name(voice ? COMMUNICATIONS : VOICE, field + sizeof(follow_up) - 1));
    }
    return find_name(strncmp(path, "/api/messages/", 14) == 0 ? MESSAGES
                     : voice                                  ? VOICE
                                                              : COMMUNICATIONS,
                     field);
}

/* What is neither malformed nor unacceptable as such. */
static const struct {
    const char *what;
    enum reply reply;
} meanings[] = {
    { "bad_json", REPLY_BAD_REQUEST },      { "campaign_unknown", REPLY_NOT_FOUND },
    { "payment_unknown", REPLY_NOT_FOUND }, { "feature_not_in_plan", REPLY_FORBIDDEN },
    { "wrong_status", REPLY_CONFLICT },     { "plan_only_once", REPLY_CONFLICT },
    { "purchase_paid", REPLY_CONFLICT },    { "payment_under_way", REPLY_CONFLICT },
    { "audio_in_use", REPLY_CONFLICT },     { "audio_full", REPLY_CONFLICT },
    { "audio_too_large", REPLY_TOO_LARGE }, { "bad_multipart", REPLY_BAD_REQUEST },
    { "address_wrong", REPLY_FORBIDDEN },   { "address_expired", REPLY_GONE },
};

static enum reply reply_for(const struct err *err)
{
    if (err->kind == ERR_TEMPORARY) {
        return REPLY_UNAVAILABLE;
    }
    if (err->kind == ERR_UNKNOWN || strncmp(err->what, "pg_", 3) == 0) {
        return REPLY_INTERNAL;
    }
    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++) {
        if (strcmp(err->what, meanings[i].what) == 0) {
            return meanings[i].reply;
        }
    }
    return REPLY_UNPROCESSABLE;
}

/* The length of the field's name at the front of "recipients[3].phone: 70 bytes long", or 0. */
static size_t field_len(const char *detail)
{
    size_t len = strspn(detail, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_.[]");

    return detail[len] == ':' && detail[len + 1] == ' ' ? len : 0;
}

enum reply refuse_err(struct request *req, const struct err *err)
{
    enum reply reply = reply_for(err);
    char field[sizeof(err->detail)];
    size_t len = field_len(err->detail);

    if (reply == REPLY_UNAVAILABLE || reply == REPLY_INTERNAL) {
        /* What broke is for the log; the caller can do nothing about it. */
        log_warn(&req->log, "request_failed", KV_STR("why", err->what),
                 KV_STR("detail", err->detail));
        return refuse(req, reply, err->what, NULL, "%s",
                      reply == REPLY_UNAVAILABLE ? "the service cannot do this now; try again later"
                                                 : "the request failed; it is in our log");
    }
    if (len == 0) {
        return refuse(req, reply, err->what, NULL, "%s", err->detail);
    }
    memcpy(field, err->detail, len);
    field[len] = '\0';
    /* Not what the path names is not there, but what a field names. */
    if (reply == REPLY_NOT_FOUND && strcmp(field, "id") != 0) {
        reply = REPLY_UNPROCESSABLE;
    }
    return refuse(req, reply, err->what, rename_field(req, field), "%s", err->detail + len + 2);
}

const char *request_argument(const struct request *req, const char *name)
{
    return http_form_find(req->arguments, req->argument_count, name);
}

enum reply request_check_arguments(struct request *req, const char *const *known)
{
    for (int i = 0; i < req->argument_count; i++) {
        const char *const *name = known;
        while (*name != NULL && strcmp(*name, req->arguments[i].key) != 0) {
            name++;
        }
        if (*name == NULL) {
            return refuse(req, REPLY_BAD_REQUEST, "unknown_argument", req->arguments[i].key,
                          "there is no such query argument here");
        }
    }
    return REPLY_NONE;
}

bool request_campaign(const struct request *req, int64_t *out_id)
{
    return req->id != NULL &&
           (id_parse("cmp", req->id, out_id) || id_parse("msg", req->id, out_id));
}

static void put_name(struct str *out, const char *name)
{
    if (out->len > 0 && out->bytes[out->len - 1] != '{') {
        str_putc(out, ',');
    }
    str_putc(out, '"');
    str_puts(out, name);
    str_puts(out, "\":");
}

void put_text(struct str *out, const char *name, const char *text)
{
    put_name(out, name);
    if (text == NULL || *text == '\0') {
        str_puts(out, "null");
    } else {
        json_put_string(out, text, strlen(text));
    }
}

void put_int(struct str *out, const char *name, int64_t value)
{
    put_name(out, name);
    str_put_int(out, value);
}

void put_time(struct str *out, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_BYTES];

    put_name(out, name);
    if (ms == 0) {
        str_puts(out, "null");
    } else {
        clock_format(ms, text);
        str_printf(out, "\"%s\"", text);
    }
}
