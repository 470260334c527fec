/*
 * crypto - digests, signatures and tokens
 *
 *     char token[CRYPTO_TOKEN_BYTES(32)];
 *     crypto_token(token, 32);                       // give this to the customer
 *     crypto_sha256(token, strlen(token), digest);   // store that
 *
 *     crypto_hmac_sha256(key, strlen(key), body, len, mac);
 *     if (!crypto_equal(claimed, hex_of_mac)) ...    // never strcmp()
 *
 * The only user of OpenSSL. Only reading a key can fail: an error of the library is a panic. Any
 * thread.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#define CRYPTO_SHA256_BYTES 32

void crypto_sha256(const void *bytes, size_t len, unsigned char out[CRYPTO_SHA256_BYTES]);

/* For input in pieces, e.g. an id derived from several fields: begin, add as often as wanted, end.
 */
struct crypto_hash; /* freed by crypto_hash_end() */
struct crypto_hash *crypto_hash_begin(void);
void crypto_hash_add(struct crypto_hash *hash, const void *bytes, size_t len);
void crypto_hash_end(struct crypto_hash *hash, unsigned char out[CRYPTO_SHA256_BYTES]);

void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
                        unsigned char out[CRYPTO_SHA256_BYTES]);

/*
 * Whether two texts are the same, in a time that tells nothing of where they differ or how long
 * either is. NULL equals nothing, not even NULL.
 */
bool crypto_equal(const char *a, const char *b);

/* Random bytes as text for URLs: base64url without padding (RFC 4648, section 5). */
#define CRYPTO_TOKEN_BYTES(bytes) (((bytes)*4 + 2) / 3 + 1) /* with the NUL */
void crypto_token(char *out, size_t bytes);

#define CRYPTO_SIGNATURE_BYTES 64

/* A new Ed25519 key: appends the private and the public half, each as PEM (PKCS #8, RFC 8410). */
void crypto_sign_key(struct str *out_private, struct str *out_public);

/* Signs with the private half; fails with bad_key, permanent. */
bool crypto_sign(const char *private_pem, const void *bytes, size_t len,
                 unsigned char out[CRYPTO_SIGNATURE_BYTES], struct err *err);

/* Appends standard base64 with padding. */
void crypto_base64(const void *bytes, size_t len, struct str *out);

#endif
