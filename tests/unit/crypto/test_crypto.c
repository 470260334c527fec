/* crypto: the published test vectors, and tokens that nobody can guess. */

/* cmocka.h needs the headers above it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "crypto/crypto.h"

static void assert_digest(const unsigned char *digest, const char *hex)
{
    char text[2 * CRYPTO_SHA256_BYTES + 1];

    id_hex(digest, CRYPTO_SHA256_BYTES, text);
    assert_string_equal(text, hex);
}

/* FIPS 180-4 examples. */
static void sha256_gives_the_published_digests(void **state)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];

    (void)state;
    crypto_sha256("", 0, digest);
    assert_digest(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha256("abc", 3, digest);
    assert_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, digest);
    assert_digest(digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void pieces_give_the_digest_of_the_whole(void **state)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct crypto_hash *hash = crypto_hash_begin();

    (void)state;
    crypto_hash_add(hash, "a", 1);
    crypto_hash_add(hash, "", 0);
    crypto_hash_add(hash, "bc", 2);
    crypto_hash_end(hash, digest);
    assert_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, test cases 1, 2 and 6. */
static void hmac_gives_the_published_codes(void **state)
{
    unsigned char key[131];
    unsigned char mac[CRYPTO_SHA256_BYTES];
    const char *text = "Test Using Larger Than Block-Size Key - Hash Key First";

    (void)state;
    memset(key, 0x0b, 20);
    crypto_hmac_sha256(key, 20, "Hi There", 8, mac);
    assert_digest(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    crypto_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
    assert_digest(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    crypto_hmac_sha256(key, sizeof(key), text, strlen(text), mac);
    assert_digest(mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void an_empty_key_is_a_key(void **state)
{
    unsigned char mac[CRYPTO_SHA256_BYTES];

    (void)state;
    crypto_hmac_sha256("", 0, "", 0, mac);
    assert_digest(mac, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void texts_are_equal_or_not(void **state)
{
    (void)state;
    assert_true(crypto_equal("", ""));
    assert_true(crypto_equal("token", "token"));
    assert_false(crypto_equal("token", "tokem"));
    assert_false(crypto_equal("token", "Token"));
    assert_false(crypto_equal("token", "toke"));
    assert_false(crypto_equal("token", "token2"));
    assert_false(crypto_equal("token", ""));
    assert_false(crypto_equal(NULL, "token"));
    assert_false(crypto_equal("token", NULL));
    assert_false(crypto_equal(NULL, NULL));
}

static void tokens_have_their_length_and_letters(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= 200; bytes++) {
        char *token = malloc(CRYPTO_TOKEN_BYTES(bytes)); /* exact, for the sanitizer */
        crypto_token(token, bytes);
        assert_int_equal(strlen(token), CRYPTO_TOKEN_BYTES(bytes) - 1);
        assert_int_equal(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789-_"),
                         strlen(token));
        free(token);
    }
}

static void tokens_differ_and_use_the_whole_alphabet(void **state)
{
    char first[CRYPTO_TOKEN_BYTES(1000)];
    char second[CRYPTO_TOKEN_BYTES(1000)];

    (void)state;
    crypto_token(first, 32);
    crypto_token(second, 32);
    assert_string_not_equal(first, second);
    crypto_token(first, 1000);
    for (const char *letter = "AZaz09-_"; *letter != '\0'; letter++) {
        assert_non_null(strchr(first, *letter)); /* absent by chance once in a billion */
    }
}

/* RFC 4648, section 10. */
static void base64_gives_the_published_text(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff", "+/8=" },
    };
    struct str out = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        str_reset(&out);
        str_puts(&out, "x:");
        crypto_base64(cases[i][0], strlen(cases[i][0]), &out);
        assert_int_equal(out.len, 2 + strlen(cases[i][1]));
        assert_string_equal(out.bytes + 2, cases[i][1]);
    }
    str_free(&out);
}

/* RFC 8032, section 7.1, test 1; the key as RFC 8410 wraps it. */
static void a_signature_is_the_published_one(void **state)
{
    static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                              "-----END PRIVATE KEY-----\n";
    unsigned char signature[CRYPTO_SIGNATURE_BYTES];
    char hex[2 * CRYPTO_SIGNATURE_BYTES + 1];
    struct err err;

    (void)state;
    assert_true(crypto_sign(key, "", 0, signature, &err));
    id_hex(signature, sizeof(signature), hex);
    assert_string_equal(hex, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                             "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
}

static void a_new_key_signs_and_is_like_no_other(void **state)
{
    unsigned char first[CRYPTO_SIGNATURE_BYTES], second[CRYPTO_SIGNATURE_BYTES];
    struct str keys[2] = { { 0 }, { 0 } }, public[2] = { { 0 }, { 0 } };
    struct err err;

    (void)state;
    for (int i = 0; i < 2; i++) {
        crypto_sign_key(&keys[i], &public[i]);
        assert_non_null(strstr(keys[i].bytes, "BEGIN PRIVATE KEY"));
        assert_non_null(strstr(public[i].bytes, "BEGIN PUBLIC KEY"));
    }
    assert_string_not_equal(keys[0].bytes, keys[1].bytes);
    assert_string_not_equal(public[0].bytes, public[1].bytes);
    assert_true(crypto_sign(keys[0].bytes, "abc", 3, first, &err));
    assert_true(crypto_sign(keys[1].bytes, "abc", 3, second, &err));
    assert_memory_not_equal(first, second, sizeof(first));
    assert_true(crypto_sign(keys[0].bytes, "abc", 3, second, &err));
    assert_memory_equal(first, second, sizeof(first));
    assert_false(crypto_sign(public[0].bytes, "abc", 3, second, &err));
    assert_string_equal(err.what, "bad_key");
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_false(crypto_sign("", "abc", 3, second, &err));
    for (int i = 0; i < 2; i++) {
        str_free(&keys[i]);
        str_free(&public[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(hmac_gives_the_published_codes),
        cmocka_unit_test(an_empty_key_is_a_key),
        cmocka_unit_test(texts_are_equal_or_not),
        cmocka_unit_test(tokens_have_their_length_and_letters),
        cmocka_unit_test(tokens_differ_and_use_the_whole_alphabet),
        cmocka_unit_test(base64_gives_the_published_text),
        cmocka_unit_test(a_signature_is_the_published_one),
        cmocka_unit_test(a_new_key_signs_and_is_like_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
