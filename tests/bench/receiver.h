/*
 * receiver - takes delivery reports by HTTP and keeps what they are about
 *
 *     receiver_open("127.0.0.1", port, most, &receiver, &err)
 *     receiver_wait(receiver, count, 60000)   // true when that many came
 *     const struct receipt *receipts = receiver_receipts(receiver);
 *
 * As little as can be done with a report: one libmicrohttpd thread, each answered 200 at once.
 */
#ifndef BENCH_RECEIVER_H
#define BENCH_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RECEIPT_ID_BYTES 48

struct receipt {
    int64_t msisdn;
    char id[RECEIPT_ID_BYTES];
};

struct receiver;

/* Room for most reports; later ones are answered 503. */
bool receiver_open(const char *host, uint16_t port, size_t most, struct receiver **out_receiver,
                   struct err *err);
void receiver_close(struct receiver *receiver); /* accepts NULL */

/* Waits until count reports came; false when they did not within timeout_ms. */
bool receiver_wait(struct receiver *receiver, size_t count, int64_t timeout_ms);

/* Read them only after receiver_wait() returned true. */
const struct receipt *receiver_receipts(const struct receiver *receiver);

#endif
