/*
 * render-template - turn submitted rows into recipients with a frozen text and a price
 *
 * Reads   campaign.submitted.v1, recipients.submitted.v1, campaign.closed.v1 (ingress and partners)
 * Emits   campaign.rendered.v1 once the last chunk is in; campaign.changed.v1,
 *         campaign.completed.v1
 * Tables  campaigns, campaign_chunks, recipients, campaign_rejects, voice_campaigns; reads
 * accounts, suppressions, audio_assets
 *
 * A campaign is rendered when as many chunks are in as its definition or its closing message said,
 * in whatever order they came. Redelivery does no harm: a chunk's row in campaign_chunks is there
 * already, and a campaign that is rendered tells it again under the same message id. Each chunk is
 * rendered for the campaign's follow-up too, in the same transaction: both can be, or neither is.
 *
 * Retried   a chunk or closing of a campaign whose definition has not come yet.
 * Rejected  a definition that cannot be a campaign. A campaign that proves impossible later (a
 *           field no column has, a missing value under the policy "block") takes the status
 *           refused, with the reason, and nothing of it is sent.
 */
#include <string.h>

#include "base/id.h"
#include "campaign/store.h"
#include "chunk.h"
#include "msg/campaign.h"
#include "msg/event.h"
#include "stage/stage.h"

/* The campaign a message is about, as stored. */
struct target {
    struct chunk_campaign campaign;
    const char *account;
    const char *reference;
    const char *detail; /* why it is refused or completed; "" */
    int64_t planned, suppressed, invalid, duplicates, segments;
    bool calls;
    int64_t follow_up; /* the campaign that follows it; 0: none */
};

static const struct db_statement find_campaign = {
    "render_find_campaign",
    "SELECT c.id, c.account_id, c.status, c.message_template, c.missing, c.missing_default,"
    "       c.country::text, c.keep_whitespace, coalesce(c.detail, ''), a.slug, c.reference,"
    "       c.planned, c.suppressed, c.invalid, c.duplicates, c.segments + c.follow_segments,"
    "       c.channel = 'voice',"
    "       coalesce((SELECT f.id FROM campaigns f WHERE f.parent_id = c.id), 0)"
    "  FROM campaigns c JOIN accounts a ON a.id = c.account_id"
    " WHERE c.id = $1",
    1
};

