/*
 * payment_callback - what a payment provider posts to us, turned into the message that keeps it
 *
 *     if (payment_callback_path(path, &payment)) …
 *     payment_callback_write(&payment, body, len, now_ms, scratch, &json, id);
 *
 * Nothing of the body is understood here, and no secret is checked: every post gets the same
 * answer, so that nobody learns from it which secrets there are. settle-payment gives all of it its
 * meaning.
 */
#ifndef INGRESS_PAYMENT_CALLBACK_H
#define INGRESS_PAYMENT_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/str.h"
#include "msg/payment.h"

#define PAYMENT_CALLBACK_MAX ((size_t)PAYMENT_RAW_MAX)

struct payment_callback {
    const char *kind;                    /* payment_reported's; static */
    char secret[PAYMENT_SECRET_MAX + 1]; /* of the path; "" when it has none, or what is none */
    char peer[PAYMENT_PEER_MAX + 1];     /* the caller's to fill in */
};

/* False when the path is no payment provider's; then nothing is touched. */
bool payment_callback_path(const char *path, struct payment_callback *out);

/*
 * Overwrites *json with a payment.reported. len is at most PAYMENT_CALLBACK_MAX. The same post
 * again gets the same id. scratch is reset.
 */
void payment_callback_write(const struct payment_callback *callback, const char *body, size_t len,
                            int64_t now_ms, struct arena *scratch, struct str *json,
                            char out_id[ID_MESSAGE_BYTES]);

#endif
