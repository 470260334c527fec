/*
 * The bookkeeping of publisher and consumer, without a broker.
 */
#include "broker/acks.h"
#include "broker/window.h"
#include "broker/wire.h"
#include "fixture.h"

/* --- window --- */

static struct pending *message(uint64_t ticket)
{
    char id[24];

    snprintf(id, sizeof(id), "id-%llu", (unsigned long long)ticket);
    return pending_create(&(struct broker_message){ .exchange = "x", .key = "k", .id = id },
                          ticket);
}

static void add(struct window *window, uint64_t from, uint64_t to, bool sent)
{
    for (uint64_t ticket = from; ticket <= to; ticket++) {
        window_add(window, message(ticket));
        if (sent) {
            assert_int_equal(window_unsent(window)->ticket, ticket);
            window_mark_sent(window);
        }
    }
}

static void expect_done(struct window *window, uint64_t ticket, enum broker_outcome outcome)
{
    struct pending *done = window_take_done(window);

    assert_non_null(done);
    assert_int_equal(done->ticket, ticket);
    assert_int_equal(done->outcome, outcome);
    pending_destroy(done);
}

static void confirms_settle_what_they_name(void **state)
{
    struct window window;

    (void)state;
    window_init(&window, 10);
    assert_int_equal(window_room(&window), 10);
    add(&window, 1, 8, true);
    assert_int_equal(window_room(&window), 2);
    assert_true(window_settle(&window, 3, false, true));
    assert_true(window_settle(&window, 3, false, true)); /* said twice: once is enough */
    assert_true(window_settle(&window, 5, true, true));
    assert_true(window_settle(&window, 6, false, false));
    expect_done(&window, 3, BROKER_CONFIRMED);
    expect_done(&window, 1, BROKER_CONFIRMED);
    expect_done(&window, 2, BROKER_CONFIRMED);
    expect_done(&window, 4, BROKER_CONFIRMED);
    expect_done(&window, 5, BROKER_CONFIRMED);
    assert_int_equal(window_pending(&window), 3);
    expect_done(&window, 6, BROKER_REFUSED);
    assert_null(window_take_done(&window));
    assert_true(window_settle(&window, 1, false, true)); /* below all that is open */
    assert_null(window_take_done(&window));
    assert_true(window_settle(&window, 0, true, true)); /* all */
    expect_done(&window, 7, BROKER_CONFIRMED);
    expect_done(&window, 8, BROKER_CONFIRMED);
    assert_int_equal(window_pending(&window), 0);
    assert_false(window_settle(&window, 9, false, true)); /* never sent */
    assert_false(window_settle(&window, 0, false, true));
    window_fini(&window);
}

static void a_returned_message_is_told_by_its_id(void **state)
{
    struct window window;

    (void)state;
    window_init(&window, 10);
    add(&window, 1, 3, true);
    add(&window, 2, 2, true); /* the same id again */
    assert_true(window_mark_returned(&window, amqp_cstring_bytes("id-2")));
    assert_true(window_mark_returned(&window, amqp_cstring_bytes("id-2")));
    assert_false(window_mark_returned(&window, amqp_cstring_bytes("id-2")));
    assert_false(window_mark_returned(&window, amqp_cstring_bytes("id-9")));
    assert_true(window_settle(&window, 4, true, true));
    expect_done(&window, 1, BROKER_CONFIRMED);
    expect_done(&window, 2, BROKER_RETURNED);
    expect_done(&window, 3, BROKER_CONFIRMED);
    expect_done(&window, 2, BROKER_RETURNED);
    window_fini(&window);
}

