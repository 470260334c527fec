/*
 * call - a campaign of calls from a CSV file, on the same way as one of texts
 */
#include <string.h>

#include "base/str.h"
#include "ctl.h"
#include "send.h"

/* "1=Yes" of each --answer. What a key may be is checked where every campaign is. */
static bool read_answers(struct ctl *ctl, struct map *out, struct err *err)
{
    const char *text;

    out->keys = arena_array(ctl->arena, CAMPAIGN_ANSWERS_MAX, sizeof *out->keys);
    out->values = arena_array(ctl->arena, CAMPAIGN_ANSWERS_MAX, sizeof *out->values);
    for (int i = 0; (text = ctl_option_at(ctl, "answer", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');

        if (equals == NULL || strlen(equals + 1) > CAMPAIGN_LABEL_MAX) {
            return ctl_usage(err,
                             "--answer: '%.40s' is no KEY=LABEL with a label of at most %d bytes",
                             text, CAMPAIGN_LABEL_MAX);
        }
        if (out->count == CAMPAIGN_ANSWERS_MAX) {
            return ctl_usage(err, "--answer: at most %d of them", CAMPAIGN_ANSWERS_MAX);
        }
        out->keys[out->count] = arena_strndup(ctl->arena, text, (size_t)(equals - text));
        out->values[out->count] = equals + 1;
        out->count++;
    }
    return true;
}

static bool check_length(const char *option, const char *text, size_t max, struct err *err)
{
    return text == NULL || strlen(text) <= max ||
           ctl_usage(err, "--%s: %zu bytes long, at most %zu allowed", option, strlen(text), max);
}

static bool read_voice(struct ctl *ctl, struct campaign_voice *out, struct err *err)
{
    *out = (struct campaign_voice){
        .audio = ctl_option(ctl, "audio"),
        .say_voice = ctl_option(ctl, "voice"),
        .repeat_key = ctl_option(ctl, "repeat"),
        .stop_key = ctl_option(ctl, "stop"),
        .thanks = ctl_option(ctl, "thanks"),
        .stopped = ctl_option(ctl, "stopped"),
    };
    return check_length("thanks", out->thanks, CAMPAIGN_CLOSING_MAX, err) &&
           check_length("stopped", out->stopped, CAMPAIGN_CLOSING_MAX, err) &&
           ctl_option_int(ctl, "attempts", 1, CAMPAIGN_ATTEMPTS_MAX, 0, &out->attempts, err) &&
           ctl_option_int(ctl, "retry-after", 1, CAMPAIGN_RETRY_S_MAX, 0, &out->retry_after_s,
                          err) &&
           ctl_option_int(ctl, "below-percent", 0, 100, 0, &out->below_percent, err) &&
           ctl_option_int(ctl, "repeats", 1, CAMPAIGN_REPEATS_MAX, 0, &out->repeats, err) &&
           ctl_option_int(ctl, "wait", 1, CAMPAIGN_WAIT_S_MAX, 0, &out->wait_s, err) &&
           read_answers(ctl, &out->answers, err);
}

static bool call(struct ctl *ctl, struct err *err)
{
    struct campaign_submitted definition = {
        .channel = CHANNEL_VOICE,
        .sender_id = ctl_option(ctl, "caller"),
    };

    if (!send_read_text(ctl, "say", "say-file", &definition.message_template, err) ||
        !read_voice(ctl, &definition.voice, err)) {
        return false;
    }
    if ((definition.message_template == NULL) == (definition.voice.audio == NULL)) {
        return ctl_usage(err, "campaign call needs one of --audio ID, --say TEXT, --say-file FILE");
    }
    return send_campaign(ctl, &definition, err);
}

const struct command campaign_call_command = {
    .name = "campaign call",
    .arguments = "",
    .summary = "Call the rows of a CSV file, and play or say something",
    .options =
        (const struct option_def[]){
            SEND_OPTIONS,
            { OPTION_TEXT, "audio", "ID", "the audio asset that is played" },
            { OPTION_TEXT, "say", "TEXT", "what is spoken, with {{fields}} named by columns" },
            { OPTION_TEXT, "say-file", "FILE", "the same, from a file" },
            { OPTION_TEXT, "voice", "NAME", "man, woman, or a name that the provider knows" },
            { OPTION_TEXT, "caller", "NUMBER", "that calls; default AT_VOICE_CALLER_ID" },
            { OPTION_TEXT, "attempts", "N", "calls to one who does not answer, all told" },
            { OPTION_TEXT, "retry-after", "SECONDS", "before the second call; doubled each time" },
            { OPTION_TEXT, "below-percent", "N", "call once more who listened to less" },
            { OPTION_TEXT, "repeat", "KEY", "to hear it again" },
            { OPTION_TEXT, "repeats", "N", "how often; default once" },
            { OPTION_TEXT, "stop", "KEY", "to get no more calls or messages" },
            { OPTION_MANY, "answer", "KEY=LABEL", "a key that answers, and what it means" },
            { OPTION_TEXT, "wait", "SECONDS", "for a key; default 10" },
            { OPTION_TEXT, "thanks", "TEXT", "said after an answer" },
            { OPTION_TEXT, "stopped", "TEXT", "said after the key that stops" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = call,
};
