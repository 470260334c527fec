/*
 * address - where a provider fetches a file of sound without a key, for a time
 *
 *     const char *path = audio_sign(secret, asset.id, AUDIO_WAV, now_ms + 3600000, arena);
 *     → "media/aud_06ETQ5S0K3P1V/1795003600.<64 hex digits>.wav"
 *
 *     audio_url(public_url, secret, asset.id, AUDIO_WAV, now_ms + 3600000, arena, &err)
 *     → "https://tuma.example/media/…", to be put into what a provider reads
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
#include "base/conf.h"
#include "base/err.h"

#define AUDIO_SECRET_MIN 32 /* characters of MEDIA_SECRET */

/* A row of a program's own table, for whoever makes addresses or answers at them. */
#define AUDIO_SECRET_ITEM(T, member)                                                               \
    CONF_SECRET(T, member, "MEDIA_SECRET", "",                                                     \
                "Signs the addresses at which a provider fetches files of sound, at least 32 "     \
                "characters; empty: none are made, and none answers.")

/* Permanent: bad_secret. For start-up: the others take any secret. */
bool audio_secret_check(const char *secret, struct err *err) __attribute__((warn_unused_result));

/* A path without a slash before it. The expiry is in whole seconds, rounded up. */
const char *audio_sign(const char *secret, int64_t asset, enum audio_kind kind, int64_t expires_ms,
                       struct arena *arena);

/*
 * The whole address, for a provider: PUBLIC_URL and what audio_sign() makes. NULL with a permanent
 * no_media_secret or no_public_url.
 */
const char *audio_url(const char *public_url, const char *secret, int64_t asset,
                      enum audio_kind kind, int64_t expires_ms, struct arena *arena,
                      struct err *err) __attribute__((warn_unused_result));

/*
 * The two last segments of a path. Permanent: address_wrong (nothing is said of how), and only for
 * one that was right, address_expired.
 */
bool audio_check(const char *secret, const char *asset, const char *tail, int64_t now_ms,
                 int64_t *out_asset, enum audio_kind *out_kind, struct err *err)
    __attribute__((warn_unused_result));

#endif
