/*
 * address - where a provider fetches a file of sound without a key, for a time
 *
 *     const char *path = audio_sign(secret, asset.id, AUDIO_WAV, now_ms + 3600000, arena);
 *     → "media/aud_06ETQ5S0K3P1V/1795003600.<64 hex digits>.wav"
 *
 *     audio_check(secret, "aud_06ETQ5S0K3P1V", "1795003600.….wav", now_ms, &id, &kind, &err)
 *
 * The HMAC-SHA256 covers the id, the expiry and the extension. Whoever knows the address may fetch
 * that one file until then; nothing can be taken back but by another secret.
 */
#ifndef AUDIO_ADDRESS_H
#define AUDIO_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/probe.h"
#include "base/arena.h"
#include "base/err.h"

#define AUDIO_SECRET_MIN 32 /* characters of MEDIA_SECRET */

/* Permanent: bad_secret. For start-up: the others take any secret. */
bool audio_secret_check(const char *secret, struct err *err) __attribute__((warn_unused_result));

/* A path without a slash before it. The expiry is in whole seconds, rounded up. */
const char *audio_sign(const char *secret, int64_t asset, enum audio_kind kind, int64_t expires_ms,
                       struct arena *arena);

/*
 * The two last segments of a path. Permanent: address_wrong (nothing is said of how), and only for
 * one that was right, address_expired.
 */
bool audio_check(const char *secret, const char *asset, const char *tail, int64_t now_ms,
                 int64_t *out_asset, enum audio_kind *out_kind, struct err *err)
    __attribute__((warn_unused_result));

#endif