static void a_new_connection_sends_exactly_the_unsettled_again(void **state)
{
    struct window window;

    (void)state;
    window_init(&window, 10);
    add(&window, 1, 6, true);
    add(&window, 7, 7, false);
    assert_true(window_mark_returned(&window, amqp_cstring_bytes("id-5")));
    assert_true(window_settle(&window, 1, false, true));
    assert_true(window_settle(&window, 4, false, true));
    window_restart(&window);
    for (uint64_t ticket = 2; ticket <= 7; ticket++) {
        if (ticket == 4) {
            continue;
        }
        assert_int_equal(window_unsent(&window)->ticket, ticket);
        window_mark_sent(&window);
    }
    assert_null(window_unsent(&window));
    expect_done(&window, 1, BROKER_CONFIRMED);
    expect_done(&window, 4, BROKER_CONFIRMED);
    assert_true(window_settle(&window, 2, false, true)); /* tags count anew: ticket 3 */
    expect_done(&window, 3, BROKER_CONFIRMED);
    assert_true(window_settle(&window, 5, true, true));
    expect_done(&window, 2, BROKER_CONFIRMED);
    expect_done(&window, 5, BROKER_CONFIRMED); /* that return belonged to the old connection */
    expect_done(&window, 6, BROKER_CONFIRMED);
    expect_done(&window, 7, BROKER_CONFIRMED);
    assert_false(window_settle(&window, 6, false, true));
    window_fini(&window);
}

enum { MESSAGES = 20000 };

/* What a broker was sent on one connection, by tag. */
struct model {
    uint64_t sent[MESSAGES * 4];
    uint64_t tags;
};

/* Settles something at random; all that is reported must have been named. Returns how many. */
static uint64_t settle_something(struct window *window, const struct model *model,
                                 uint8_t *reported)
{
    uint64_t tag = model->tags - (uint64_t)rand() % (model->tags < 60 ? model->tags : 60);
    bool multiple = rand() % 3 == 0;
    struct pending *pending;
    uint64_t count = 0;

    assert_true(window_settle(window, tag, multiple, true));
    while ((pending = window_take_done(window)) != NULL) {
        uint64_t at = tag;

        while (multiple && at > 1 && model->sent[at] != pending->ticket) {
            at--;
        }
        assert_int_equal(model->sent[at], pending->ticket);
        assert_int_equal(reported[pending->ticket]++, 0);
        count++;
        pending_destroy(pending);
    }
    return count;
}

static void no_order_of_events_loses_or_repeats_a_message(void **state)
{
    static uint8_t reported[MESSAGES];
    static struct model model;
    struct window window;
    uint64_t next = 0, settled = 0;
    struct pending *pending;

    (void)state;
    srand(7);
    window_init(&window, 50);
    while (settled < MESSAGES) {
        int dice = rand() % 100;

        if (dice < 40 && next < MESSAGES && window_room(&window) > 0) {
            window_add(&window, message(next++));
        } else if (dice < 70 && (pending = window_unsent(&window)) != NULL) {
            model.sent[++model.tags] = pending->ticket;
            window_mark_sent(&window);
        } else if (dice < 95 && model.tags > 0) {
            settled += settle_something(&window, &model, reported);
        } else if (dice == 99 && rand() % 5 == 0) {
            window_restart(&window);
            model.tags = 0;
        }
    }
    assert_int_equal(next, MESSAGES);
    assert_int_equal(window_pending(&window), 0);
    window_fini(&window);
}

/* --- acks --- */

static void expect_ack(struct acks *acks, uint64_t tag, bool multiple)
{
    uint64_t got;
    bool got_multiple;

    assert_true(acks_next(acks, &got, &got_multiple));
    assert_int_equal(got, tag);
    assert_int_equal(got_multiple, multiple);
}

static void a_run_takes_one_ack_and_the_rest_one_each(void **state)
{
    struct acks acks;
    uint64_t tag;
    bool multiple;

    (void)state;
    acks_init(&acks);
    for (uint64_t i = 1; i <= 9; i++) {
        assert_true(acks_delivered(&acks, i));
    }
    assert_false(acks_delivered(&acks, 11));
    for (uint64_t i = 1; i <= 9; i++) {
        if (i != 4 && i != 3 && i != 9) {
            assert_true(acks_settle(&acks, i));
        }
    }
    assert_true(acks_told(&acks, 3)); /* rejected: a multiple ack must not name it */
    assert_false(acks_settle(&acks, 3));
    assert_false(acks_told(&acks, 2));
    assert_int_equal(acks.held, 2);
    expect_ack(&acks, 2, true);
    expect_ack(&acks, 8, false);
    expect_ack(&acks, 7, false);
    expect_ack(&acks, 6, false);
    expect_ack(&acks, 5, false);
    assert_false(acks_next(&acks, &tag, &multiple));
    assert_true(acks_settle(&acks, 4));
    expect_ack(&acks, 4, true);
    assert_false(acks_next(&acks, &tag, &multiple));
    acks_restart(&acks);
    assert_true(acks_delivered(&acks, 1));
    assert_false(acks_settle(&acks, 9));
    acks_fini(&acks);
}