static bool load_target(struct stage *stage, int64_t id, struct target *out_target, struct err *err)
{
    struct db_result *found = NULL;
    struct arena *arena = stage_arena(stage);

    if (!db_query(stage_db(stage), &find_campaign, (struct db_value[]){ db_int8(id) }, &found,
                  err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        db_result_destroy(found);
        return err_temporary(err, "campaign_unknown", "no campaign %lld yet", (long long)id);
    }
    *out_target = (struct target){
        .campaign = {
            .id = db_get_int(found, 0, 0),
            .account_id = db_get_int(found, 0, 1),
            .status = arena_strdup(arena, db_get_text(found, 0, 2)),
            .message_template = arena_strdup(arena, db_get_text(found, 0, 3)),
            .missing = arena_strdup(arena, db_get_text(found, 0, 4)),
            .missing_default = arena_strdup(arena, db_get_text(found, 0, 5)),
            .country = arena_strdup(arena, db_get_text(found, 0, 6)),
            .keep_whitespace = db_get_bool(found, 0, 7),
        },
        .detail = arena_strdup(arena, db_get_text(found, 0, 8)),
        .account = arena_strdup(arena, db_get_text(found, 0, 9)),
        .reference = arena_strdup(arena, db_get_text(found, 0, 10)),
        .planned = db_get_int(found, 0, 11),
        .suppressed = db_get_int(found, 0, 12),
        .invalid = db_get_int(found, 0, 13),
        .duplicates = db_get_int(found, 0, 14),
        .segments = db_get_int(found, 0, 15),
        .calls = db_get_bool(found, 0, 16),
        .follow_up = db_get_int(found, 0, 17),
    };
    db_result_destroy(found);
    return true;
}

/* Which campaign a chunk or closing names: by its id from the ingress, by reference from a partner.
 */
static bool find_target(struct stage *stage, const struct message *in, const char *campaign,
                        const char *reference, struct target *out_target, struct err *err)
{
    struct account account;
    int64_t id = 0;
    bool found;

    if (!in->from_partner && campaign && id_parse("cmp", campaign, &id)) {
        return load_target(stage, id, out_target, err);
    }
    if (!reference || !*reference) {
        return err_permanent(err, "no_reference",
                             "reference: is missing; give your own name of "
                             "the campaign");
    }
    if (!account_find(stage_db(stage), in->account, 0, stage_arena(stage), &account, &found, err)) {
        return false;
    }
    if (!found) {
        return err_permanent(err, "account_unknown", "account: '%.31s' does not exist",
                             in->account);
    }
    if (!campaign_by_reference(stage_db(stage), account.id, reference, &id, err)) {
        return false;
    }
    if (id == 0) {
        return err_temporary(err, "campaign_unknown", "reference: '%.60s' was not submitted yet",
                             reference);
    }
    return load_target(stage, id, out_target, err);
}

static void tell(struct stage *stage, const struct target *target, const char *status,
                 const char *detail)
{
    const struct shape *shape =
        strcmp(status, "completed") == 0 ? &campaign_completed_v1 : &campaign_changed_v1;
    char id[ID_TEXT_BYTES];

    id_format("cmp", target->campaign.id, id);
    stage_emit_as(stage, shape,
                  &(struct campaign_event){
                      .campaign = id,
                      .reference = target->reference,
                      .account = target->account,
                      .status = status,
                      .detail = detail,
                      .planned = target->planned,
                      .suppressed = target->suppressed,
                      .invalid = target->invalid,
                      .duplicates = target->duplicates,
                      .tokens = target->segments,
                      .at_ms = stage_now_ms(stage),
                  },
                  &(struct emission){ .key = arena_printf(stage_arena(stage), "%s %s", id, status),
                                      .correlation = id,
                                      .account = target->account });
}

static const struct db_statement refuse_campaign = {
    "render_refuse_campaign",
    "UPDATE campaigns SET status = 'refused', detail = $2, completed_at = now()"
    " WHERE id = $1 AND status = 'receiving'",
    2,
};

/* The campaign cannot be sent as it is: say so in its row; what came of it stays unsent. */
static enum verdict refuse(struct stage *stage, const struct target *target, const struct err *why)
{
    struct err err;

    db_savepoint_rollback(stage_db(stage));
    if (!db_run(stage_db(stage), &refuse_campaign,
                (struct db_value[]){ db_int8(target->campaign.id), db_text(why->detail) }, NULL,
                &err)) {
        return stage_fail(stage, &err);
    }
    tell(stage, target, "refused", why->detail);
    return STAGE_DONE;
}

static const struct db_statement close_campaign = {
    "render_close_campaign",
    "UPDATE campaigns SET chunks_expected = $2 WHERE id = $1 AND chunks_expected IS NULL",
    2,
};

/*
 * The row is locked, so of two workers with the last two chunks the later one sees both. As many
 * chunks as were announced are all of them only if none has a higher number.
 */
static const struct db_statement pass_barrier = {
    "render_pass_barrier",
    "WITH stranger AS ("
    "    SELECT max(chunk) AS chunk FROM campaign_chunks WHERE campaign_id = $1)"
    " UPDATE campaigns c"
    "   SET rendered_at = now(),"
    "       completed_at = CASE WHEN s.chunk > chunks_expected OR planned = suppressed"
    "                           THEN now() END,"
    "       detail = CASE WHEN s.chunk > chunks_expected"
    "                     THEN format('chunks: %s were announced but one has the number %s',"
    "                                 chunks_expected, s.chunk)"
    "                     WHEN planned = suppressed THEN 'no recipient was left to send to' END,"
    "       status = CASE WHEN s.chunk > chunks_expected THEN 'refused'"
    "                     WHEN planned = suppressed THEN 'completed'"
    "                     WHEN hold THEN 'quoted' ELSE 'reserving' END,"
    "       follow_segments = coalesce((SELECT f.segments FROM campaigns f"
    "                                    WHERE f.parent_id = c.id"
    "                                      AND f.status = 'receiving'), 0)"
    "  FROM stranger s"
    " WHERE id = $1 AND status = 'receiving' AND chunks_done >= chunks_expected",
    1
};

/* Priced with the campaign it follows, it waits for that one's end. */
static const struct db_statement let_wait = {
    "render_let_wait",
    "UPDATE campaigns f SET status = 'waiting', rendered_at = now()"
    "  FROM campaigns p"
    " WHERE f.id = $1 AND f.status = 'receiving' AND p.id = f.parent_id"
    "   AND p.rendered_at IS NOT NULL AND p.status <> 'refused'",
    1,
};

/* Tells what became of a campaign if it now is rendered, or was before and may not have been told.
 */
static enum verdict finish(struct stage *stage, const struct target *target)
{
    static const char *const told[] = { "quoted", "completed", "refused" };
    struct target now;
    struct err err;
    char id[ID_TEXT_BYTES];

    if (!db_run(stage_db(stage), &pass_barrier, (struct db_value[]){ db_int8(target->campaign.id) },
                NULL, &err) ||
        (target->follow_up != 0 &&
         !db_run(stage_db(stage), &let_wait, (struct db_value[]){ db_int8(target->follow_up) },
                 NULL, &err)) ||
        !load_target(stage, target->campaign.id, &now, &err)) {
        return stage_fail(stage, &err);
    }
    if (strcmp(now.campaign.status, "reserving") == 0) {
        id_format("cmp", now.campaign.id, id);
        stage_emit_as(stage, &campaign_rendered_v1, &(struct campaign_fact){ id },
                      &(struct emission){ .key = id, .correlation = id, .account = now.account });
    }
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        if (strcmp(now.campaign.status, told[i]) == 0) {
            tell(stage, &now, told[i], now.detail);
        }
    }
    return STAGE_DONE;
}

