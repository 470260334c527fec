/*
 * at_request - settings, and the two ways to ask for a send
 */
#include <string.h>

#include "base/panic.h"
#include "base/str.h"
#include "json/shape.h"
#include "provider/africastalking.h"
#include "provider/at_parts.h"

#define FORM_NUMBER_BYTES 18 /* "%2B", 15 digits at most; the comma's "%2C" mostly fits in too */
#define FORM_FIXED_BYTES 256

const struct conf_item at_conf_items[] = {
    AT_CONF_ITEMS(struct at_conf, ),
    CONF_END,
};

static bool wants_bulk(const struct at_conf *conf)
{
    return strcmp(conf->endpoint, "bulk") == 0;
}

bool at_conf_check(const struct at_conf *conf, struct err *err)
{
    if (!at_account_check("AT_SMS_URL", conf->url, conf->username, conf->api_key, err)) {
        return false;
    }
    if (!wants_bulk(conf) && strcmp(conf->endpoint, "form") != 0) {
        return err_permanent(err, "bad_setting", "AT_SMS_ENDPOINT must be form or bulk");
    }
    return true;
}

static void add_text(struct str *out, const char *key, const char *value)
{
    http_form_add(out, key, value, strlen(value));
}

/* One field with commas: of repeated keys the provider keeps only the last number. */
static void write_form(const struct at_conf *conf, const char *sender, const char *text,
                       const int64_t *msisdns, size_t n, struct str *out)
{
    add_text(out, "username", conf->username);
    if (sender[0] != '\0') {
        add_text(out, "from", sender);
    }
    add_text(out, "bulkSMSMode", "1");
    /* Said always: the documents and recorded behaviour disagree about the default. */
    add_text(out, "enqueue", conf->enqueue ? "1" : "0");
    add_text(out, "message", text);
    str_puts(out, "&to=");
    for (size_t i = 0; i < n; i++) {
        str_puts(out, i == 0 ? "%2B" : "%2C%2B");
        str_put_int(out, msisdns[i]);
    }
}

static void write_json(const struct at_conf *conf, const char *sender, const char *text,
                       const int64_t *msisdns, size_t n, struct str *out)
{
    str_puts(out, "{\"username\":");
    json_put_string(out, conf->username, strlen(conf->username));
    if (sender[0] != '\0') {
        str_puts(out, ",\"senderId\":");
        json_put_string(out, sender, strlen(sender));
    }
    str_puts(out, conf->enqueue ? ",\"enqueue\":1" : ",\"enqueue\":0");
    str_puts(out, ",\"message\":");
    json_put_string(out, text, strlen(text));
    str_puts(out, ",\"phoneNumbers\":[");
    for (size_t i = 0; i < n; i++) {
        str_puts(out, i == 0 ? "\"+" : ",\"+");
        str_put_int(out, msisdns[i]);
        str_putc(out, '"');
    }
    str_puts(out, "]}");
}

void at_request(const struct at_conf *conf, const char *sender, const char *text,
                const int64_t *msisdns, size_t n, struct http_call *out, struct arena *arena)
{
    struct str body = { 0 };
    bool bulk = wants_bulk(conf);
    const char **headers = arena_array(arena, 4, sizeof(*headers));

    if (n == 0 || n > AT_RECIPIENTS_MAX) {
        panic("a request for %zu recipients", n);
    }
    if (sender == NULL || sender[0] == '\0') {
        sender = conf->sender_id;
    }
    /* Once, rather than in steps; a text of the basic alphabet is rarely all escapes. */
    (void)str_room(&body, FORM_FIXED_BYTES + 2 * strlen(text) + FORM_NUMBER_BYTES * n);
    (bulk ? write_json : write_form)(conf, sender, text, msisdns, n, &body);

    headers[0] = arena_printf(arena, "apiKey: %s", conf->api_key);
    headers[1] = "Accept: application/json"; /* otherwise the reply is XML */
    headers[2] =
        bulk ? "Content-Type: application/json" : "Content-Type: application/x-www-form-urlencoded";
    *out = (struct http_call){
        .method = "POST",
        .url = arena_printf(arena, "%s/messaging%s", conf->url, bulk ? "/bulk" : ""),
        .headers = headers,
        .body = arena_strndup(arena, body.bytes, body.len),
        .body_len = body.len,
        .timeout_ms = conf->timeout_ms,
    };
    str_free(&body);
}
