/*
 * options - the words after a command's name
 */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "ctl.h"

#define SECONDS_A_DAY 86400

static const struct option_def *find_def(const struct command *command, const char *name,
                                         size_t len)
{
    for (const struct option_def *def = command->options; def && def->kind != OPTION_END; def++) {
        if (strlen(def->name) == len && memcmp(def->name, name, len) == 0) {
            return def;
        }
    }
    return NULL;
}

/* One option at argv[*index], with its value in the same word or the next. */
static bool take_option(struct ctl *ctl, int argc, char **argv, int *index, struct err *err)
{
    const char *word = argv[*index] + 2;
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const struct option_def *def = find_def(ctl->command, word, len);
    const char *value = "";

    if (!def) {
        return ctl_usage(err, "%s has no option --%.*s; see tumactl help %s", ctl->command->name,
                         (int)(len < 40 ? len : 40), word, ctl->command->name);
    }
    if (def->kind == OPTION_FLAG && equals) {
        return ctl_usage(err, "--%s takes no value", def->name);
    }
    if (def->kind != OPTION_FLAG) {
        value = equals ? equals + 1 : *index + 1 < argc ? argv[++*index] : NULL;
        if (!value) {
            return ctl_usage(err, "--%s needs a value: --%s %s", def->name, def->name, def->value);
        }
    }
    if (def->kind != OPTION_MANY && ctl_option(ctl, def->name)) {
        return ctl_usage(err, "--%s is given twice", def->name);
    }
    if (ctl->option_count == CTL_OPTIONS_MAX) {
        return ctl_usage(err, "more than %d options", CTL_OPTIONS_MAX);
    }
    ctl->options[ctl->option_count].def = def;
    ctl->options[ctl->option_count++].value = value;
    return true;
}

static bool check_counts(const struct ctl *ctl, struct err *err)
{
    const struct command *command = ctl->command;

    for (const struct option_def *def = command->options; def && def->kind != OPTION_END; def++) {
        if (def->kind == OPTION_REQUIRED && !ctl_option(ctl, def->name)) {
            return ctl_usage(err, "%s needs --%s %s", command->name, def->name, def->value);
        }
    }
    if (ctl->argument_count < command->arguments_min) {
        return ctl_usage(err, "%s needs %s", command->name, command->arguments);
    }
    if (ctl->argument_count > command->arguments_max) {
        return ctl_usage(err, "%s does not take '%.60s'", command->name,
                         ctl->arguments[command->arguments_max]);
    }
    return true;
}

bool ctl_parse(struct ctl *ctl, int argc, char **argv, struct err *err)
{
    const int most = (int)(sizeof ctl->arguments / sizeof *ctl->arguments);
    bool only_arguments = false;

    for (int i = 0; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && strncmp(argv[i], "--", 2) == 0) {
            if (!take_option(ctl, argc, argv, &i, err)) {
                return false;
            }
        } else if (ctl->argument_count == most) {
            return ctl_usage(err, "more than %d arguments", most);
        } else {
            ctl->arguments[ctl->argument_count++] = argv[i];
        }
    }
    return check_counts(ctl, err);
}

const char *ctl_option_at(const struct ctl *ctl, const char *name, int index)
{
    for (int i = 0; i < ctl->option_count; i++) {
        if (strcmp(ctl->options[i].def->name, name) == 0 && index-- == 0) {
            return ctl->options[i].value;
        }
    }
    return NULL;
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
    return ctl_option_at(ctl, name, 0);
}

bool ctl_option_int(const struct ctl *ctl, const char *name, int64_t min, int64_t max,
                    int64_t fallback, int64_t *out_value, struct err *err)
{
    const char *text = ctl_option(ctl, name);

    if (!text) {
        *out_value = fallback;
        return true;
    }
    if (!str_parse_int(text, min, max, out_value)) {
        return ctl_usage(err, "--%s: '%.40s' is not a whole number from %lld to %lld", name, text,
                         (long long)min, (long long)max);
    }
    return true;
}

/* "+30d" and the like, in seconds; false when it is not one. */
static bool parse_from_now(const char *text, int64_t *out_s)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', SECONDS_A_DAY } };
    size_t len = strlen(text);
    int64_t count;

    if (len < 3 || *text != '+' || !str_parse_int_n(text + 1, len - 2, 0, 1000000, &count)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].letter == text[len - 1]) {
            *out_s = count * units[i].seconds;
            return true;
        }
    }
    return false;
}

bool ctl_option_time(const struct ctl *ctl, const char *name, int64_t *out_ms, struct err *err)
{
    const char *text = ctl_option(ctl, name);
    int64_t seconds;

    if (!text || strcmp(text, "never") == 0) {
        *out_ms = 0;
        return true;
    }
    if (parse_from_now(text, &seconds)) {
        *out_ms = clock_now_ms() + seconds * 1000;
        return true;
    }
    if (!clock_parse(text, strlen(text), out_ms)) {
        return ctl_usage(err,
                         "--%s: '%.40s' is no time; write 2026-12-24T08:00:00+03:00, "
                         "+15m, +2h, +30d or never",
                         name, text);
    }
    return true;
}