/* What the rows of a chunk are priced by, besides their texts. */
static bool load_calls(struct stage *stage, const struct target *target,
                       struct chunk_campaign *out_campaign, struct err *err)
{
    struct voice *voice = arena_alloc(stage_arena(stage), sizeof *voice);
    bool found;

    *out_campaign = target->campaign;
    if (!target->calls) {
        return true;
    }
    if (!voice_load(stage_db(stage), target->campaign.id, stage_arena(stage), voice, &found, err)) {
        return false;
    }
    out_campaign->voice = voice;
    return found || err_permanent(err, "no_calls", "channel: what is said of its calls is gone");
}

static bool take_rows(struct stage *stage, const struct target *target, const struct chunk *chunk,
                      struct err *err)
{
    struct chunk_campaign campaign;

    return load_calls(stage, target, &campaign, err) &&
           chunk_take(stage_db(stage), &campaign, chunk, stage_arena(stage), err);
}

/* The same rows, as whoever follows up will need them. */
static bool take_follow_up(struct stage *stage, const struct target *target,
                           const struct chunk *chunk, struct err *err)
{
    struct target follow;
    struct err inner;

    if (target->follow_up == 0) {
        return true;
    }
    if (!load_target(stage, target->follow_up, &follow, err)) {
        return false;
    }
    if (strcmp(follow.campaign.status, "receiving") != 0 || /* cancelled by itself */
        take_rows(stage, &follow, chunk, &inner)) {
        return true;
    }
    *err = inner;
    if (inner.kind == ERR_PERMANENT && strncmp(inner.what, "pg_", 3) != 0) {
        return err_permanent(err, inner.what, "follow_up: %.180s", inner.detail);
    }
    return false;
}

/* Takes a chunk in, if the campaign still wants any. */
static enum verdict take(struct stage *stage, const struct target *target,
                         const struct chunk *chunk)
{
    struct err err;

    if (strcmp(target->campaign.status, "receiving") == 0) {
        if (!db_savepoint(stage_db(stage), &err)) {
            return stage_fail(stage, &err);
        }
        if (!take_rows(stage, target, chunk, &err) || !take_follow_up(stage, target, chunk, &err)) {
            return err.kind == ERR_PERMANENT && strncmp(err.what, "pg_", 3) != 0
                       ? refuse(stage, target, &err)
                       : stage_fail(stage, &err);
        }
        if (!db_savepoint_release(stage_db(stage), &err)) {
            return stage_fail(stage, &err);
        }
    }
    return finish(stage, target);
}

static enum verdict close_at(struct stage *stage, const struct target *target, int64_t chunks)
{
    struct err err;

    if (!db_run(stage_db(stage), &close_campaign,
                (struct db_value[]){ db_int8(target->campaign.id), db_int4((int32_t)chunks) }, NULL,
                &err)) {
        return stage_fail(stage, &err);
    }
    return finish(stage, target);
}