/* The broker's side as a model: it closes the channel on an ack for what it does not hold. */
static void no_order_of_acks_names_what_the_broker_forgot(void **state)
{
    enum { DELIVERIES = 50000 };
    static bool held[DELIVERIES + 1]; /* by the broker */
    static uint64_t in_hand[DELIVERIES];
    size_t hands = 0;
    uint64_t delivered = 0, gone = 0;
    struct acks acks;

    (void)state;
    srand(7);
    acks_init(&acks);
    while (gone < DELIVERIES) {
        int dice = rand() % 100;

        if (dice < 45 && delivered < DELIVERIES) {
            held[++delivered] = true;
            assert_true(acks_delivered(&acks, delivered));
            in_hand[hands++] = delivered;
        } else if (dice < 90 && hands > 0) {
            /* The oldest stays for long, so that the ring grows. */
            size_t pick = hands > 1 && rand() % 2000 ? 1 + (size_t)rand() % (hands - 1) : 0;
            uint64_t tag = in_hand[pick];

            in_hand[pick] = in_hand[--hands];
            if (dice < 50) {
                assert_true(acks_told(&acks, tag));
                held[tag] = false;
                gone++;
            } else {
                assert_true(acks_settle(&acks, tag));
            }
        } else {
            uint64_t tag;
            bool multiple;

            while (acks_next(&acks, &tag, &multiple)) {
                assert_true(held[tag]);
                for (uint64_t i = multiple ? 1 : tag; i <= tag; i++) {
                    gone += held[i];
                    held[i] = false;
                }
            }
        }
    }
    for (size_t i = 0; i < hands; i++) {
        fail_msg("delivery %llu is settled and in hand", (unsigned long long)in_hand[i]);
    }
    acks_fini(&acks);
}

/* --- replies --- */

static void every_status_of_the_library_has_a_row(void **state)
{
    static const int first[] = { -1, -0x100, -0x200 }; /* the three ranges of amqp_status_enum */
    static const int next[] = { _AMQP_STATUS_NEXT_VALUE, _AMQP_STATUS_TCP_NEXT_VALUE,
                                _AMQP_STATUS_SSL_NEXT_VALUE };
    size_t count;
    const struct reply_row *rows = reply_table(&count);

    (void)state;
    for (int range = 0; range < 3; range++) {
        for (int status = first[range]; status > next[range]; status--) {
            if (reply_find(status)->code != status) {
                fail_msg("no row for %d, %s", status, amqp_error_string2(status));
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(reply_find(rows[i].code), &rows[i]); /* sorted, none twice */
        assert_int_equal(strncmp(rows[i].what, "amqp_", 5), 0);
        assert_in_range(rows[i].kind, ERR_TEMPORARY, ERR_PERMANENT);
    }
    assert_string_equal(reply_find(999)->what, "amqp_error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirms_settle_what_they_name),
        cmocka_unit_test(a_returned_message_is_told_by_its_id),
        cmocka_unit_test(a_new_connection_sends_exactly_the_unsettled_again),
        cmocka_unit_test(no_order_of_events_loses_or_repeats_a_message),
        cmocka_unit_test(a_run_takes_one_ack_and_the_rest_one_each),
        cmocka_unit_test(every_status_of_the_library_has_a_row),
        cmocka_unit_test(no_order_of_acks_names_what_the_broker_forgot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
