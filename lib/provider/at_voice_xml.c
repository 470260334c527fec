/*
 * at_voice_xml - writing the actions of Africa's Talking Voice
 */
#include "provider/at_voice_xml.h"

#include <string.h>

#define GOODBYE "Thank you. Goodbye."

void at_xml_begin(struct str *out)
{
    str_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>");
}

void at_xml_end(struct str *out)
{
    str_puts(out, "</Response>\n");
}

static void put_attribute(struct str *out, const char *name, const char *value)
{
    str_printf(out, " %s=\"", name);
    for (; *value != '\0'; value++) {
        str_put_markup(out, *value);
    }
    str_putc(out, '"');
}

/* What text_speech_chars() counts. */
static void put_text(struct str *out, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        size_t len = str_utf8_char(text, left);
        if (*text == '\t' || *text == '\n' || *text == '\r' || *text == ' ') {
            str_putc(out, ' ');
        } else if (len == 1 && !text_speech_is_mute(text, len)) {
            str_put_markup(out, *text);
        } else if (len > 1 && !text_speech_is_mute(text, len)) {
            str_append(out, text, len);
        }
        len += len == 0; /* no character begins here: left out byte by byte */
        text += len;
        left -= len;
    }
}

/* Back to the length before a failed element. */
static void cut(struct str *out, size_t len)
{
    if (out->bytes != NULL) {
        out->len = len;
        out->bytes[len] = '\0';
    }
}

static bool is_url(const char *url)
{
    size_t len = strlen(url);
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : 7;

    if ((scheme == 7 && strncmp(url, "http://", 7) != 0) || len == scheme ||
        len > AT_XML_URL_BYTES_MAX) {
        return false;
    }
    for (; *url != '\0'; url++) {
        if (*url <= ' ' || *url > '~') {
            return false;
        }
    }
    return true;
}

static bool bad_url(struct err *err, const char *where)
{
    return err_permanent(err, "bad_url",
                         "%s must be an http or https URL of at most %d visible ASCII characters",
                         where, AT_XML_URL_BYTES_MAX);
}

bool at_xml_say(struct str *out, const char *voice, const char *text, struct err *err)
{
    const size_t chars = text_speech_chars(text, strlen(text));

    if (voice != NULL && !text_speech_is_voice(voice)) {
        return err_permanent(err, "bad_voice",
                             "Say voice must be man, woman or a name of at most %d letters, digits "
                             "and '-'",
                             AT_SAY_VOICE_BYTES_MAX);
    }
    if (chars > AT_SAY_CHARS_MAX) {
        return err_permanent(err, "say_too_long", "Say text has more than %d characters",
                             AT_SAY_CHARS_MAX);
    }
    if (chars == 0) {
        return err_permanent(err, "say_empty", "Say text has nothing to be said");
    }
    str_puts(out, "<Say");
    if (voice != NULL && voice[0] != '\0') {
        put_attribute(out, "voice", voice);
    }
    str_putc(out, '>');
    put_text(out, text);
    str_puts(out, "</Say>");
    return true;
}

bool at_xml_play(struct str *out, const char *url, struct err *err)
{
    if (!is_url(url)) {
        return bad_url(err, "Play url");
    }
    str_puts(out, "<Play");
    put_attribute(out, "url", url);
    str_puts(out, "/>");
    return true;
}

static bool check_digits(const struct at_xml_digits *digits, struct err *err)
{
    if (digits->timeout_s < 1 || digits->timeout_s > AT_DIGITS_TIMEOUT_S_MAX) {
        return err_permanent(err, "bad_digits", "GetDigits timeout is %d, must be 1 to %d",
                             digits->timeout_s, AT_DIGITS_TIMEOUT_S_MAX);
    }
    if (digits->num_digits < 1 || digits->num_digits > AT_DIGITS_MAX) {
        return err_permanent(err, "bad_digits", "GetDigits numDigits is %d, must be 1 to %d",
                             digits->num_digits, AT_DIGITS_MAX);
    }
    if (digits->finish_on_key != '\0' && strchr("0123456789*#", digits->finish_on_key) == NULL) {
        return err_permanent(err, "bad_digits", "GetDigits finishOnKey must be 0 to 9, * or #");
    }
    if ((digits->play_url == NULL) == (digits->say_text == NULL)) {
        return err_permanent(err, "bad_digits", "GetDigits must have one child, Say or Play");
    }
    if (digits->callback_url != NULL && digits->callback_url[0] != '\0' &&
        !is_url(digits->callback_url)) {
        return bad_url(err, "GetDigits callbackUrl");
    }
    return true;
}

bool at_xml_digits(struct str *out, const struct at_xml_digits *digits, struct err *err)
{
    size_t before = out->len;

    if (!check_digits(digits, err)) {
        return false;
    }
    str_printf(out, "<GetDigits timeout=\"%d\" numDigits=\"%d\"", digits->timeout_s,
               digits->num_digits);
    if (digits->finish_on_key != '\0') {
        str_printf(out, " finishOnKey=\"%c\"", digits->finish_on_key);
    }
    if (digits->callback_url != NULL && digits->callback_url[0] != '\0') {
        put_attribute(out, "callbackUrl", digits->callback_url);
    }
    str_putc(out, '>');
    bool made = digits->play_url != NULL
                    ? at_xml_play(out, digits->play_url, err)
                    : at_xml_say(out, digits->say_voice, digits->say_text, err);
    if (!made) {
        cut(out, before);
        return false;
    }
    str_puts(out, "</GetDigits>");
    return true;
}

void at_xml_reject(struct str *out)
{
    str_puts(out, "<Reject/>");
}

void at_xml_goodbye(struct str *out)
{
    at_xml_begin(out);
    str_puts(out, "<Say>" GOODBYE "</Say>");
    at_xml_end(out);
}

void at_xml_refusal(struct str *out)
{
    at_xml_begin(out);
    at_xml_reject(out);
    at_xml_end(out);
}
