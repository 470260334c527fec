/*
 * campaign - look at campaigns and steer them
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/str.h"
#include "ctl.h"
#include "money.h"
#include "publish.h"

#define LIST_DEFAULT 20

static const char *id_text(struct ctl *ctl, const struct campaign_view *view)
{
    char *text = arena_alloc(ctl->arena, ID_TEXT_BYTES);

    id_format(strcmp(view->kind, "message") == 0 ? "msg" : "cmp", view->id, text);
    return text;
}

static bool list(struct ctl *ctl, struct err *err)
{
    struct campaign_filter filter = { .status = ctl_option(ctl, "status") };
    struct campaign_view *views;
    struct account account;
    struct db *db;
    int64_t limit;
    int count;

    if (!ctl_option_int(ctl, "limit", 1, 1000, LIST_DEFAULT, &limit, err)) {
        return false;
    }
    filter.limit = (int)limit;
    if (ctl_option(ctl, "account")) {
        if (!ctl_account(ctl, &account, err)) {
            return false;
        }
        filter.account_id = account.id;
    }
    if (!ctl_db(ctl, &db, err) || !campaign_list(db, &filter, ctl->arena, &views, &count, err)) {
        return false;
    }
    printf("%-17s %-19s %-12s %-19s %10s %10s %8s %8s  %s\n", "CAMPAIGN", "CREATED", "ACCOUNT",
           "STATUS", "PLANNED", "DELIVERED", "FAILED", "DOUBT", "TITLE");
    for (int i = 0; i < count; i++) {
        const struct campaign_view *view = &views[i];

        printf("%-17s %-19s %-12s %-19s %10s %10s %8s %8s  %s\n", id_text(ctl, view),
               ctl_time(ctl, view->created_at), view->account, view->status,
               ctl_number(ctl, view->planned), ctl_number(ctl, view->delivered),
               ctl_number(ctl, view->failed), ctl_number(ctl, view->in_doubt), view->title);
    }
    return true;
}

const struct command campaign_list_command = {
    .name = "campaign list",
    .arguments = "",
    .summary = "List campaigns, the newest first",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "account", "SLUG", "only this account's" },
            { OPTION_TEXT, "status", "WORD", "only these: sending, paused, completed, …" },
            { OPTION_TEXT, "limit", "N", "at most that many; default 20" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = list,
};

static void show_texts(struct ctl *ctl, const struct campaign_view *view)
{
    const struct {
        const char *name, *value;
    } rows[] = {
        { "campaign", id_text(ctl, view) },
        { "account", view->account },
        { "reference", view->reference },
        { "title", view->title },
        { "channel", view->channel },
        { "status", view->status },
        { "detail", view->detail },
        { "sender", view->sender_id },
        { "lane", view->lane },
        { "country", view->country },
        { "template", view->message_template },
        { "created", ctl_time(ctl, view->created_at) },
        { "scheduled", ctl_time(ctl, view->scheduled_at) },
        { "expires", ctl_time(ctl, view->expires_at) },
        { "rendered", ctl_time(ctl, view->rendered_at) },
        { "reserved", ctl_time(ctl, view->reserved_at) },
        { "started", ctl_time(ctl, view->started_at) },
        { "sent at", ctl_time(ctl, view->sent_at) },
        { "completed", ctl_time(ctl, view->completed_at) },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        printf("%-12s %s\n", rows[i].name, *rows[i].value ? rows[i].value : "-");
    }
}

/* Both lines only where there is something to say. */
static void show_follow_up(struct ctl *ctl, const struct campaign_view *view)
{
    const struct campaign_following *follow = &view->follow_up;
    char id[ID_TEXT_BYTES];

    if (follow->id != 0) {
        id_format("cmp", follow->id, id);
        printf("%-12s %s by %s, %s, for %s; %s of what is quoted\n", "follow-up", id,
               follow->channel, follow->status, follow->when, ctl_number(ctl, follow->tokens));
    }
    if (view->parent != 0) {
        id_format("cmp", view->parent, id);
        printf("%-12s %s\n", "follows", id);
    }
}

