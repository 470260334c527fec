/*
 * cleanup - old detail that is closed goes into the archive
 *
 * Which lots a hold drew on is needed while tokens may still come back to them: until the campaign
 * is over and no report can change it any more. What M-Pesa posted is needed while its payment is
 * open. Both are then only read by who looks for them. Nothing is thrown away; entries of the
 * ledger, balances, lots and holds are never touched, so verify says afterwards what it said
 * before.
 *
 * Some rows in each transaction, so that nobody waits for this. It may be stopped and begun again.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "ctl.h"

#define DAY_MS (24LL * 3600 * 1000)
#define DAYS_MIN 30
#define DAYS_MAX 3660
#define HOLDS_A_TIME 1000
#define BODIES_A_TIME 1000
/* reconcile-dlr applies reports to campaigns that were made within 35 days. */
#define REPORTS_MS (36 * DAY_MS)

/* $1 made before, $2 over before, $3 after this hold, $4 at most; $5 only count. */
static const struct db_statement archive_lots = {
    "cleanup_archive_lots",
    "WITH old AS MATERIALIZED ("
    "    SELECT h.id FROM token_holds h JOIN campaigns c ON c.id = h.id"
    "     WHERE h.id < $1 AND h.id > $3 AND h.captured + h.released = h.amount"
    "       AND c.status IN ('completed', 'cancelled', 'expired') AND c.completed_at < $2"
    "       AND EXISTS (SELECT FROM token_hold_lots d WHERE d.hold_id = h.id)"
    "     ORDER BY h.id LIMIT $4),"
    " rows AS MATERIALIZED ("
    "    SELECT d.* FROM token_hold_lots d JOIN old ON old.id = d.hold_id),"
    " kept AS ("
    "    INSERT INTO token_hold_lots_archive (hold_id, lot_id, amount)"
    "    SELECT hold_id, lot_id, amount FROM rows WHERE NOT $5),"
    " gone AS ("
    "    DELETE FROM token_hold_lots d USING rows r"
    "     WHERE NOT $5 AND d.hold_id = r.hold_id AND d.lot_id = r.lot_id)"
    " SELECT (SELECT coalesce(max(id), 0) FROM old), (SELECT count(*) FROM rows)",
    5
};

/* $1 received before, $2 after this one, $3 at most; $4 only count. */
static const struct db_statement archive_bodies = {
    "cleanup_archive_bodies",
    "WITH old AS MATERIALIZED ("
    "    SELECT b.id, b.body FROM payment_callbacks b JOIN payments p ON p.id = b.payment_id"
    "     WHERE b.received_at < $1 AND b.id > $2 AND b.body <> ''"
    "       AND p.status IN ('paid', 'failed', 'reversed') AND p.ended_at < $1"
    "     ORDER BY b.id LIMIT $3),"
    " kept AS ("
    "    INSERT INTO payment_bodies_archive (callback_id, body)"
    "    SELECT id, body FROM old WHERE NOT $4),"
    " emptied AS ("
    "    UPDATE payment_callbacks b SET body = '' FROM old WHERE NOT $4 AND b.id = old.id)"
    " SELECT coalesce(max(id), 0), count(*) FROM old",
    4
};

struct cleanup {
    struct db *db;
    int64_t before_ms;
    bool only_count;
};

static bool one_time(const struct cleanup *cleanup, bool lots, int64_t after, int64_t *out_last,
                     int64_t *out_rows, struct err *err)
{
    AUTO_DB_RESULT struct db_result *done = NULL;
    int64_t reports_ms = clock_now_ms() - REPORTS_MS;
    int64_t made_ms = cleanup->before_ms < reports_ms ? cleanup->before_ms : reports_ms;
    const struct db_value of_lots[] = { db_int8(id_floor(made_ms)), db_time(cleanup->before_ms),
                                        db_int8(after), db_int8(HOLDS_A_TIME),
                                        db_bool(cleanup->only_count) };
    const struct db_value of_bodies[] = { db_time(cleanup->before_ms), db_int8(after),
                                          db_int8(BODIES_A_TIME), db_bool(cleanup->only_count) };

    if (!db_query(cleanup->db, lots ? &archive_lots : &archive_bodies, lots ? of_lots : of_bodies,
                  &done, err)) {
        return false;
    }
    *out_last = db_get_int(done, 0, 0);
    *out_rows += db_get_int(done, 0, 1);
    return true;
}

/* Each time is a transaction. */
static bool all_times(const struct cleanup *cleanup, bool lots, int64_t *out_rows, struct err *err)
{
    int64_t after = 0;

    *out_rows = 0;
    do {
        if (!one_time(cleanup, lots, after, &after, out_rows, err)) {
            return false;
        }
    } while (after > 0);
    return true;
}

static bool run(struct ctl *ctl, struct err *err)
{
    struct cleanup cleanup = { .only_count = ctl_option(ctl, "dry-run") != NULL };
    const char *verb = cleanup.only_count ? "would be archived" : "archived";
    int64_t days, lots, bodies;

    if (!ctl_option_int(ctl, "days", DAYS_MIN, DAYS_MAX, 0, &days, err) ||
        !ctl_db(ctl, &cleanup.db, err)) {
        return false;
    }
    cleanup.before_ms = clock_now_ms() - days * DAY_MS;
    if (!all_times(&cleanup, true, &lots, err) || !all_times(&cleanup, false, &bodies, err)) {
        return false;
    }
    printf("lots of closed holds: %s %s\n", ctl_number(ctl, lots), verb);
    printf("bodies of payments' callbacks: %s %s\n", ctl_number(ctl, bodies), verb);
    printf("ledger entries: none, they stay\n");
    return true;
}

const struct command tokens_cleanup_command = {
    .name = "tokens cleanup",
    .arguments = "",
    .summary = "Archive old closed detail; entries of the ledger stay",
    .options =
        (const struct option_def[]){
            { OPTION_REQUIRED, "days", "N", "what has been closed for so long; at least 30" },
            { OPTION_FLAG, "dry-run", NULL, "only count" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = run,
};
