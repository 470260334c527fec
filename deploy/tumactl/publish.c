#include "publish.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/panic.h"
#include "base/str.h"
#include "crypto/crypto.h"

#define CONFIRM_MS 20000 /* longest wait for the broker, full queues included */
#define FULL_PAUSE_MS 200
#define TRACE_BYTES 56 /* 00-<32>-<16>-01 and NUL */

struct outcome {
    bool settled;
    enum broker_outcome outcome;
};

static void on_settled(void *context, uint64_t ticket, enum broker_outcome outcome)
{
    (void)ticket;
    *(struct outcome *)context = (struct outcome){ true, outcome };
}

static bool connect_publisher(struct ctl *ctl, struct err *err)
{
    struct broker_conf *conf = arena_alloc(ctl->arena, sizeof *conf);

    /* Asked first: a person is told at once that the broker is away, a publisher would wait. */
    return ctl->publisher != NULL || (ctl_amqp(ctl, conf, err) && broker_check(conf, err) &&
                                      broker_publisher_create(conf, &ctl->publisher, err));
}

/* Publishes and waits once. *out_outcome unless the broker is away. */
static bool try_once(struct ctl *ctl, const struct broker_message *message, int64_t deadline_ms,
                     enum broker_outcome *out_outcome, struct err *err)
{
    struct outcome outcome = { 0 };
    int64_t left_ms;

    broker_publish(ctl->publisher, message, 0);
    while (!outcome.settled && (left_ms = deadline_ms - clock_mono_ms()) > 0) {
        broker_publisher_pump(ctl->publisher, (int)left_ms, on_settled, &outcome);
    }
    if (!outcome.settled) {
        const char *trouble = broker_publisher_trouble(ctl->publisher);

        return err_temporary(err, "broker_away", "the broker did not confirm: %s",
                             *trouble ? trouble : "no answer");
    }
    *out_outcome = outcome.outcome;
    return true;
}

bool publish_message(struct ctl *ctl, const struct broker_message *message, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + CONFIRM_MS;
    enum broker_outcome outcome = BROKER_REFUSED;

    if (!connect_publisher(ctl, err)) {
        return false;
    }
    for (;;) {
        if (!try_once(ctl, message, deadline_ms, &outcome, err)) {
            return false;
        }
        if (outcome != BROKER_REFUSED || clock_mono_ms() > deadline_ms - FULL_PAUSE_MS) {
            break;
        }
        clock_sleep_ms(FULL_PAUSE_MS);
    }
    switch (outcome) {
    case BROKER_CONFIRMED:
        return true;
    case BROKER_RETURNED:
        return err_permanent(err, "unroutable",
                             "no queue is bound to %.60s with key %.60s; import the output of "
                             "tumactl topology",
                             message->exchange, message->key);
    case BROKER_REFUSED:
        return err_temporary(err, "queue_full", "the queue behind %.60s is full; try again later",
                             message->key);
    }
    panic("outcome %d", (int)outcome);
}

static void derive_id(const struct publish_fact *fact, char out[ID_MESSAGE_BYTES])
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct str text = { 0 };

    if (fact->number < 0) {
        id_message(out);
        return;
    }
    str_printf(&text, "tumactl|%s|%s|%lld", fact->campaign, fact->shape->type,
               (long long)fact->number);
    crypto_sha256(text.bytes, text.len, digest);
    id_hex(digest, (ID_MESSAGE_BYTES - 1) / 2, out);
    str_free(&text);
}

bool publish_fact(struct ctl *ctl, const struct publish_fact *fact, struct err *err)
{
    const struct topic *topic = topic_find(fact->shape->type);
    unsigned char random[24];
    char trace[TRACE_BYTES] = "00-";
    char id[ID_MESSAGE_BYTES];
    struct str exchange = { 0 };
    struct str key = { 0 };
    bool ok;

    if (!topic || !connect_publisher(ctl, err)) {
        return topic ? false
                     : err_permanent(err, "no_topic", "%s travels nowhere", fact->shape->type);
    }
    topic_exchange(ctl->amqp_prefix, topic, &exchange);
    topic_key(topic, NULL, fact->lane, &key);
    derive_id(fact, id);
    id_random(random, sizeof random);
    id_hex(random, 16, trace + 3);
    trace[35] = '-';
    id_hex(random + 16, 8, trace + 36);
    memcpy(trace + 52, "-01", 4);
    ok = publish_message(
        ctl,
        &(struct broker_message){
            .exchange = exchange.bytes,
            .key = key.bytes,
            .id = id,
            .type = fact->shape->type,
            .correlation = fact->campaign,
            .timestamp_ms = clock_now_ms(),
            .headers =
                (const struct broker_header[]){ { .key = "traceparent", .text = trace },
                                                { .key = "attempt", .num = 1 },
                                                { .key = "account", .text = fact->account } },
            .header_count = 3,
            .body = fact->body->bytes,
            .body_len = fact->body->len,
        },
        err);
    str_free(&exchange);
    str_free(&key);
    return ok;
}

void publish_close(struct ctl *ctl)
{
    broker_publisher_destroy(ctl->publisher);
    ctl->publisher = NULL;
}
