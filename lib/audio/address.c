#include "audio/address.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/str.h"
#include "crypto/crypto.h"

#define MAC_TEXT (2 * CRYPTO_SHA256_BYTES + 1)
#define EXPIRY_DIGITS_MAX 12

bool audio_secret_check(const char *secret, struct err *err)
{
    if (strlen(secret) < AUDIO_SECRET_MIN) {
        return err_permanent(
            err, "bad_secret",
            "MEDIA_SECRET has %zu characters, at least %d are needed: openssl rand "
            "-hex 32",
            strlen(secret), AUDIO_SECRET_MIN);
    }
    return true;
}

static void sign(const char *secret, int64_t asset, int64_t expires_s, enum audio_kind kind,
                 char out[MAC_TEXT])
{
    unsigned char mac[CRYPTO_SHA256_BYTES];
    char id[ID_TEXT_BYTES], text[128];

    id_format("aud", asset, id);
    int len = snprintf(text, sizeof(text), "media/%s/%lld.%s", id, (long long)expires_s,
                       audio_kind_word(kind));
    crypto_hmac_sha256(secret, strlen(secret), text, (size_t)len, mac);
    id_hex(mac, sizeof(mac), out);
}

const char *audio_sign(const char *secret, int64_t asset, enum audio_kind kind, int64_t expires_ms,
                       struct arena *arena)
{
    int64_t expires_s = (expires_ms + 999) / 1000;
    char id[ID_TEXT_BYTES], mac[MAC_TEXT];

    id_format("aud", asset, id);
    sign(secret, asset, expires_s, kind, mac);
    return arena_printf(arena, "media/%s/%lld.%s.%s", id, (long long)expires_s, mac,
                        audio_kind_word(kind));
}

const char *audio_url(const char *public_url, const char *secret, int64_t asset,
                      enum audio_kind kind, int64_t expires_ms, struct arena *arena,
                      struct err *err)
{
    size_t len = strlen(public_url);

    if (!audio_secret_check(secret, err)) {
        err_permanent(err, "no_media_secret",
                      "no address of an audio asset can be made: MEDIA_SECRET is not set, or is "
                      "shorter than %d characters",
                      AUDIO_SECRET_MIN);
        return NULL;
    }
    while (len > 0 && public_url[len - 1] == '/') {
        len--;
    }
    if (len == 0) {
        err_permanent(err, "no_public_url",
                      "no address of an audio asset can be made: PUBLIC_URL is not set");
        return NULL;
    }
    return arena_printf(arena, "%.*s/%s", (int)len, public_url,
                        audio_sign(secret, asset, kind, expires_ms, arena));
}

/* "<expiry>.<mac>.<ext>", each as audio_sign() writes it. */
static bool split(const char *tail, int64_t *out_expires_s, char out_mac[MAC_TEXT],
                  enum audio_kind *out_kind)
{
    size_t digits = strspn(tail, "0123456789");
    const char *mac = tail + digits + 1;

    if (digits == 0 || digits > EXPIRY_DIGITS_MAX || tail[0] == '0' || tail[digits] != '.' ||
        !str_parse_int_n(tail, digits, 1, INT64_MAX, out_expires_s)) {
        return false;
    }
    if (strspn(mac, "0123456789abcdef") != MAC_TEXT - 1 || mac[MAC_TEXT - 1] != '.') {
        return false;
    }
    memcpy(out_mac, mac, MAC_TEXT - 1);
    out_mac[MAC_TEXT - 1] = '\0';
    return audio_kind_parse(mac + MAC_TEXT, out_kind);
}

bool audio_check(const char *secret, const char *asset, const char *tail, int64_t now_ms,
                 int64_t *out_asset, enum audio_kind *out_kind, struct err *err)
{
    char claimed[MAC_TEXT], right[MAC_TEXT];
    enum audio_kind kind;
    int64_t id, expires_s;

    if (!id_parse("aud", asset, &id) || !split(tail, &expires_s, claimed, &kind)) {
        return err_permanent(err, "address_wrong", "there is nothing at this address");
    }
    sign(secret, id, expires_s, kind, right);
    if (!crypto_equal(claimed, right)) {
        return err_permanent(err, "address_wrong", "there is nothing at this address");
    }
    if (now_ms >= expires_s * 1000) {
        return err_permanent(err, "address_expired", "this address was good until %lld",
                             (long long)expires_s);
    }
    *out_asset = id;
    *out_kind = kind;
    return true;
}
