/*
 * sign - Ed25519 keys and signatures
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/panic.h"
#include "crypto/crypto.h"

/* Moves what was written to memory into out; the memory is cleared, it may be a secret. */
static void take_text(BIO *memory, struct str *out)
{
    char *text = NULL;
    long len = BIO_get_mem_data(memory, &text);

    str_append(out, text, (size_t)len);
    OPENSSL_cleanse(text, (size_t)len);
    BIO_free(memory);
}

void crypto_sign_key(struct str *out_private, struct str *out_public)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    BIO *private = BIO_new(BIO_s_mem());
    BIO *public = BIO_new(BIO_s_mem());

    if (key == NULL || private == NULL || public == NULL ||
        PEM_write_bio_PKCS8PrivateKey(private, key, NULL, NULL, 0, NULL, NULL) != 1 ||
        PEM_write_bio_PUBKEY(public, key) != 1) {
        panic("cannot make an Ed25519 key");
    }
    take_text(private, out_private);
    take_text(public, out_public);
    EVP_PKEY_free(key);
}

/* Nobody is asked for a pass phrase: a key that has one is refused. */
static int refuse_phrase(char *phrase, int size, int is_writing, void *context)
{
    (void)phrase;
    (void)size;
    (void)is_writing;
    (void)context;
    return -1;
}

static EVP_PKEY *read_key(const char *private_pem)
{
    BIO *memory = BIO_new_mem_buf(private_pem, -1);
    EVP_PKEY *key;

    if (memory == NULL) {
        panic("cannot read a key");
    }
    key = PEM_read_bio_PrivateKey(memory, NULL, refuse_phrase, NULL);
    BIO_free(memory);
    ERR_clear_error();
    if (key != NULL && EVP_PKEY_is_a(key, "ED25519") != 1) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

bool crypto_sign(const char *private_pem, const void *bytes, size_t len,
                 unsigned char out[CRYPTO_SIGNATURE_BYTES], struct err *err)
{
    EVP_PKEY *key = read_key(private_pem);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t out_len = CRYPTO_SIGNATURE_BYTES;

    if (key == NULL) {
        EVP_MD_CTX_free(context);
        return err_permanent(err, "bad_key", "the key is no Ed25519 private key in PEM");
    }
    if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(context, out, &out_len, bytes, len) != 1 ||
        out_len != CRYPTO_SIGNATURE_BYTES) {
        panic("cannot sign %zu bytes", len);
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return true;
}
