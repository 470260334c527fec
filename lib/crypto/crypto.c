/*
 * crypto - digests, signatures and tokens
 *
 * Digests go through EVP with algorithms fetched once: in OpenSSL 3 an implicit fetch for each
 * call costs more than hashing a short text.
 */
#include "crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/id.h"
#include "base/panic.h"

#define RANDOM_CHUNK_BYTES 48 /* a multiple of 3, so that pieces of base64 join */

struct crypto_hash {
    EVP_MD_CTX *context;
};

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha256 == NULL) {
        panic("OpenSSL has no SHA-256");
    }
}

static const EVP_MD *get_sha256(void)
{
    if (pthread_once(&fetched, fetch_sha256) != 0) {
        panic("pthread_once failed");
    }
    return sha256;
}

void crypto_sha256(const void *bytes, size_t len, unsigned char out[CRYPTO_SHA256_BYTES])
{
    if (EVP_Digest(bytes, len, out, NULL, get_sha256(), NULL) != 1) {
        panic("SHA-256 of %zu bytes failed", len);
    }
}

struct crypto_hash *crypto_hash_begin(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct crypto_hash *hash = OPENSSL_zalloc(sizeof(*hash));

    if (hash == NULL || context == NULL || EVP_DigestInit_ex2(context, get_sha256(), NULL) != 1) {
        panic("cannot begin a SHA-256");
    }
    hash->context = context;
    return hash;
}

void crypto_hash_add(struct crypto_hash *hash, const void *bytes, size_t len)
{
    if (EVP_DigestUpdate(hash->context, bytes, len) != 1) {
        panic("SHA-256 of %zu more bytes failed", len);
    }
}

void crypto_hash_end(struct crypto_hash *hash, unsigned char out[CRYPTO_SHA256_BYTES])
{
    if (EVP_DigestFinal_ex(hash->context, out, NULL) != 1) {
        panic("cannot end a SHA-256");
    }
    EVP_MD_CTX_free(hash->context);
    OPENSSL_free(hash);
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
                        unsigned char out[CRYPTO_SHA256_BYTES])
{
    unsigned int out_len = 0;

    if (key_len > INT32_MAX ||
        HMAC(get_sha256(), key, (int)key_len, bytes, len, out, &out_len) == NULL ||
        out_len != CRYPTO_SHA256_BYTES) {
        panic("HMAC of %zu bytes with a key of %zu failed", len, key_len);
    }
}

bool crypto_equal(const char *a, const char *b)
{
    unsigned char key[CRYPTO_SHA256_BYTES];
    unsigned char mac_a[CRYPTO_SHA256_BYTES];
    unsigned char mac_b[CRYPTO_SHA256_BYTES];

    if (a == NULL || b == NULL) {
        return false;
    }
    /* Digests under a key nobody knows have one length, and their first difference says nothing. */
    id_random(key, sizeof(key));
    crypto_hmac_sha256(key, sizeof(key), a, strlen(a), mac_a);
    crypto_hmac_sha256(key, sizeof(key), b, strlen(b), mac_b);
    return CRYPTO_memcmp(mac_a, mac_b, sizeof(mac_a)) == 0;
}

/* Writes 4 characters for each 3 bytes, padded, and a NUL; returns how many without it. */
static size_t encode(const void *bytes, size_t len, char *out)
{
    int done = EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);

    if (done < 0) {
        panic("base64 of %zu bytes failed", len);
    }
    return (size_t)done;
}

void crypto_token(char *out, size_t bytes)
{
    unsigned char random[RANDOM_CHUNK_BYTES];
    char text[RANDOM_CHUNK_BYTES / 3 * 4 + 1];

    for (size_t left = bytes; left > 0;) {
        size_t take = left < sizeof(random) ? left : sizeof(random);
        id_random(random, take);
        size_t len = encode(random, take, text);
        for (size_t i = 0; i < len && text[i] != '='; i++) {
            *out++ = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
        }
        left -= take;
    }
    *out = '\0';
    OPENSSL_cleanse(random, sizeof(random));
    OPENSSL_cleanse(text, sizeof(text));
}

void crypto_base64(const void *bytes, size_t len, struct str *out)
{
    if (len > INT32_MAX / 2) {
        panic("base64 of %zu bytes", len);
    }
    char *to = str_room(out, (len + 2) / 3 * 4);
    out->len += encode(bytes, len, to);
}
