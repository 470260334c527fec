/*
 * settings - what the ingress reads from its environment, and the limits that are not settings
 *
 * The table in settings.c is what --describe prints. Limits below are the API's own: they are
 * stated to callers (in schemas/openapi.yaml and in the refusals) and so are the same everywhere.
 */
#ifndef INGRESS_SETTINGS_H
#define INGRESS_SETTINGS_H

#include "audio/conf.h"
#include "base/conf.h"
#include "provider/africastalking.h"

struct settings {
    const char *database_url;
    const char *amqp_url;
    const char *amqp_prefix;
    const char *listen;
    const char *public_url;
    const char *webhook_token;
    const char *trusted_proxy;
    const char *log_level;
    long threads;
    long workers;
    long connections;
    long connections_per_address;
    long rate_per_key;
    long rate_per_address;
    long idle_ms;
    long upload_lease_ms;
    long transfer_max;
    long transfer_day_max;
    struct at_conf at;
    struct audio_conf audio;
    const char *fallback_audio_url;
};

extern const struct conf_item settings_items[];

/* Bodies. An upload is streamed, so its bound is about time and broker, not memory. */
#define BODY_JSON_MAX ((size_t)8 << 20)
#define BODY_UPLOAD_MAX ((size_t)512 << 20)
#define BODIES_MAX ((size_t)256 << 20) /* of all JSON bodies being gathered */
#define BODY_CALLBACK_MAX ((size_t)64 << 10)

#define INLINE_RECIPIENTS_MAX 10000
#define WEBHOOK_TOKEN_BYTES 128 /* with the NUL */
#define IDEMPOTENCY_KEY_MAX 128
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define URL_MAX 4096     /* path and query as sent */
#define REQUESTS_MAX 512 /* API requests at once, streams included */
#define STREAMS_MAX 256  /* of them answers that go on: events and exports */

/* The broker has this long to confirm before the caller is told to come back. */
#define CONFIRM_MS 3500
#define RETRY_AFTER_S 5

/* A burst is this many seconds' worth of a rate. */
#define RATE_BURST_S 2

#endif
