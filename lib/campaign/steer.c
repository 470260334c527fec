/*
 * steer - launch, pause, resume, cancel: one table of what each may follow
 *
 * The status changes here; the fact that is published afterwards tells the stage that has to act.
 * A fact that is lost on the way is made good by the stage's tick, which looks at the rows; so is
 * the world told, by an event for each row with untold_at.
 */
#include <string.h>

#include "base/panic.h"
#include "campaign/store.h"

struct steering {
    const char *verb;
    const char *from; /* statuses it may start from, each between spaces */
    const char *done; /* statuses in which it is so already */
    const char *to;
    const struct shape *publish;
};

static const struct steering steerings[] = {
    [CAMPAIGN_LAUNCH] = { "launch", " quoted ",
                          " reserving insufficient_tokens scheduled sending paused sent completed ",
                          "reserving", &campaign_launched_v1 },
    [CAMPAIGN_PAUSE] = { "pause", " sending scheduled ", " paused ", "paused", NULL },
    [CAMPAIGN_RESUME] = { "resume", " paused ",
                          " insufficient_tokens sending scheduled sent completed ", "sending",
                          &campaign_resumed_v1 },
    [CAMPAIGN_CANCEL] = { "cancel",
                          " receiving quoted waiting reserving insufficient_tokens scheduled "
                          "sending "
                          "paused ",
                          " cancelling cancelled ", "cancelling", &campaign_cancelled_v1 },
};

static const struct db_statement lock_campaign = {
    "campaign_steer_lock",
    "SELECT status, lane, started_at IS NULL AND scheduled_at IS NOT NULL"
    "  FROM campaigns"
    " WHERE id = $1 AND ($2::bigint = 0 OR account_id = $2)"
    "   FOR UPDATE",
    2
};

static const struct db_statement set_status = {
    "campaign_steer",
    "UPDATE campaigns"
    "   SET status = $2, untold_at = now(),"
    "       launched_at = CASE WHEN $2 = 'reserving' THEN now() ELSE launched_at END"
    " WHERE id = $1",
    2
};

static bool among(const char *words, const char *word)
{
    const char *at = words;

    while ((at = strstr(at, word)) != NULL) {
        if (at[-1] == ' ' && at[strlen(word)] == ' ') {
            return true;
        }
        at++;
    }
    return false;
}

/* The same word for as long as the program runs. */
static const char *literal(const char *status)
{
    static const char *const words[] = {
        "receiving", "quoted",  "waiting",   "reserving",  "insufficient_tokens",
        "scheduled", "sending", "paused",    "cancelling", "cancelled",
        "expired",   "refused", "abandoned", "sent",       "completed",
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], status) == 0) {
            return words[i];
        }
    }
    panic("campaign status '%s'", status);
}

bool campaign_steer(struct db *db, int64_t account_id, int64_t id, enum campaign_action action,
                    struct campaign_steered *out_steered, struct err *err)
{
    const struct steering *steering = &steerings[action];
    AUTO_DB_RESULT struct db_result *found = NULL;
    const char *status;
    const char *to = steering->to;

    if (!db_query(db, &lock_campaign, (struct db_value[]){ db_int8(id), db_int8(account_id) },
                  &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return err_permanent(err, "campaign_unknown", "id: no such campaign");
    }
    status = db_get_text(found, 0, 0);
    out_steered->lane = strcmp(db_get_text(found, 0, 1), "high") == 0 ? LANE_HIGH : LANE_NORMAL;
    if (among(steering->done, status)) {
        /* Said again: the fact is told again too, in case the first telling was lost. */
        out_steered->status = literal(status);
        out_steered->publish = steering->publish;
        if (action == CAMPAIGN_RESUME && strcmp(status, "insufficient_tokens") == 0) {
            out_steered->publish = &campaign_launched_v1; /* are there tokens now? */
        }
        return true;
    }
    if (!among(steering->from, status)) {
        return err_permanent(err, "wrong_status", "status: cannot %s a campaign that is %s%s",
                             steering->verb, status,
                             strcmp(status, "waiting") == 0
                                 ? "; it begins by itself when the one that it follows is over"
                                 : "");
    }
    if (action == CAMPAIGN_RESUME && db_get_bool(found, 0, 2)) {
        to = "scheduled"; /* paused before its time came */
    }
    if (!db_run(db, &set_status, (struct db_value[]){ db_int8(id), db_text(to) }, NULL, err)) {
        return false;
    }
    out_steered->status = to;
    out_steered->publish = steering->publish;
    return true;
}

bool campaign_status_is_final(const char *status)
{
    return among(" completed cancelled expired refused abandoned ", status);
}
