/*
 * scene - what the stage tests share: a server, accounts with tokens, campaigns, and the sums
 *
 *     int64_t id = scene_campaign(fake, "sending", 100);   // 100 pending recipients, tokens held
 *     scene_sql(fake, "UPDATE campaigns SET … WHERE id = %lld", (long long)id);
 *     fake_stage_send(fake, "campaign.reserved.v1", "m1", scene_fact(id));
 *     scene_adds_up(fake);                                 // also run after each test
 *
 * Account 1 is acme, account 2 globex; acme has 1,000,000 tokens. Recipients are 254700000001 and
 * on, one segment each, all with the campaign's text "Hello". Campaigns are a few minutes old, a
 * millisecond apart.
 */
#ifndef STAGE_SCENE_H
#define STAGE_SCENE_H

/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "fake_stage.h"
#include "invariants.h"
#include "servers.h"

#define SCENE_TOKENS 1000000
#define SCENE_TEXT_BYTES 4096

static const char scene_seed[] =
    "INSERT INTO accounts (id, slug, name, email) VALUES"
    "    (1, 'acme', 'Acme', 'acme@example.com'), (2, 'globex', 'Globex', 'globex@example.com');"
    "INSERT INTO sender_ids VALUES (1, 'ACME');"
    "CREATE FUNCTION scene_entry(account bigint, word text, away text, enters text, n bigint,"
    "                            ref text, held bigint DEFAULT NULL) RETURNS void LANGUAGE sql AS "
    "$$"
    "    WITH e AS ("
    "        INSERT INTO ledger_entries (account_id, kind, debit, credit, amount, reference, "
    "hold_id,"
    "                                    created_at, position, previous, hash)"
    "        SELECT account, word, away, enters, n, ref, held, now(), head_position + 1, head_hash,"
    "               ledger_hash(account, head_position + 1, head_hash,"
    "                           ledger_line(now(), word, away, enters, n, held, NULL, ref, NULL, "
    "NULL))"
    "          FROM token_balances WHERE account_id = account AND n > 0"
    "        RETURNING position, hash)"
    "    UPDATE token_balances SET head_position = e.position, head_hash = e.hash"
    "      FROM e WHERE account_id = account $$;"
    "CREATE FUNCTION scene_grant(account bigint, n bigint, ref text) RETURNS void LANGUAGE sql AS "
    "$$"
    "    INSERT INTO token_lots (id, account_id, granted, available, reference)"
    "    SELECT coalesce(max(id), 0) + 1, account, n, n, ref FROM token_lots;"
    "    INSERT INTO token_balances AS b (account_id, granted, available) VALUES (account, n, n)"
    "    ON CONFLICT (account_id) DO UPDATE"
    "       SET granted = b.granted + n, available = b.available + n;"
    "    SELECT scene_entry(account, 'grant', 'source', 'available', n, ref) $$;"
    "SELECT scene_grant(1, 1000000, 'seed');"
    "CREATE FUNCTION scene_hold(campaign bigint, n bigint) RETURNS void LANGUAGE sql AS $$"
    "    SELECT scene_entry(1, 'hold', 'available', 'reserved', n, campaign::text, campaign);"
    "    INSERT INTO token_holds (id, account_id, amount) VALUES (campaign, 1, n);"
    "    INSERT INTO token_hold_lots VALUES (campaign, 1, n);"
    "    UPDATE token_lots SET available = available - n WHERE id = 1;"
    "    UPDATE token_balances SET available = available - n, reserved = reserved + n"
    "     WHERE account_id = 1 $$;"
    "CREATE FUNCTION scene_campaign(campaign bigint, word text, n int) RETURNS void"
    " LANGUAGE sql AS $$"
    "    INSERT INTO campaigns (id, account_id, reference, status, title, message_template, text,"
    "                           country, chunks_expected, chunks_done, rows_received, last_seq,"
    "                           planned, segments, rendered_at)"
    "    VALUES (campaign, 1, 'ref ' || campaign, word, 'A title', 'Hello', 'Hello', 'KE',"
    "            1, 1, n, n, n, n, now());"
    "    INSERT INTO campaign_chunks VALUES (campaign, 1, n, n);"
    "    INSERT INTO recipients (campaign_id, msisdn, seq, segments)"
    "    SELECT campaign, 254700000000 + i, i, 1 FROM generate_series(1, n) i $$;";

