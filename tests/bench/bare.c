/*
 * bare - what a campaign's unavoidable work costs, without any pipeline
 *
 *     bench_bare <broadcast|personalised> <recipients> <database url> <simulator url>
 *                <report port> <postmaster pid> <simulator pid>
 *
 * One after the other, each for all recipients: COPY them, ask the provider, store its answers,
 * take its reports, store these. The same table, row widths, provider client and simulator as the
 * product's, batches as large as they are useful; no broker, no ingress, no counters, no tokens,
 * no message that could be repeated. What each step used of the processors, in all processes, is
 * printed as JSON. The reports' text is posted by the simulator to a receiver in this process.
 *
 * The database is its own one, migrated; recipients is emptied first.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/str.h"
#include "cpu.h"
#include "db/db.h"
#include "provider/africastalking.h"
#include "receiver.h"

#define COPY_ROWS 10000   /* rows of a COPY and its transaction */
#define UPDATE_ROWS 1000  /* rows of an UPDATE and its transaction */
#define REQUEST_MOST 500  /* recipients of a request that share a text */
#define CALLS_AT_ONCE 500 /* handed to the client; it has 32 connections */
#define STATEMENT_MS 60000
#define REPORTS_MS 300000
#define LOOK_BACK_MS                                                                               \
    (35LL * 24 * 3600 * 1000) /* as reconcile-dlr: bounds the partitions looked at */
#define ID_BYTES 48
#define TEXT_BYTES 200
#define MEMORY_BYTES (4UL << 30)
#define SCRATCH_BYTES (64UL << 20)

struct bare {
    bool personalised;
    size_t count;
    pid_t postgres, simulator;
    const char *control_url;
    struct db *db;
    struct http *http;
    struct at_conf at;
    struct receiver *receiver;
    struct arena *memory;  /* of the run */
    struct arena *scratch; /* of a batch */
    int64_t campaign;
    int64_t *msisdns;
    char (*ids)[ID_BYTES]; /* the provider's */
};

/* The same spread of numbers as the campaigns of tests/bench/run have. */
static int64_t msisdn_of(size_t i)
{
    return 254700000000 + (int64_t)((uint64_t)i * 61803399 % 100000000);
}

/* As wide as the campaigns' texts. */
static const char *text_of(const struct bare *bare, size_t i, struct arena *arena)
{
    if (!bare->personalised) {
        return "Dear customer, our shops open at 8 on Monday with a new price list. Show this "
               "message for a discount of 10 percent. Reply STOP to opt out";
    }
    return arena_printf(arena,
                        "Dear Name%zu, your balance of KES %zu.00 is due on 30 November. Pay by "
                        "M-Pesa Paybill 123456, account %zu. Thank you. Reply STOP to opt out",
                        i, i * 7 % 100000, i);
}

static bool copy_rows(struct bare *bare, size_t first, size_t end, struct err *err)
{
    int64_t rows;

    if (!db_begin(bare->db, err) ||
        !db_copy_begin(bare->db,
                       "COPY recipients (campaign_id, msisdn, seq, state, segments, text)"
                       " FROM STDIN (FORMAT binary)",
                       err)) {
        return false;
    }
    for (size_t i = first; i < end; i++) {
        struct db_value row[] = { db_int8(bare->campaign),
                                  db_int8(bare->msisdns[i]),
                                  db_int4((int32_t)i + 1),
                                  db_int2(0),
                                  db_int2(1),
                                  bare->personalised ? db_text(text_of(bare, i, bare->scratch))
                                                     : db_null() };

        if (!db_copy_row(bare->db, row, sizeof row / sizeof *row, err)) {
            return false;
        }
    }
    arena_reset(bare->scratch);
    return db_copy_end(bare->db, &rows, err) && db_commit(bare->db, err);
}

static bool copy(struct bare *bare, struct err *err)
{
    for (size_t first = 0; first < bare->count; first += COPY_ROWS) {
        size_t end = first + COPY_ROWS < bare->count ? first + COPY_ROWS : bare->count;

        if (!copy_rows(bare, first, end, err)) {
            return false;
        }
    }
    return true;
}

