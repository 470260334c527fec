#include "payment_callback.h"

#include <string.h>

#include "crypto/crypto.h"

#define PROVIDER "mpesa"

/* The longer of two that begin alike comes first. M-Pesa forbids its own name in an address it is
 * given, so the last two are for those who set one by hand. */
static const struct {
    const char *path;
    const char *kind;
    bool names_secret; /* false: the path may end here */
} paths[] = {
    { "/api/pay/c2b/confirmation", "confirmation", true },
    { "/api/pay/c2b/validation", "validation", true },
    { "/api/pay/reversal/result", "result", true },
    { "/api/pay", "stk", true },
    { "/api/payments/mpesa/callback", "stk", false },
};

/* One segment of letters and digits, perhaps with a slash at its end; anything else is no secret.
 */
static void read_secret(const char *rest, char out[PAYMENT_SECRET_MAX + 1])
{
    static const char letters[] =
        "0123456789-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len = strspn(rest, letters);

    out[0] = '\0';
    if (len <= PAYMENT_SECRET_MAX && (rest[len] == '\0' || strcmp(rest + len, "/") == 0)) {
        memcpy(out, rest, len);
        out[len] = '\0';
    }
}

bool payment_callback_path(const char *path, struct payment_callback *out)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        size_t len = strlen(paths[i].path);
        if (strncmp(path, paths[i].path, len) != 0 || (path[len] != '/' && path[len] != '\0')) {
            continue;
        }
        const char *rest = path[len] == '/' ? path + len + 1 : path + len;
        if (*rest == '\0' && paths[i].names_secret) {
            return false;
        }
        out->kind = paths[i].kind;
        read_secret(rest, out->secret);
        return true;
    }
    return false;
}

static void derive_id(const struct payment_callback *callback, const char *body, size_t len,
                      char out[ID_MESSAGE_BYTES])
{
    struct crypto_hash *hash = crypto_hash_begin();
    unsigned char digest[CRYPTO_SHA256_BYTES];

    crypto_hash_add(hash, PROVIDER "|", sizeof(PROVIDER "|") - 1);
    crypto_hash_add(hash, callback->kind, strlen(callback->kind) + 1);
    crypto_hash_add(hash, callback->secret, strlen(callback->secret) + 1);
    crypto_hash_add(hash, body, len);
    crypto_hash_end(hash, digest);
    id_hex(digest, (ID_MESSAGE_BYTES - 1) / 2, out);
}

void payment_callback_write(const struct payment_callback *callback, const char *body, size_t len,
                            int64_t now_ms, struct arena *scratch, struct str *json,
                            char out_id[ID_MESSAGE_BYTES])
{
    arena_reset(scratch);
    str_reset(json);

    char *raw = arena_strndup(scratch, body, len);
    for (size_t i = 0; i < len; i++) {
        if (raw[i] == '\0') {
            raw[i] = (char)0xFF; /* not UTF-8: written as U+FFFD, where a NUL would end the text */
        }
    }
    shape_write(&payment_reported_v1,
                &(struct payment_reported){ .provider = PROVIDER,
                                            .kind = callback->kind,
                                            .secret = callback->secret,
                                            .peer = callback->peer,
                                            .raw = raw,
                                            .received_ms = now_ms },
                json);
    derive_id(callback, body, len, out_id);
}
