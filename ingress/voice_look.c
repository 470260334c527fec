#include "voice_look.h"

#include <unistd.h>

#include "audio/folder.h"

#define RELOAD_MS 30000  /* after which a file may have gone */
#define BATCHES_MAX 2000 /* of one look: at 100 callees a batch, more than is kept */

/* Those that have ended are known until others need their place: the last calls last longer. */
static const struct db_statement list_campaigns = {
    "voice_look_campaigns",
    "SELECT id FROM campaigns"
    " WHERE channel = 'voice' AND status IN ('sending', 'paused', 'cancelling')"
    " ORDER BY id DESC LIMIT $1",
    1,
};

static const struct db_statement load_rest = {
    "voice_look_campaign",
    "SELECT c.text, a.kind, encode(a.sha256, 'hex')"
    "  FROM campaigns c"
    "  JOIN voice_campaigns v ON v.campaign_id = c.id"
    "  LEFT JOIN audio_assets a ON a.id = v.audio_id"
    " WHERE c.id = $1",
    1,
};

/* Of claimed ones too: the provider may be quicker than the record of its answer. */
#define IS_CALLED                                                                                  \
    "(r.state IN (2, 3) OR (r.state = 0 AND r.seq > b.recorded_seq AND r.seq <= b.claimed_seq))"

/* Until that record it is the one of the call before. */
#define SESSION "CASE WHEN r.state NOT IN (0, 2) THEN r.provider_id END"

static const struct db_statement list_calls = {
    "voice_look_calls",
    "SELECT r.campaign_id, r.msisdn, r.text, " SESSION ", b.called_at"
    "  FROM (SELECT * FROM batches"
    "         WHERE called_at IS NOT NULL AND done_at IS NULL"
    "           AND called_at > now() - $1::bigint * interval '1 millisecond'"
    "         ORDER BY called_at DESC LIMIT $2) b"
    "  JOIN recipients r ON r.campaign_id = b.campaign_id"
    "                   AND r.seq BETWEEN b.first_seq AND b.last_seq AND " IS_CALLED
    " ORDER BY b.called_at",
    2,
};

#define OF_BATCH                                                                                   \
    "  JOIN LATERAL (SELECT * FROM batches x"                                                      \
    "                 WHERE x.campaign_id = r.campaign_id AND x.first_seq <= r.seq"                \
    "                 ORDER BY x.first_seq DESC LIMIT 1) b ON true"

/* By its campaign. It need not be called just now: our own address, or the request, names it. */
static const struct db_statement find_callee = {
    "voice_look_callee",
    "SELECT r.campaign_id, r.msisdn, r.text, " SESSION ", b.called_at"
    "  FROM recipients r" OF_BATCH
    " WHERE r.campaign_id = $1 AND r.msisdn = $2 AND b.called_at IS NOT NULL",
    2,
};

/* By its session, or the newest call to that number whose session is not known yet. */
static const struct db_statement find_number = {
    "voice_look_number",
    "SELECT r.campaign_id, r.msisdn, r.text, " SESSION ", b.called_at"
    "  FROM recipients r"
    "  JOIN campaigns c ON c.id = r.campaign_id AND c.channel = 'voice'" OF_BATCH
    " WHERE r.msisdn = $1 AND b.called_at IS NOT NULL"
    "   AND (r.provider_id = $2"
    "        OR (b.called_at > now() - $3::bigint * interval '1 millisecond'"
    "            AND (" SESSION ") IS NULL AND " IS_CALLED "))"
    " ORDER BY (r.provider_id IS NOT DISTINCT FROM $2) DESC, b.called_at DESC LIMIT 1",
    3,
};

static bool has_file(const struct voice_look *look, const char *sha256)
{
    return look->audio_folder[0] == '\0' ||
           access(audio_path(look->audio_folder, sha256, look->arena), R_OK) == 0;
}

static bool load_campaign(struct voice_look *look, int64_t id, int64_t now_ms, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct voice_campaign campaign = { .id = id };
    bool is_voice;

    arena_reset(look->arena);
    if (!voice_load(look->db, id, look->arena, &campaign.voice, &is_voice, err)) {
        return false;
    }
    if (!is_voice) {
        return true;
    }
    if (!db_query(look->db, &load_rest, (struct db_value[]){ db_int8(id) }, &found, err)) {
        return false;
    }
    if (db_rows(found) == 0) {
        return true;
    }
    campaign.text = db_get_text(found, 0, 0);
    campaign.is_there = !db_is_null(found, 0, 1) &&
                        audio_kind_parse(db_get_text(found, 0, 1), &campaign.kind) &&
                        has_file(look, db_get_text(found, 0, 2));
    voice_cache_put_campaign(look->cache, &campaign, now_ms);
    return true;
}

bool voice_look_campaigns(struct voice_look *look, int64_t now_ms, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(look->db, &list_campaigns, (struct db_value[]){ db_int8(VOICE_CAMPAIGNS_MAX) },
                  &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        int64_t id = db_get_int(found, i, 0);
        if (!voice_cache_has_campaign(look->cache, id, now_ms - RELOAD_MS) &&
            !load_campaign(look, id, now_ms, err)) {
            return false;
        }
    }
    return true;
}

static void keep_calls(struct voice_look *look, const struct db_result *found)
{
    for (int i = 0; i < db_rows(found); i++) {
        const char *session = db_get_text(found, i, 3);
        voice_cache_put_call(look->cache, &(struct voice_call){
                                              .campaign = db_get_int(found, i, 0),
                                              .msisdn = db_get_int(found, i, 1),
                                              .text = db_get_text(found, i, 2),
                                              .session = session != NULL ? session : "",
                                              .called_ms = db_get_time(found, i, 4),
                                          });
    }
}

bool voice_look_calls(struct voice_look *look, int64_t back_ms, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(look->db, &list_calls,
                  (struct db_value[]){ db_int8(back_ms), db_int8(BATCHES_MAX) }, &found, err)) {
        return false;
    }
    keep_calls(look, found);
    return true;
}

static bool find(struct voice_look *look, const struct voice_key *key, struct db_result **out_found,
                 struct err *err)
{
    return key->campaign != 0
               ? db_query(look->db, &find_callee,
                          (struct db_value[]){ db_int8(key->campaign), db_int8(key->msisdn) },
                          out_found, err)
               : db_query(look->db, &find_number,
                          (struct db_value[]){ db_int8(key->msisdn), db_text(key->session),
                                               db_int8(VOICE_UNNAMED_MS) },
                          out_found, err);
}

bool voice_look_up(struct voice_look *look, const struct voice_key *key, int64_t now_ms,
                   struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    int64_t campaign = key->campaign;

    if (!find(look, key, &found, err)) {
        return false;
    }
    if (db_rows(found) > 0) {
        campaign = db_get_int(found, 0, 0);
        keep_calls(look, found);
    }
    return campaign == 0 || voice_cache_has_campaign(look->cache, campaign, now_ms - RELOAD_MS) ||
           load_campaign(look, campaign, now_ms, err);
}