__attribute__((format(printf, 2, 3), unused)) static void scene_sql(struct fake_stage *fake,
                                                                    const char *fmt, ...)
{
    char text[SCENE_TEXT_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fake_sql(fake, text);
}

__attribute__((format(printf, 2, 3), unused)) static int64_t scene_number(struct fake_stage *fake,
                                                                          const char *fmt, ...)
{
    char text[SCENE_TEXT_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return fake_number(fake, text);
}

__attribute__((format(printf, 2, 3), unused)) static const char *scene_text(struct fake_stage *fake,
                                                                            const char *fmt, ...)
{
    char text[SCENE_TEXT_BYTES];
    const char *found;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    found = fake_text(fake, text);
    return found != NULL ? found : "";
}

/* A fresh id, some minutes old, each a millisecond younger than the one before. */
__attribute__((unused)) static int64_t scene_id(void)
{
    static int64_t last_ms;

    last_ms = last_ms ? last_ms + 1 : clock_now_ms() - 600 * 1000;
    return id_floor(last_ms);
}

/* "cmp_…"; valid until the fourth call after this one. */
__attribute__((unused)) static const char *scene_name(int64_t campaign)
{
    static char names[4][ID_TEXT_BYTES];
    static unsigned next;
    char *name = names[next++ % 4];

    id_format("cmp", campaign, name);
    return name;
}

/* {"campaign":"cmp_…"}; valid until the next call. */
__attribute__((unused)) static const char *scene_fact(int64_t campaign)
{
    static char fact[80];

    snprintf(fact, sizeof fact, "{\"campaign\":\"%s\"}", scene_name(campaign));
    return fact;
}

/* A message id that no test has used. */
__attribute__((unused)) static const char *scene_message(void)
{
    static char id[20];
    static unsigned number;

    snprintf(id, sizeof id, "message-%u", ++number);
    return id;
}

/* A rendered campaign of acme; its tokens are held unless it has not come so far. */
__attribute__((unused)) static int64_t scene_campaign(struct fake_stage *fake, const char *status,
                                                      int recipients)
{
    int64_t id = scene_id();

    scene_sql(fake, "SELECT scene_campaign(%lld, '%s', %d)", (long long)id, status, recipients);
    if (strcmp(status, "reserving") != 0 && strcmp(status, "receiving") != 0 &&
        strcmp(status, "insufficient_tokens") != 0) {
        scene_sql(fake, "SELECT scene_hold(%lld, %d)", (long long)id, recipients);
    }
    return id;
}

__attribute__((unused)) static const char *scene_status(struct fake_stage *fake, int64_t campaign)
{
    return scene_text(fake, "SELECT status FROM campaigns WHERE id = %lld", (long long)campaign);
}

/* Fails with what does not add up. */
__attribute__((unused)) static void scene_adds_up(struct fake_stage *fake)
{
    const char *faults = fake_text(fake, invariants_sql);

    if (faults != NULL) {
        fail_msg("%s", faults);
    }
}

static int scene_start_server(void **state)
{
    (void)state;
    setenv("PG_SETTINGS", "fsync = off", 0); /* nothing is unplugged here */
    servers_start("postgres");
    return 0;
}

static int scene_stop_server(void **state)
{
    (void)state;
    servers_stop();
    return 0;
}

static int scene_start(void **state)
{
    setenv("LOG_LEVEL", "error", 0);
    *state = fake_stage_start();
    fake_sql(*state, scene_seed);
    return 0;
}

static int scene_stop(void **state)
{
    struct fake_stage *fake = *state;

    scene_adds_up(fake);
    fake_stage_stop(fake);
    return 0;
}

/* A test in a scene of its own. */
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_start, scene_stop)

#define assert_done(fake, call)                                                                    \
    do {                                                                                           \
        if ((call) != STAGE_DONE) {                                                                \
            fail_msg("%s: %s", fake_stage_why(fake), fake_stage_detail(fake));                     \
        }                                                                                          \
    } while (0)

#endif