/* Asks for recipients first to end, at most CALLS_AT_ONCE requests of size each. */
static bool ask_some(struct bare *bare, size_t first, size_t end, size_t size, struct err *err)
{
    size_t calls_count = (end - first + size - 1) / size;
    struct http_call *calls = arena_array(bare->scratch, calls_count, sizeof *calls);
    struct http_reply *replies = arena_array(bare->scratch, calls_count, sizeof *replies);
    struct at_outcome *outcomes = arena_array(bare->scratch, size, sizeof *outcomes);

    for (size_t c = 0; c < calls_count; c++) {
        size_t at = first + c * size;
        size_t n = end - at < size ? end - at : size;

        at_request(&bare->at, "", text_of(bare, at, bare->scratch), &bare->msisdns[at], n,
                   &calls[c], bare->scratch);
    }
    http_run(bare->http, calls, replies, calls_count, bare->scratch);
    for (size_t c = 0; c < calls_count; c++) {
        size_t at = first + c * size;
        size_t n = end - at < size ? end - at : size;
        struct at_verdict verdict;

        at_read(&replies[c], &bare->msisdns[at], n, outcomes, &verdict, bare->scratch);
        for (size_t i = 0; i < n; i++) {
            if (outcomes[i].class != AT_ACCEPTED || outcomes[i].message_id == NULL ||
                strlen(outcomes[i].message_id) >= ID_BYTES) {
                return err_permanent(err, "not_accepted", "recipient %zu: %s, %s", at + i,
                                     verdict.why, outcomes[i].reason);
            }
            memcpy(bare->ids[at + i], outcomes[i].message_id, strlen(outcomes[i].message_id) + 1);
        }
    }
    arena_reset(bare->scratch);
    return true;
}

static bool ask(struct bare *bare, struct err *err)
{
    size_t size = bare->personalised ? 1 : REQUEST_MOST;
    size_t step = bare->personalised ? CALLS_AT_ONCE : REQUEST_MOST * 4;

    for (size_t first = 0; first < bare->count; first += step) {
        size_t end = first + step < bare->count ? first + step : bare->count;

        if (!ask_some(bare, first, end, size, err)) {
            return false;
        }
    }
    return true;
}

static const struct db_statement update_sent = {
    "bare_update_sent",
    "UPDATE recipients r"
    "   SET state = 3, batch = $2, provider_code = u.code, attempts = r.attempts + 1,"
    "       cost_e4 = u.cost, provider_id = u.id, currency = 'KES', sent_at = $6"
    "  FROM unnest($3::int[], $4::int[], $5::text[], $7::smallint[]) AS u(seq, cost, id, code)"
    " WHERE r.campaign_id = $1 AND r.seq = u.seq AND r.state = 0",
    7
};

static bool store_sent_some(struct bare *bare, size_t first, size_t n, struct err *err)
{
    int32_t *seqs = arena_array(bare->scratch, n, sizeof *seqs);
    int32_t *costs = arena_array(bare->scratch, n, sizeof *costs);
    int16_t *codes = arena_array(bare->scratch, n, sizeof *codes);
    const char **ids = arena_array(bare->scratch, n, sizeof *ids);
    int64_t rows;

    for (size_t i = 0; i < n; i++) {
        seqs[i] = (int32_t)(first + i) + 1;
        costs[i] = 8000;
        codes[i] = 101;
        ids[i] = bare->ids[first + i];
    }
    if (!db_run(bare->db, &update_sent,
                (struct db_value[]){ db_int8(bare->campaign),
                                     db_int4((int32_t)(first / UPDATE_ROWS) + 1), db_int4s(seqs, n),
                                     db_int4s(costs, n), db_texts(ids, n), db_time(clock_now_ms()),
                                     db_int2s(codes, n) },
                &rows, err)) {
        return false;
    }
    arena_reset(bare->scratch);
    return rows == (int64_t)n ||
           err_permanent(err, "rows_missing", "%" PRId64 " of %zu became sent", rows, n);
}