static bool show(struct ctl *ctl, struct err *err)
{
    struct campaign_view view;

    if (!ctl_campaign(ctl, ctl->arguments[0], &view, err)) {
        return false;
    }
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {
        { "rows", view.rows_received },    { "invalid", view.invalid },
        { "duplicates", view.duplicates }, { "planned", view.planned },
        { "pending", view.pending },       { "sending", view.sending },
        { "in doubt", view.in_doubt },     { "sent", view.sent },
        { "delivered", view.delivered },   { "failed", view.failed },
        { "expired", view.expired },       { "suppressed", view.suppressed },
        { "cancelled", view.cancelled },   { "quoted", view.segments },
        { "captured", view.captured },     { "released", view.released },
    };
    show_texts(ctl, &view);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        printf("%-12s %s\n", counts[i].name, ctl_number(ctl, counts[i].value));
    }
    printf("%-12s %s\n", "cost", money_format(ctl, view.cost_e4, view.currency));
    show_follow_up(ctl, &view);
    return true;
}

const struct command campaign_show_command = {
    .name = "campaign show",
    .arguments = "CAMPAIGN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Show all of a campaign's row",
    .run = show,
};

/* Tells the chain. A fact that gets lost would be noticed by a tick, but for a launch. */
static bool tell(struct ctl *ctl, const struct campaign_view *view,
                 const struct campaign_steered *steered, struct err *err)
{
    struct str body = { 0 };
    struct err inner;
    char id[ID_TEXT_BYTES];
    bool ok;

    if (!steered->publish) {
        return true;
    }
    id_format("cmp", view->id, id);
    shape_write(steered->publish, &(struct campaign_fact){ .campaign = id }, &body);
    ok = publish_fact(ctl,
                      &(struct publish_fact){ .shape = steered->publish,
                                              .lane = steered->lane,
                                              .campaign = id,
                                              .account = view->account,
                                              .number = -1,
                                              .body = &body },
                      &inner);
    str_free(&body);
    return ok || err_temporary(err, "not_told",
                               "campaign %s is %s, but the chain could not be told: %.90s; repeat "
                               "this",
                               id, steered->status, inner.detail);
}

static bool steer(struct ctl *ctl, enum campaign_action action, struct err *err)
{
    struct campaign_steered steered;
    struct campaign_view view;
    struct db *db;

    if (!ctl_campaign(ctl, ctl->arguments[0], &view, err) || !ctl_db(ctl, &db, err) ||
        !db_begin(db, err)) {
        return false;
    }
    if (!campaign_steer(db, 0, view.id, action, &steered, err) || !db_commit(db, err)) {
        db_rollback(db);
        return false;
    }
    if (!tell(ctl, &view, &steered, err)) {
        return false;
    }
    printf("%s is %s\n", id_text(ctl, &view), steered.status);
    return true;
}

static bool launch(struct ctl *ctl, struct err *err)
{
    return steer(ctl, CAMPAIGN_LAUNCH, err);
}

static bool pause_campaign(struct ctl *ctl, struct err *err)
{
    return steer(ctl, CAMPAIGN_PAUSE, err);
}

static bool resume(struct ctl *ctl, struct err *err)
{
    return steer(ctl, CAMPAIGN_RESUME, err);
}

static bool cancel(struct ctl *ctl, struct err *err)
{
    return steer(ctl, CAMPAIGN_CANCEL, err);
}

const struct command campaign_launch_command = {
    .name = "campaign launch",
    .arguments = "CAMPAIGN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Send a campaign that stopped at its quote",
    .run = launch,
};
const struct command campaign_pause_command = {
    .name = "campaign pause",
    .arguments = "CAMPAIGN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Stop sending, for the time being",
    .run = pause_campaign,
};
const struct command campaign_resume_command = {
    .name = "campaign resume",
    .arguments = "CAMPAIGN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Go on with a paused campaign, or look again for the tokens it lacks",
    .run = resume,
};
const struct command campaign_cancel_command = {
    .name = "campaign cancel",
    .arguments = "CAMPAIGN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Give up what was not sent; its tokens go back",
    .run = cancel,
};
