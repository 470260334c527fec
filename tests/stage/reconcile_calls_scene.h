/*
 * reconcile_calls_scene - campaigns whose calls are placed, and reports of how these ended
 *
 *     int64_t id = calls_placed(fake, "a", 3, "below_percent = 50");    // sessions ATVId_a-1, -2 …
 *     assert_done(fake, calls_ended(fake, id, "a", 1, ANSWERED(20)));
 *     assert_string_equal(calls_told(fake, id, 1), "delivered");
 *
 * Each recipient holds PRICE tokens, a minute costs two. The text takes 26 seconds to hear. The
 * rows are as place-call leaves them: one batch, between its passes.
 */
#ifndef STAGE_RECONCILE_CALLS_SCENE_H
#define STAGE_RECONCILE_CALLS_SCENE_H

#include "scene.h"

#define REPORTED "call.reported.v1"

#define PRICE 8
#define NUMBER(seq) (254700000000 + (seq))

#define ANSWERED(seconds) "\"status\":\"Success\",\"duration_s\":" #seconds
#define MISSED "\"status\":\"NotAnswered\",\"cause\":\"NO_ANSWER\""
#define BUSY "\"status\":\"NotAnswered\",\"cause\":\"USER_BUSY\""
#define REFUSED "\"status\":\"NotAnswered\",\"cause\":\"CALL_REJECTED\""

/* settings: assignments to voice_campaigns, or "". */
__attribute__((unused)) static int64_t calls_placed(struct fake_stage *fake, const char *label,
                                                    int n, const char *settings)
{
    int64_t id = scene_id();

    scene_sql(fake,
              "SELECT scene_campaign(%lld, 'sending', %d);"
              "UPDATE campaigns SET channel = 'voice', segments = %d, next_seq = %d + 1,"
              "       text = repeat('a', 400), started_at = now() WHERE id = %lld;"
              "INSERT INTO voice_campaigns (campaign_id, tokens_per_minute) VALUES (%lld, 2);"
              "UPDATE recipients SET segments = %d, state = 3, batch = 1, attempts = 1,"
              "       sent_at = now(), provider_id = 'ATVId_%s-' || seq WHERE campaign_id = %lld;"
              "SELECT scene_hold(%lld, %d);"
              "INSERT INTO batches (campaign_id, batch, first_seq, last_seq, origin, claimed_seq,"
              "                     recorded_seq, pass, calling, sent, started_at, called_at)"
              " VALUES (%lld, 1, 1, %d, 'cut', 0, 0, 2, true, %d, now(), now())",
              (long long)id, n, n * PRICE, n, (long long)id, (long long)id, PRICE, label,
              (long long)id, (long long)id, n * PRICE, (long long)id, n, n);
    if (*settings) {
        scene_sql(fake, "UPDATE voice_campaigns SET %s WHERE campaign_id = %lld", settings,
                  (long long)id);
    }
    return id;
}

/* As place-call leaves one that is called another time, in its next pass. */
__attribute__((unused)) static void calls_place(struct fake_stage *fake, int64_t id, int seq,
                                                const char *session)
{
    scene_sql(fake,
              "UPDATE recipients SET state = 3, attempts = attempts + 1, sent_at = now(),"
              "       provider_id = '%s', reason = NULL"
              " WHERE campaign_id = %lld AND seq = %d AND state = 0;"
              "UPDATE batches SET sent = sent + 1, retry_at = NULL, pass = pass + 1"
              " WHERE campaign_id = %lld",
              session, (long long)id, seq, (long long)id);
}

/* As it leaves one whose answer it never had: its session is not known. */
__attribute__((unused)) static void calls_doubt(struct fake_stage *fake, int64_t id, int seq)
{
    scene_sql(fake,
              "UPDATE recipients SET state = 2, provider_id = NULL, reason = 'answer_lost'"
              " WHERE campaign_id = %lld AND seq = %d AND state = 3;"
              "UPDATE batches SET sent = sent - 1, in_doubt = in_doubt + 1"
              " WHERE campaign_id = %lld",
              (long long)id, seq, (long long)id);
}

/* As it leaves a window that it has claimed and not recorded yet: the first n. */
__attribute__((unused)) static void calls_claim(struct fake_stage *fake, int64_t id, int n)
{
    scene_sql(fake,
              "UPDATE recipients SET state = 0, batch = NULL, attempts = 0, provider_id = NULL,"
              "       sent_at = NULL WHERE campaign_id = %lld AND seq <= %d;"
              "UPDATE batches SET pass = 1, calling = false, claimed_seq = %d, in_flight = %d,"
              "       sent = sent - %d, claim = 7 WHERE campaign_id = %lld",
              (long long)id, n, n, n, n, (long long)id);
}