static const struct db_statement update_delivered = {
    "bare_update_delivered",
    "UPDATE recipients r"
    "   SET state = 4, network = u.network, final_at = $5"
    "  FROM unnest($1::bigint[], $2::text[], $3::int[]) AS u(msisdn, id, network)"
    " WHERE r.msisdn = u.msisdn AND r.campaign_id >= $4 AND r.provider_id = u.id AND r.state = 3",
    5
};

static bool store_delivered_some(struct bare *bare, size_t first, size_t n, struct err *err)
{
    const struct receipt *receipts = receiver_receipts(bare->receiver) + first;
    int64_t *msisdns = arena_array(bare->scratch, n, sizeof *msisdns);
    int32_t *networks = arena_array(bare->scratch, n, sizeof *networks);
    const char **ids = arena_array(bare->scratch, n, sizeof *ids);
    int64_t now_ms = clock_now_ms();
    int64_t rows;

    for (size_t i = 0; i < n; i++) {
        msisdns[i] = receipts[i].msisdn;
        networks[i] = 63902;
        ids[i] = receipts[i].id;
    }
    if (!db_run(bare->db, &update_delivered,
                (struct db_value[]){ db_int8s(msisdns, n), db_texts(ids, n), db_int4s(networks, n),
                                     db_int8(id_floor(now_ms - LOOK_BACK_MS)), db_time(now_ms) },
                &rows, err)) {
        return false;
    }
    arena_reset(bare->scratch);
    return rows == (int64_t)n ||
           err_permanent(err, "rows_missing", "%" PRId64 " of %zu became delivered", rows, n);
}

static bool store(struct bare *bare, struct err *err,
                  bool (*some)(struct bare *bare, size_t first, size_t n, struct err *err))
{
    for (size_t first = 0; first < bare->count; first += UPDATE_ROWS) {
        size_t n = bare->count - first < UPDATE_ROWS ? bare->count - first : UPDATE_ROWS;

        if (!some(bare, first, n, err)) {
            return false;
        }
    }
    return true;
}

static bool store_sent(struct bare *bare, struct err *err)
{
    return store(bare, err, store_sent_some);
}

static bool store_delivered(struct bare *bare, struct err *err)
{
    return store(bare, err, store_delivered_some);
}

/* POST to one of the simulator's own endpoints. */
static bool command(struct bare *bare, const char *name, struct err *err)
{
    struct http_call call = { .method = "POST",
                              .url = arena_printf(bare->scratch, "%s/%s", bare->control_url, name),
                              .body = "",
                              .timeout_ms = STATEMENT_MS };
    struct http_reply reply;
    bool done;

    http_run(bare->http, &call, &reply, 1, bare->scratch);
    done = reply.sent == HTTP_ANSWERED && reply.status / 100 == 2;
    arena_reset(bare->scratch);
    return done || err_permanent(err, "simulator_refused", "%s", name);
}

static bool take_reports(struct bare *bare, struct err *err)
{
    return command(bare, "start-reports", err) &&
           (receiver_wait(bare->receiver, bare->count, REPORTS_MS) ||
            err_permanent(err, "reports_missing", "not all reports came"));
}

static const struct step {
    const char *name;
    bool (*run)(struct bare *bare, struct err *err);
} steps[] = {
    { "copy", copy },
    { "ask_provider", ask },
    { "update_sent", store_sent },
    { "take_reports", take_reports },
    { "update_delivered", store_delivered },
};

/* Runs a step and prints its wall time and what each process used, in seconds. */
static bool measure(struct bare *bare, const struct step *step, struct err *err)
{
    pid_t pids[] = { getpid(), bare->postgres, bare->simulator };
    int64_t used[3];
    int64_t start_ms = clock_mono_ms();

    for (size_t i = 0; i < 3; i++) {
        used[i] = cpu_used_ms(pids[i]);
    }
    if (!step->run(bare, err)) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        used[i] = cpu_used_ms(pids[i]) - used[i];
    }
    (void)printf("%s{\"step\": \"%s\", \"wall_s\": %.3f, \"cpu_s\": {\"bare\": %.2f,"
                 " \"postgres\": %.2f, \"simulator\": %.2f}}",
                 step == steps ? "" : ",\n ", step->name,
                 (double)(clock_mono_ms() - start_ms) / 1e3, (double)used[0] / 1e3,
                 (double)used[1] / 1e3, (double)used[2] / 1e3);
    return true;
}

