/*
 * view - a campaign as the API, the console and tumactl show it
 */
#include <string.h>

#include "base/panic.h"
#include "campaign/store.h"
#include "campaign/voice.h"

/* In the order in which read_view() takes them. */
#define VIEW_COLUMNS                                                                               \
    "SELECT c.id, c.account_id, a.slug, c.reference, c.kind, c.channel, c.status, c.detail,"       \
    "       c.title, c.message_template, c.text, c.sender_id, c.lane, c.country::text,"            \
    "       c.scheduled_at, c.expires_at, c.created_at, c.rendered_at, c.reserved_at,"             \
    "       c.started_at, c.sent_at, c.completed_at, c.rows_received, c.invalid, c.duplicates,"    \
    "       n.planned, n.pending, n.sending, n.in_doubt, n.sent, n.delivered, n.failed, "          \
    "n.expired,"                                                                                   \
    "       n.suppressed, n.cancelled, c.segments + c.follow_segments, n.captured, n.released, "   \
    "n.cost_e4, c.hold,"                                                                           \
    "       (SELECT r.currency::text FROM recipients r"                                            \
    "         WHERE r.campaign_id = c.id AND r.currency IS NOT NULL AND n.cost_e4 > 0 LIMIT 1),"   \
    "       c.parent_id, f.id, f.channel, f.status, array_to_string(f.follow_words, ','),"         \
    "       c.follow_segments"                                                                     \
    "  FROM campaigns c"                                                                           \
    "  JOIN accounts a ON a.id = c.account_id"                                                     \
    "  LEFT JOIN campaigns f ON f.parent_id = c.id"                                                \
    "  JOIN campaign_counts n ON n.campaign_id = c.id"

static const struct db_statement find_campaign = {
    "campaign_find",
    VIEW_COLUMNS " WHERE c.id = $1 AND ($2::bigint = 0 OR c.account_id = $2)",
    2,
};

#define LIST_WHERE                                                                                 \
    " WHERE ($1::bigint = 0 OR c.account_id = $1)"                                                 \
    "   AND ($2 = '' OR c.kind = $2) AND ($3 = '' OR c.channel = $3)"                              \
    "   AND ($4 = '' OR c.status = $4)"

static const struct db_statement list_newest = {
    "campaign_list_newest",
    VIEW_COLUMNS LIST_WHERE " AND ($5::bigint = 0 OR c.id < $5) ORDER BY c.id DESC LIMIT $6",
    6,
};
static const struct db_statement list_oldest = {
    "campaign_list_oldest",
    VIEW_COLUMNS LIST_WHERE " AND c.id > $5 ORDER BY c.id LIMIT $6",
    6,
};

struct reader {
    const struct db_result *result;
    struct arena *arena;
    int row;
    int col;
};

static int64_t next_int(struct reader *reader)
{
    return db_get_int(reader->result, reader->row, reader->col++);
}

static int64_t next_time(struct reader *reader)
{
    return db_get_time(reader->result, reader->row, reader->col++);
}

/* NULL stays "", so that a view has no NULL text. */
static const char *next_text(struct reader *reader)
{
    const char *text = db_get_text(reader->result, reader->row, reader->col++);

    return text ? arena_strdup(reader->arena, text) : "";
}

static void read_names(struct reader *from, struct campaign_view *view)
{
    view->id = next_int(from);
    view->account_id = next_int(from);
    view->account = next_text(from);
    view->reference = next_text(from);
    view->kind = next_text(from);
    view->channel = next_text(from);
    view->status = next_text(from);
    view->detail = next_text(from);
    view->title = next_text(from);
    view->message_template = next_text(from);
    view->text = next_text(from);
    view->sender_id = next_text(from);
    view->lane = next_text(from);
    view->country = next_text(from);
}

static void read_view(struct reader *from, struct campaign_view *view)
{
    read_names(from, view);
    int64_t *const times[] = { &view->scheduled_at, &view->expires_at,  &view->created_at,
                               &view->rendered_at,  &view->reserved_at, &view->started_at,
                               &view->sent_at,      &view->completed_at };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        *times[i] = next_time(from);
    }
    int64_t *const counts[] = { &view->rows_received, &view->invalid,  &view->duplicates,
                                &view->planned,       &view->pending,  &view->sending,
                                &view->in_doubt,      &view->sent,     &view->delivered,
                                &view->failed,        &view->expired,  &view->suppressed,
                                &view->cancelled,     &view->segments, &view->captured,
                                &view->released,      &view->cost_e4 };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        *counts[i] = next_int(from);
    }
    view->hold = db_get_bool(from->result, from->row, from->col++);
    view->currency = next_text(from);
    view->parent = next_int(from);
    view->follow_up.id = next_int(from);
    view->follow_up.channel = next_text(from);
    view->follow_up.status = next_text(from);
    view->follow_up.when = next_text(from);
    view->follow_up.tokens = next_int(from);
    if (from->col != db_columns(from->result)) {
        panic("campaign view: %d columns read of %d", from->col, db_columns(from->result));
    }
}

/* Asked once for all of them, and not at all for SMS. */
static bool attach_voices(struct db *db, struct campaign_view *views, size_t count,
                          struct arena *arena, struct err *err)
{
    int64_t *ids = arena_array(arena, count + 1, sizeof *ids);
    const struct voice **voices = arena_array(arena, count + 1, sizeof *voices);
    bool wanted = false;

    for (size_t i = 0; i < count; i++) {
        ids[i] = views[i].id;
        wanted = wanted || strcmp(views[i].channel, channel_words[CHANNEL_VOICE]) == 0;
    }
    if (wanted && !voice_load_all(db, ids, count, arena, voices, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        views[i].voice = voices[i];
    }
    return true;
}

bool campaign_find(struct db *db, int64_t account_id, int64_t id, struct arena *arena,
                   struct campaign_view *out_view, bool *out_found, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_campaign, (struct db_value[]){ db_int8(id), db_int8(account_id) },
                  &found, err)) {
        return false;
    }
    *out_found = db_rows(found) > 0;
    if (*out_found) {
        read_view(&(struct reader){ .result = found, .arena = arena }, out_view);
    }
    return !*out_found || attach_voices(db, out_view, 1, arena, err);
}

bool campaign_list(struct db *db, const struct campaign_filter *filter, struct arena *arena,
                   struct campaign_view **out_views, int *out_count, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct campaign_view *views;

    if (!db_query(db, filter->oldest_first ? &list_oldest : &list_newest,
                  (struct db_value[]){ db_int8(filter->account_id),
                                       db_text(filter->kind ? filter->kind : ""),
                                       db_text(filter->channel ? filter->channel : ""),
                                       db_text(filter->status ? filter->status : ""),
                                       db_int8(filter->before_id), db_int8(filter->limit) },
                  &found, err)) {
        return false;
    }
    views = arena_array(arena, (size_t)db_rows(found) + 1, sizeof *views);
    for (int i = 0; i < db_rows(found); i++) {
        read_view(&(struct reader){ .result = found, .arena = arena, .row = i }, &views[i]);
    }
    *out_views = views;
    *out_count = db_rows(found);
    return attach_voices(db, views, (size_t)*out_count, arena, err);
}
