/* lib/ledger against a model: chance movements, each purse and lot compared after every one */
#include "ledger/ledger.h"
#include "migrated.h"

#define NOW INT64_C(1795000000000)
#define HOUR_MS INT64_C(3600000)
#define STEPS 1500
#define LOTS_MAX 400
#define HOLDS_MAX 400

struct lot {
    int64_t available, expires_ms; /* 0: never */
};

struct hold {
    int64_t amount, captured, released;
    int64_t drawn[LOTS_MAX];
};

/* The ledger as a person would keep it in a book. */
static struct {
    struct lot lots[LOTS_MAX];
    struct hold holds[HOLDS_MAX];
    size_t lot_count, hold_count;
    int64_t granted, spent, expired, now_ms;
} book;

static uint32_t chance_state;

static int64_t chance(int64_t below)
{
    chance_state = chance_state * 1664525 + 1013904223;
    return (int64_t)(chance_state >> 8) % below;
}

static bool is_usable(const struct lot *lot)
{
    return lot->available > 0 && (lot->expires_ms == 0 || lot->expires_ms > book.now_ms);
}

/* a is spent before b; lots are in the order of their grant, as their ids are. */
static bool goes_before(size_t a, size_t b)
{
    int64_t x = book.lots[a].expires_ms ? book.lots[a].expires_ms : INT64_MAX;
    int64_t y = book.lots[b].expires_ms ? book.lots[b].expires_ms : INT64_MAX;

    return x != y ? x < y : a < b;
}

static int64_t usable(void)
{
    int64_t sum = 0;

    for (size_t i = 0; i < book.lot_count; i++) {
        sum += is_usable(&book.lots[i]) ? book.lots[i].available : 0;
    }
    return sum;
}

static void draw(struct hold *hold, int64_t tokens)
{
    hold->amount = tokens;
    while (tokens > 0) {
        size_t first = SIZE_MAX;

        for (size_t i = 0; i < book.lot_count; i++) {
            if (is_usable(&book.lots[i]) && (first == SIZE_MAX || goes_before(i, first))) {
                first = i;
            }
        }
        int64_t take = book.lots[first].available < tokens ? book.lots[first].available : tokens;
        book.lots[first].available -= take;
        hold->drawn[first] += take;
        tokens -= take;
    }
}

static void give_back(struct hold *hold, int64_t tokens)
{
    hold->released += tokens;
    while (tokens > 0) {
        size_t last = SIZE_MAX;

        for (size_t i = 0; i < book.lot_count; i++) {
            if (hold->drawn[i] > 0 && (last == SIZE_MAX || goes_before(last, i))) {
                last = i;
            }
        }
        int64_t give = hold->drawn[last] < tokens ? hold->drawn[last] : tokens;
        book.lots[last].available += give;
        hold->drawn[last] -= give;
        tokens -= give;
    }
}

static int64_t rest_of(const struct hold *hold)
{
    return hold->amount - hold->captured - hold->released;
}

static void play_grant(struct db *db, int step)
{
    struct lot *lot = &book.lots[book.lot_count];
    char reference[20];
    struct err err;
    bool new;

    if (book.lot_count == LOTS_MAX) {
        return;
    }
    lot->available = 1 + chance(200);
    lot->expires_ms = chance(3) == 0 ? 0 : book.now_ms + HOUR_MS * (1 + chance(10));
    snprintf(reference, sizeof reference, "grant %d", step);
    for (int twice = 0; twice < 2; twice++) {
        /* The birth of the id decides between lots that expire together. */
        assert_ok(ledger_grant(db, 1, lot->available, reference, lot->expires_ms,
                               NOW + (int64_t)book.lot_count, &new, &err));
        assert_int_equal(new, !twice);
    }
    book.granted += lot->available;
    book.lot_count++;
}

static void play_hold(struct db *db)
{
    struct hold *hold = &book.holds[book.hold_count];
    struct ledger_held held;
    int64_t tokens = 1 + chance(150);
    int64_t available = usable();
    struct err err;

    if (book.hold_count == HOLDS_MAX) {
        return;
    }
    for (int twice = 0; twice < 2; twice++) {
        assert_ok(
            ledger_hold(db, 1, (int64_t)book.hold_count + 1, tokens, book.now_ms, &held, &err));
        assert_int_equal(held.held, available >= tokens);
        assert_int_equal(held.missing, available >= tokens ? 0 : tokens - available);
    }
    if (held.held) {
        draw(hold, tokens);
        book.hold_count++;
    }
}