/* How it writes the window down. */
__attribute__((unused)) static void calls_record(struct fake_stage *fake, int64_t id, int n,
                                                 const char *label)
{
    scene_sql(fake,
              "UPDATE recipients SET state = 3, batch = 1, attempts = attempts + 1,"
              "       sent_at = now(), provider_id = 'ATVId_%s-' || seq"
              " WHERE campaign_id = %lld AND seq <= %d AND state = 0;"
              "UPDATE batches SET recorded_seq = claimed_seq, in_flight = 0, sent = sent + %d,"
              "       claim = NULL WHERE campaign_id = %lld",
              label, (long long)id, n, n, (long long)id);
}

struct call_told {
    const char *session;
    int64_t number;
    const char *names; /* members of the report, each with a comma before it */
    const char *what;  /* likewise, without */
};

__attribute__((unused)) static enum verdict calls_tell(struct fake_stage *fake,
                                                       const struct call_told *told)
{
    char json[1000], at[CLOCK_RFC3339_BYTES];

    clock_format(clock_now_ms(), at);
    snprintf(json, sizeof json,
             "{\"provider\":\"africastalking\",\"session\":\"%s\",\"phone\":\"+%lld\"%s,%s,"
             "\"received_at\":\"%s\"}",
             told->session, (long long)told->number, told->names, told->what, at);
    return fake_stage_send(fake, REPORTED, scene_message(), json);
}

/* The end of a call of a campaign that is named, as our own callback addresses do. */
__attribute__((unused)) static enum verdict calls_end(struct fake_stage *fake, int64_t id, int seq,
                                                      const char *session, const char *how)
{
    char names[100], what[300];

    snprintf(names, sizeof names, ",\"campaign\":\"%s\"", scene_name(id));
    snprintf(what, sizeof what, "\"ended\":true,%s", how);
    return calls_tell(fake, &(struct call_told){ session, NUMBER(seq), names, what });
}

/* The same of the call that was placed first. */
__attribute__((unused)) static enum verdict calls_ended(struct fake_stage *fake, int64_t id,
                                                        const char *label, int seq, const char *how)
{
    char session[40];

    snprintf(session, sizeof session, "ATVId_%s-%d", label, seq);
    return calls_end(fake, id, seq, session, how);
}

__attribute__((unused)) static enum verdict calls_press(struct fake_stage *fake, int64_t id,
                                                        int seq, const char *session, int step,
                                                        const char *keys)
{
    char names[100], what[100];

    snprintf(names, sizeof names, ",\"campaign\":\"%s\"", scene_name(id));
    snprintf(what, sizeof what, "\"step\":%d,\"keys\":\"%s\"", step, keys);
    return calls_tell(fake, &(struct call_told){ session, NUMBER(seq), names, what });
}

/* "delivered", "failed busy", "pending no_answer" … */
__attribute__((unused)) static const char *calls_told(struct fake_stage *fake, int64_t id, int seq)
{
    return scene_text(fake,
                      "SELECT concat_ws(' ', w.word, r.reason) FROM recipients r"
                      "  JOIN recipient_state_words w ON w.state = r.state"
                      " WHERE campaign_id = %lld AND seq = %d",
                      (long long)id, seq);
}

/* "2 captured 6 released" */
__attribute__((unused)) static const char *calls_tokens(struct fake_stage *fake, int64_t id)
{
    return scene_text(fake,
                      "SELECT captured || ' captured ' || released || ' released' FROM token_holds"
                      " WHERE id = %lld",
                      (long long)id);
}

__attribute__((unused)) static int64_t calls_batch(struct fake_stage *fake, int64_t id,
                                                   const char *expression)
{
    return scene_number(fake, "SELECT (%s)::bigint FROM batches WHERE campaign_id = %lld",
                        expression, (long long)id);
}

__attribute__((unused)) static int64_t calls_count(struct fake_stage *fake, int64_t id)
{
    return scene_number(fake, "SELECT count(*) FROM calls WHERE campaign_id = %lld", (long long)id);
}

__attribute__((unused)) static int64_t calls_kept(struct fake_stage *fake)
{
    return fake_number(fake, "SELECT count(*) FROM unmatched_calls");
}

__attribute__((unused)) static void calls_tick(struct fake_stage *fake)
{
    if (!fake_stage_tick(fake)) {
        fail_msg("%s: %s", fake_stage_why(fake), fake_stage_detail(fake));
    }
}

/* A tick at which every report that waits has its turn. */
__attribute__((unused)) static void calls_sweep(struct fake_stage *fake)
{
    fake_sql(fake, "UPDATE unmatched_calls SET next_try_at = now() - interval '1 hour'");
    calls_tick(fake);
}

#endif