static bool run(struct bare *bare, struct err *err)
{
    bare->campaign = id_create(clock_now_ms());
    bare->msisdns = arena_array(bare->memory, bare->count, sizeof *bare->msisdns);
    bare->ids = arena_array(bare->memory, bare->count, sizeof *bare->ids);
    for (size_t i = 0; i < bare->count; i++) {
        bare->msisdns[i] = msisdn_of(i);
    }
    /* Without statistics the planner reads the whole table for a thousand rows that it has by
     * index; here each row is found by index, whatever the planner knows. */
    if (!db_script(bare->db,
                   "TRUNCATE recipients; CHECKPOINT;"
                   "SET enable_seqscan = off; SET enable_bitmapscan = off;"
                   "SET enable_hashjoin = off; SET enable_mergejoin = off;"
                   "SET enable_material = off; SET plan_cache_mode = force_generic_plan",
                   err) ||
        !command(bare, "reset", err) || !command(bare, "stop-reports", err)) {
        return false;
    }
    (void)printf("[");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (!measure(bare, &steps[i], err)) {
            return false;
        }
    }
    (void)printf("]\n");
    return true;
}

static bool open_all(struct bare *bare, const char *database_url, const char *simulator_url,
                     int64_t port, struct err *err)
{
    bare->at = (struct at_conf){
        .url = arena_printf(bare->memory, "%s/version1", simulator_url),
        .username = "sandbox",
        .api_key = "simulator-key",
        .sender_id = "",
        .endpoint = "form",
        .enqueue = true,
        .timeout_ms = STATEMENT_MS,
    };
    bare->control_url = arena_printf(bare->memory, "%s/_sim", simulator_url);
    return at_conf_check(&bare->at, err) && db_open(database_url, "bare", &bare->db, err) &&
           db_set_timeout(bare->db, STATEMENT_MS, err) &&
           http_create(&(struct http_conf){ 0 }, &bare->http, err) &&
           receiver_open("127.0.0.1", (uint16_t)port, bare->count, &bare->receiver, err);
}

int main(int argc, char **argv)
{
    struct bare bare = { 0 };
    int64_t count, port, postgres, simulator;
    struct err err;
    bool ok;

    if (argc != 8 || (strcmp(argv[1], "broadcast") != 0 && strcmp(argv[1], "personalised") != 0) ||
        !str_parse_int(argv[2], 1, 10000000, &count) || !str_parse_int(argv[5], 1, 65535, &port) ||
        !str_parse_int(argv[6], 1, INT32_MAX, &postgres) ||
        !str_parse_int(argv[7], 1, INT32_MAX, &simulator)) {
        (void)fprintf(stderr, "usage: bench_bare broadcast|personalised recipients database-url"
                              " simulator-url report-port postmaster-pid simulator-pid\n");
        return 64;
    }
    bare.personalised = strcmp(argv[1], "personalised") == 0;
    bare.count = (size_t)count;
    bare.postgres = (pid_t)postgres;
    bare.simulator = (pid_t)simulator;
    bare.memory = arena_create(MEMORY_BYTES);
    bare.scratch = arena_create(SCRATCH_BYTES);
    ok = open_all(&bare, argv[3], argv[4], port, &err) && run(&bare, &err);
    if (!ok) {
        (void)fprintf(stderr, "bench_bare: %s: %s\n", err.what, err.detail);
    }
    receiver_close(bare.receiver);
    http_destroy(bare.http);
    db_close(bare.db);
    arena_destroy(bare.scratch);
    arena_destroy(bare.memory);
    return ok ? 0 : 1;
}