static void play_settle(struct db *db, int step)
{
    size_t at = (size_t)chance((int64_t)book.hold_count + 1);
    struct hold *hold = &book.holds[at];
    char reference[20];
    struct err err;

    if (at == book.hold_count) {
        return;
    }
    int64_t capture = chance(rest_of(hold) + 1);
    int64_t release = chance(rest_of(hold) - capture + 1);
    snprintf(reference, sizeof reference, "settle %d", step);
    for (int twice = 0; twice < 2; twice++) {
        assert_ok(
            ledger_settle(db, 1, (int64_t)at + 1, reference, capture, release, book.now_ms, &err));
    }
    hold->captured += capture;
    book.spent += capture;
    give_back(hold, release);
}

static void play_close(struct db *db, int step)
{
    size_t at = (size_t)chance((int64_t)book.hold_count + 1);
    struct hold *hold = &book.holds[at];
    char reference[20];
    struct err err;

    if (at == book.hold_count) {
        return;
    }
    int64_t keep = chance(3) ? 0 : chance(rest_of(hold) + 1);
    snprintf(reference, sizeof reference, "close %d", step);
    for (int twice = 0; twice < 2; twice++) {
        assert_ok(ledger_close(db, 1, (int64_t)at + 1, reference, keep, book.now_ms, &err));
    }
    give_back(hold, rest_of(hold) - keep);
}

static void play_expiry(struct db *db)
{
    struct err err;

    book.now_ms += chance(HOUR_MS);
    for (int twice = 0; twice < 2; twice++) {
        assert_ok(ledger_expire(db, book.now_ms, LOTS_MAX, NULL, &err));
    }
    for (size_t i = 0; i < book.lot_count; i++) {
        struct lot *lot = &book.lots[i];

        if (lot->expires_ms && lot->expires_ms <= book.now_ms) {
            book.expired += lot->available;
            lot->available = 0;
        }
    }
}

static void compare(struct db *db)
{
    static const struct db_statement read_lots = { "model_read_lots",
                                                   "SELECT available FROM token_lots ORDER BY id",
                                                   0 };
    AUTO_DB_RESULT struct db_result *lots = NULL;
    struct ledger_balance now;
    int64_t available = 0, reserved = 0;
    struct err err;

    assert_ok(db_query(db, &read_lots, NULL, &lots, &err));
    assert_int_equal(db_rows(lots), book.lot_count);
    for (size_t i = 0; i < book.lot_count; i++) {
        assert_int_equal(db_get_int(lots, (int)i, 0), book.lots[i].available);
        available += book.lots[i].available;
    }
    for (size_t i = 0; i < book.hold_count; i++) {
        reserved += rest_of(&book.holds[i]);
    }
    assert_ok(ledger_balance(db, 1, &now, &err));
    assert_int_equal(now.available, available);
    assert_int_equal(now.reserved, reserved);
    assert_int_equal(now.granted, book.granted);
    assert_int_equal(now.spent, book.spent);
    assert_int_equal(now.expired, book.expired);
    assert_int_equal(now.transferred, 0);
}

static void chance_movements_come_out_as_in_the_book(void **state)
{
    struct db *db = *state;

    for (uint32_t seed = 1; seed <= 2; seed++) {
        void *fresh = NULL;

        if (seed > 1) {
            migrated_open(&fresh); /* empties the tables */
            db_close(fresh);
        }
        memset(&book, 0, sizeof book);
        book.now_ms = NOW;
        chance_state = seed;
        for (int step = 0; step < STEPS / 2; step++) {
            switch (chance(10)) {
            case 0:
            case 1:
                play_grant(db, step);
                break;
            case 2:
            case 3:
            case 4:
                play_hold(db);
                break;
            case 5:
                play_close(db, step);
                break;
            case 6:
                play_expiry(db);
                break;
            default:
                play_settle(db, step);
                break;
            }
            compare(db);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { MIGRATED(chance_movements_come_out_as_in_the_book) };

    return cmocka_run_group_tests_name("unit.ledger.model", tests, migrated_start, migrated_stop);
}
