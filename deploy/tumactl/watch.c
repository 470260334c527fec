/*
 * watch - follow a campaign until it is done
 *
 * Asks the database, which is the record; events may come twice or late.
 */
#include "watch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define EVERY_MS 500
#define EVERY_PLAIN_MS 1000
#define BAR_WIDTH 40

/* Recipients that need nothing more from the provider. */
static int64_t settled(const struct campaign_view *view)
{
    return view->delivered + view->failed + view->expired + view->suppressed + view->cancelled;
}

static int64_t handed_over(const struct campaign_view *view)
{
    return view->planned - view->pending - view->sending;
}

static void put_counts(struct ctl *ctl, const struct campaign_view *view, struct str *out)
{
    const struct {
        const char *word;
        int64_t count;
    } counts[] = {
        { "delivered", view->delivered }, { "awaiting report", view->sent },
        { "failed", view->failed },       { "in doubt", view->in_doubt },
        { "sending", view->sending },     { "pending", view->pending },
        { "expired", view->expired },     { "suppressed", view->suppressed },
        { "cancelled", view->cancelled },
    };

    if (view->planned == 0 || strcmp(view->status, "receiving") == 0) {
        str_printf(out, " %s rows taken in", ctl_number(ctl, view->rows_received));
        return;
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (counts[i].count > 0 || i == 0) {
            str_printf(out, "%s %s %s", i == 0 ? "" : ",", ctl_number(ctl, counts[i].count),
                       counts[i].word);
        }
    }
}

/* '#' delivered or otherwise final, '=' with the provider, '.' still here. */
static void put_bar(const struct campaign_view *view, struct str *out)
{
    int64_t planned = view->planned > 0 ? view->planned : 1;
    int64_t full = settled(view) * BAR_WIDTH / planned;
    int64_t gone = handed_over(view) * BAR_WIDTH / planned;

    str_putc(out, '[');
    for (int i = 0; i < BAR_WIDTH; i++) {
        str_putc(out, i < full ? '#' : i < gone ? '=' : '.');
    }
    str_putc(out, ']');
}

static void draw(struct ctl *ctl, const struct campaign_view *view, bool on_terminal,
                 struct str *line)
{
    int64_t planned = view->planned > 0 ? view->planned : 1;
    char now[CLOCK_RFC3339_BYTES];

    str_reset(line);
    if (on_terminal) {
        put_bar(view, line);
        str_putc(line, ' ');
    } else {
        clock_format(clock_now_ms(), now);
        str_printf(line, "%.8s ", now + 11);
    }
    str_printf(line, "%s %lld%%", view->status, (long long)(settled(view) * 100 / planned));
    put_counts(ctl, view, line);
    if (*view->detail) {
        str_printf(line, " (%s)", view->detail);
    }
}

/* Prints the line if it says something new. */
static void show(const struct str *line, bool on_terminal, struct str *last)
{
    const size_t clock = on_terminal ? 0 : strlen("hh:mm:ss");

    if (last->bytes && last->len == line->len &&
        memcmp(last->bytes + clock, line->bytes + clock, line->len - clock) == 0) {
        return;
    }
    if (on_terminal) {
        printf("\r%s\033[K", line->bytes); /* erases what a longer line left */
    } else {
        printf("%s\n", line->bytes);
    }
    fflush(stdout);
    str_reset(last);
    str_append(last, line->bytes, line->len);
}

/* What ends the watch. */
struct goal {
    const char *until;
    int64_t deadline_ms; /* 0: none */
};

static bool is_reached(const struct goal *goal, const struct campaign_view *view)
{
    return (goal->until && strcmp(view->status, goal->until) == 0) ||
           campaign_status_is_final(view->status);
}

static bool follow(struct ctl *ctl, int64_t campaign, const struct goal *goal, bool on_terminal,
                   struct campaign_view *view, struct err *err)
{
    struct str line = { 0 };
    struct str last = { 0 };
    bool found = true;
    bool ok;

    for (;;) {
        ok = campaign_find(ctl->db, 0, campaign, ctl->arena, view, &found, err);
        if (ok && !found) {
            ok = err_permanent(err, "campaign_unknown", "there is no such campaign");
        }
        if (!ok) {
            break;
        }
        draw(ctl, view, on_terminal, &line);
        show(&line, on_terminal, &last);
        if (is_reached(goal, view)) {
            break;
        }
        if (goal->deadline_ms && clock_mono_ms() >= goal->deadline_ms) {
            ok = err_temporary(err, "timeout", "the campaign is still %s", view->status);
            break;
        }
        clock_sleep_ms(on_terminal ? EVERY_MS : EVERY_PLAIN_MS);
    }
    if (on_terminal) {
        printf("\n");
    }
    str_free(&line);
    str_free(&last);
    return ok;
}

bool watch(struct ctl *ctl, int64_t campaign, const char *until, int64_t timeout_ms,
           struct err *err)
{
    const struct goal goal = { until, timeout_ms ? clock_mono_ms() + timeout_ms : 0 };
    struct campaign_view view = { 0 };
    struct db *db;

    if (!ctl_db(ctl, &db, err) ||
        !follow(ctl, campaign, &goal, isatty(STDOUT_FILENO) == 1, &view, err)) {
        return false;
    }
    return (until && strcmp(view.status, until) == 0) || strcmp(view.status, "completed") == 0 ||
           err_permanent(err, "not_completed", "the campaign is %s%s%s", view.status,
                         *view.detail ? ": " : "", view.detail);
}

static bool watch_campaign(struct ctl *ctl, struct err *err)
{
    struct campaign_view view;
    int64_t seconds;

    return ctl_option_int(ctl, "timeout", 1, 864000, 0, &seconds, err) &&
           ctl_campaign(ctl, ctl->arguments[0], &view, err) &&
           watch(ctl, view.id, ctl_option(ctl, "until"), seconds * 1000, err);
}

const struct command campaign_watch_command = {
    .name = "campaign watch",
    .arguments = "CAMPAIGN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Follow a campaign until it is done",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "until", "STATUS", "or until it is quoted, sending, sent, …" },
            { OPTION_TEXT, "timeout", "SECONDS", "give up after that long" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = watch_campaign,
};
