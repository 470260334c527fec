/*
 * callback - what a provider posts to us, turned into the message that keeps it
 *
 *     callback_read(kind, body, len, now_ms, scratch, &read);
 *     switch (read.made) … read.json goes on as callback_shape(read.made)
 *
 * Never fails: what cannot be read becomes callback.misread with the body as it came, because a
 * refused callback is lost, or repeated for ever. Words are passed on untouched; what they mean is
 * reconcile-dlr's to say. A delivery report becomes one element of delivery.reported's list.
 */
#ifndef INGRESS_CALLBACK_H
#define INGRESS_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/str.h"
#include "json/shape.h"

enum callback_kind {
    CALLBACK_DELIVERY,
    CALLBACK_INCOMING,
    CALLBACK_ANY, /* decided by the fields */
};

/* MADE_PAYMENT: payment_callback.h's. */
enum callback_made { MADE_REPORT, MADE_INBOUND, MADE_MISREAD, MADE_PAYMENT };

struct callback_read {
    enum callback_made made;
    char id[ID_MESSAGE_BYTES]; /* of the message; "" for a report */
};

/* Overwrites *json. scratch is reset. */
void callback_read(enum callback_kind kind, const char *body, size_t len, int64_t now_ms,
                   struct arena *scratch, struct str *json, struct callback_read *out_read);

/* Not for MADE_REPORT. */
const struct shape *callback_shape(enum callback_made made);

/*
 * For the other readers of callbacks. What a shape would refuse of texts: false, permanent,
 * bad_field. The id of a message that is the same whenever the same is posted again. What keeps a
 * body that could not be read, in scratch and *json.
 */
bool callback_fits(const struct shape *shape, const void *in, struct err *err)
    __attribute__((warn_unused_result));
void callback_derive_id(const char *kind, const char *text, char out[ID_MESSAGE_BYTES]);
void callback_keep_misread(const char *kind, const char *body, size_t len, const char *why,
                           int64_t now_ms, struct arena *scratch, struct str *json,
                           char out_id[ID_MESSAGE_BYTES]);

#endif
