/*
 * publish - what needs nothing of the publisher's inside: waiting for several, ids, errors
 */
#include <pthread.h>
#include <string.h>

#include "base/panic.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "publish.h"

bool publish_fail(enum publish_outcome outcome, struct err *err)
{
    switch (outcome) {
    case PUBLISH_FULL:
        return err_temporary(err, "queue_full", "the queue is full; try again later");
    case PUBLISH_UNROUTABLE:
        return err_temporary(err, "unroutable", "the broker has no queue for this message");
    case PUBLISH_AWAY:
        return err_temporary(err, "broker_away", "the broker did not confirm in time");
    case PUBLISH_CONFIRMED:
        break;
    }
    panic("a confirmed message is no failure");
}

void publish_trace(const char *given, char out[TRACE_BYTES])
{
    unsigned char random[24];
    char hex[2 * sizeof(random) + 1];

    id_random(random, sizeof(random));
    id_hex(random, sizeof(random), hex);
    memcpy(out, "00-", 3);
    memcpy(out + 3, given != NULL ? given + 3 : hex, 32);
    out[35] = '-';
    memcpy(out + 36, hex + 32, 16);
    memcpy(out + 52, "-01", 4);
}

void publish_id(const char *campaign, const char *type, int64_t number, char out[ID_MESSAGE_BYTES])
{
    struct str text = { 0 };
    unsigned char digest[CRYPTO_SHA256_BYTES];

    str_printf(&text, "ingress|%s|%s|%lld", campaign, type, (long long)number);
    crypto_sha256(text.bytes, text.len, digest);
    id_hex(digest, (ID_MESSAGE_BYTES - 1) / 2, out);
    str_free(&text);
}

struct await {
    pthread_mutex_t lock;
    pthread_cond_t done;
    size_t left;
    enum publish_outcome worst;
};

static void on_parcel(struct parcel *parcel, enum publish_outcome outcome)
{
    struct await *await = parcel->context;

    pthread_mutex_lock(&await->lock);
    if (outcome != PUBLISH_CONFIRMED) {
        await->worst = outcome;
    }
    if (--await->left == 0) {
        pthread_cond_signal(&await->done);
    }
    pthread_mutex_unlock(&await->lock);
}

bool publish_all(struct publisher *publisher, struct parcel *parcels, size_t count, struct err *err)
{
    struct await await = { .left = count, .worst = PUBLISH_CONFIRMED };

    if (!publish_is_ready(publisher)) {
        return publish_fail(PUBLISH_AWAY, err);
    }
    pthread_mutex_init(&await.lock, NULL);
    pthread_cond_init(&await.done, NULL);
    for (size_t i = 0; i < count; i++) {
        parcels[i].settled = on_parcel;
        parcels[i].context = &await;
        publish_send(publisher, &parcels[i]);
    }
    pthread_mutex_lock(&await.lock);
    while (await.left > 0) {
        pthread_cond_wait(&await.done, &await.lock);
    }
    pthread_mutex_unlock(&await.lock);
    pthread_cond_destroy(&await.done);
    pthread_mutex_destroy(&await.lock);
    return await.worst == PUBLISH_CONFIRMED || publish_fail(await.worst, err);
}