/* A partner's definition becomes a row; the ingress has made its own before. */
static bool open_campaign(struct stage *stage, const struct message *in,
                          const struct campaign_submitted *submitted, struct target *out_target,
                          struct err *err)
{
    struct account account;
    struct campaign_made made;
    bool found;
    bool named = submitted->reference && *submitted->reference;

    if (!in->from_partner && submitted->campaign && *submitted->campaign) {
        return find_target(stage, in, submitted->campaign, NULL, out_target, err);
    }
    if (!account_find(stage_db(stage), in->account, 0, stage_arena(stage), &account, &found, err)) {
        return false;
    }
    if (!found) {
        return err_permanent(err, "account_unknown", "account: '%.31s' does not exist",
                             in->account);
    }
    return campaign_create(stage_db(stage),
                           &(struct campaign_new){
                               .account = &account,
                               .definition = submitted,
                               .reference = named ? submitted->reference : in->id,
                               .kind = "campaign",
                               .lane = in->lane,
                               .by_api = true,
                               .now_ms = stage_now_ms(stage),
                           },
                           stage_arena(stage), &made, err) &&
           load_target(stage, made.id, out_target, err);
}

static enum verdict handle_submitted(struct stage *stage, const struct message *in)
{
    struct campaign_submitted submitted;
    struct target target;
    struct err err;

    if (!message_read(in, &campaign_submitted_v1, &submitted, &err)) {
        return stage_fail(stage, &err);
    }
    if (submitted.rows.rows > 0 && submitted.chunks > 0) {
        return stage_reject(stage, "recipients_twice",
                            "rows and chunks: give the recipients inline or in chunks, not both");
    }
    if (!open_campaign(stage, in, &submitted, &target, &err)) {
        return stage_fail(stage, &err);
    }
    if (submitted.rows.rows > 0) {
        if (!db_run(stage_db(stage), &close_campaign,
                    (struct db_value[]){ db_int8(target.campaign.id), db_int4(1) }, NULL, &err)) {
            return stage_fail(stage, &err);
        }
        return take(stage, &target,
                    &(struct chunk){ .number = 1,
                                     .first_row = 1,
                                     .columns = &submitted.columns,
                                     .rows = &submitted.rows });
    }
    return submitted.chunks > 0 ? close_at(stage, &target, submitted.chunks) : STAGE_DONE;
}

static enum verdict handle_recipients(struct stage *stage, const struct message *in)
{
    struct recipients_submitted part;
    struct target target;
    struct err err;

    if (!message_read(in, &recipients_submitted_v1, &part, &err) ||
        !find_target(stage, in, part.campaign, part.reference, &target, &err)) {
        return stage_fail(stage, &err);
    }
    return take(stage, &target,
                &(struct chunk){ .number = part.chunk,
                                 .first_row = part.first_row,
                                 .columns = &part.columns,
                                 .rows = &part.rows });
}

static enum verdict handle_closed(struct stage *stage, const struct message *in)
{
    struct campaign_closed closed;
    struct target target;
    struct err err;

    if (!message_read(in, &campaign_closed_v1, &closed, &err) ||
        !find_target(stage, in, closed.campaign, closed.reference, &target, &err)) {
        return stage_fail(stage, &err);
    }
    return close_at(stage, &target, closed.chunks);
}

static enum verdict handle(struct stage *stage, const struct message *in)
{
    if (message_is(in, &campaign_submitted_v1)) {
        return handle_submitted(stage, in);
    }
    if (message_is(in, &recipients_submitted_v1)) {
        return handle_recipients(stage, in);
    }
    return handle_closed(stage, in);
}

static const struct stage_def render_template_stage = {
    .name = "render-template",
    .summary = "turn submitted rows into recipients with a frozen text and a price",
    .reads = (const struct shape *const[]){ &campaign_submitted_v1, &recipients_submitted_v1,
                                            &campaign_closed_v1, NULL },
    .emits = (const struct shape *const[]){ &campaign_rendered_v1, &campaign_changed_v1,
                                            &campaign_completed_v1, NULL },
    .deadline_ms = 10000,
    .workers_env = "RENDER_WORKER_CONCURRENCY",
    .workers_fallback = "2",
    .handle = handle,
};

int main(int argc, char **argv)
{
    return stage_main(&render_template_stage, argc, argv);
}
