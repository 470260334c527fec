/*
 * statement - lines, fields, and the hash over each entry
 */
#include "statement.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIELDS_MAX 13
#define ENTRY_FIELDS 13
#define TIME_CHARS 27 /* 2026-11-20T09:12:44.031234Z */
#define NAME_CHARS_MAX 31

static const char first_line[] = "tuma-statement-1";
static const char hash_prefix[] = "tuma-ledger-1\t";

const char *const statement_purses[STATEMENT_PURSES] = { "available", "reserved", "spent",
                                                         "expired",   "source",   "peer" };

/* What is left to read, and the fields of the line that was read last. */
struct reader {
    const char *at, *end;
    struct statement_text fields[FIELDS_MAX];
    int count;
    struct statement *out;
};

__attribute__((format(printf, 2, 3))) static void tell(struct statement *out, const char *fmt, ...)
{
    char text[120];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (out->line > 0) {
        snprintf(out->why, sizeof out->why, "line %ld: %s", out->line, text);
    } else {
        snprintf(out->why, sizeof out->why, "%s", text);
    }
}

/* For "return fail(...)"; never true. */
#define fail(out, ...) (tell((out), __VA_ARGS__), false)

static bool is_text(struct statement_text field, const char *text)
{
    return field.len == strlen(text) && memcmp(field.at, text, field.len) == 0;
}

static bool is_same(struct statement_text a, struct statement_text b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Only letters of the alphabet; an empty field has none others. */
static bool is_made_of(struct statement_text field, const char *alphabet)
{
    for (size_t i = 0; i < field.len; i++) {
        if (field.at[i] == '\0' || !strchr(alphabet, field.at[i])) {
            return false;
        }
    }
    return true;
}

static bool next_line(struct reader *reader)
{
    struct statement *out = reader->out;
    const char *end = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

    out->line++;
    if (!end) {
        return fail(out, reader->at == reader->end ? "the statement ends too early"
                                                   : "the line has no end");
    }
    reader->count = 0;
    for (const char *at = reader->at; at <= end;) {
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        const char *stop = tab ? tab : end;

        if (reader->count == FIELDS_MAX) {
            return fail(out, "too many fields");
        }
        reader->fields[reader->count++] =
            (struct statement_text){ .at = at, .len = (size_t)(stop - at) };
        at = stop + 1;
    }
    reader->at = end + 1;
    return true;
}

/* The line must be of this kind with so many fields. */
static bool want_line(struct reader *reader, const char *kind, int fields)
{
    if (!next_line(reader)) {
        return false;
    }
    return (reader->count == fields && is_text(reader->fields[0], kind)) ||
           fail(reader->out, "'%s' with %d fields is expected here", kind, fields);
}

/* Digits without a sign or needless zeros. */
static bool read_number(struct reader *reader, int field, int64_t *out)
{
    struct statement_text text = reader->fields[field];
    int64_t value = 0;

    if (text.len == 0 || !is_made_of(text, "0123456789") || (text.len > 1 && *text.at == '0')) {
        return fail(reader->out, "field %d is no number", field + 1);
    }
    for (size_t i = 0; i < text.len; i++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.at[i] - '0', &value)) {
            return fail(reader->out, "field %d is too big a number", field + 1);
        }
    }
    *out = value;
    return true;
}

static bool read_hash(struct reader *reader, int field, struct statement_text *out)
{
    struct statement_text text = reader->fields[field];

    if (text.len != STATEMENT_HASH_CHARS || !is_made_of(text, "0123456789abcdef")) {
        return fail(reader->out, "field %d is no hash", field + 1);
    }
    *out = text;
    return true;
}

static bool read_account(struct reader *reader)
{
    struct statement *out = reader->out;
    int64_t id;

    if (!want_line(reader, "account", 3) || !read_number(reader, 1, &id)) {
        return false;
    }
    out->account = reader->fields[1];
    out->name = reader->fields[2];
    return (out->name.len > 0 && out->name.len <= NAME_CHARS_MAX &&
            is_made_of(out->name, "abcdefghijklmnopqrstuvwxyz0123456789-")) ||
           fail(out, "that is no account's name");
}

/* Puts 64 hexadecimal digits of the hash of the line's entry into out. */
static bool hash_entry(struct reader *reader, struct statement_text previous,
                       char out[STATEMENT_HASH_CHARS + 1])
{
    const struct statement_text *fields = reader->fields;
    const struct statement_text parts[] = {
        { hash_prefix, sizeof hash_prefix - 1 },
        reader->out->account,
        { "\t", 1 },
        fields[1],
        { "\t", 1 },
        previous,
        { "\t", 1 },
        /* time to actor, with the tabs between them */
        { fields[2].at,
          (size_t)(fields[ENTRY_FIELDS - 2].at + fields[ENTRY_FIELDS - 2].len - fields[2].at) },
    };
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned len = 0;
    bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < sizeof parts / sizeof *parts; i++) {
        ok = EVP_DigestUpdate(context, parts[i].at, parts[i].len) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(context, digest, &len) == 1 && len * 2 == STATEMENT_HASH_CHARS;
    EVP_MD_CTX_free(context);
    for (unsigned i = 0; ok && i < len; i++) {
        snprintf(out + (size_t)i * 2, 3, "%02x", digest[i]);
    }
    return ok || fail(reader->out, "libcrypto has no SHA-256");
}

static bool count_purse(struct reader *reader, int field, int64_t tokens)
{
    struct statement *out = reader->out;

    for (int i = 0; i < STATEMENT_PURSES; i++) {
        if (is_text(reader->fields[field], statement_purses[i])) {
            return !__builtin_add_overflow(out->changes[i], tokens, &out->changes[i]) ||
                   fail(out, "more tokens than there can be");
        }
    }
    return fail(out, "field %d is no purse", field + 1);
}

static bool read_entry(struct reader *reader)
{
    struct statement *out = reader->out;
    struct statement_text hash;
    char computed[STATEMENT_HASH_CHARS + 1];
    int64_t position, tokens;

    if (reader->count != ENTRY_FIELDS) {
        return fail(out, "an entry has %d fields", ENTRY_FIELDS);
    }
    if (!read_number(reader, 1, &position) || !read_number(reader, 6, &tokens) ||
        !read_hash(reader, ENTRY_FIELDS - 1, &hash) || !count_purse(reader, 4, -tokens) ||
        !count_purse(reader, 5, tokens)) {
        return false;
    }
    if (out->closing == INT64_MAX || position != out->closing + 1) {
        return fail(out, "entry %lld does not follow entry %lld", (long long)position,
                    (long long)out->closing);
    }
    if (reader->fields[2].len != TIME_CHARS || !is_made_of(reader->fields[2], "0123456789-T:.Z")) {
        return fail(out, "field 3 is no time");
    }
    if (!hash_entry(reader, out->closing_hash, computed)) {
        return false;
    }
    if (memcmp(hash.at, computed, STATEMENT_HASH_CHARS) != 0) {
        return fail(out, "entry %lld was changed, or one before it", (long long)position);
    }
    if (out->first_time.len == 0) {
        out->first_time = reader->fields[2];
    }
    out->last_time = reader->fields[2];
    out->closing = position;
    out->closing_hash = hash;
    return true;
}

static bool read_closing(struct reader *reader)
{
    struct statement *out = reader->out;
    struct statement_text hash;
    int64_t position;

    if (reader->count != 3 || !is_text(reader->fields[0], "closing")) {
        return fail(out, "'entry' or 'closing' is expected here");
    }
    if (!read_number(reader, 1, &position) || !read_hash(reader, 2, &hash)) {
        return false;
    }
    return (position == out->closing && is_same(hash, out->closing_hash)) ||
           fail(out, "the closing is not that of the last entry");
}

static int digit_of(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static bool read_signature(struct reader *reader)
{
    struct statement *out = reader->out;
    const char *begin = reader->at;
    struct statement_text text;

    if (!want_line(reader, "signature", 2)) {
        return false;
    }
    text = reader->fields[1];
    if (text.len != STATEMENT_SIGNATURE_BYTES * 2 || !is_made_of(text, "0123456789abcdef")) {
        return fail(out, "that is no signature");
    }
    for (size_t i = 0; i < STATEMENT_SIGNATURE_BYTES; i++) {
        out->signature[i] =
            (unsigned char)(digit_of(text.at[2 * i]) * 16 + digit_of(text.at[2 * i + 1]));
    }
    out->signed_part.len = (size_t)(begin - out->signed_part.at);
    return reader->at == reader->end || fail(out, "something follows the signature");
}

bool statement_read(const char *bytes, size_t len, struct statement *out)
{
    struct reader reader = { .at = bytes, .end = bytes + len, .out = out };

    *out = (struct statement){ .signed_part.at = bytes };
    if (len == 0) {
        return fail(out, "it is empty");
    }
    if (!want_line(&reader, first_line, 1) || !read_account(&reader) ||
        !want_line(&reader, "opening", 3) || !read_number(&reader, 1, &out->opening) ||
        !read_hash(&reader, 2, &out->opening_hash)) {
        return false;
    }
    if (out->opening == 0 && strspn(out->opening_hash.at, "0") < STATEMENT_HASH_CHARS) {
        return fail(out, "before the first entry the hash is zeros");
    }
    out->closing = out->opening;
    out->closing_hash = out->opening_hash;
    for (;;) {
        if (!next_line(&reader)) {
            return false;
        }
        if (!is_text(reader.fields[0], "entry")) {
            break;
        }
        if (!read_entry(&reader)) {
            return false;
        }
    }
    if (!read_closing(&reader) || !read_signature(&reader)) {
        return false;
    }
    out->line = 0;
    return true;
}

/* Nobody is asked for a pass phrase. */
static int refuse_phrase(char *phrase, int size, int is_writing, void *context)
{
    (void)phrase;
    (void)size;
    (void)is_writing;
    (void)context;
    return -1;
}

bool statement_check_signature(struct statement *statement, const char *key_pem, size_t key_len)
{
    BIO *memory = key_len <= INT_MAX ? BIO_new_mem_buf(key_pem, (int)key_len) : NULL;
    EVP_PKEY *key = memory ? PEM_read_bio_PUBKEY(memory, NULL, refuse_phrase, NULL) : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_key = key && context && EVP_PKEY_is_a(key, "ED25519") == 1;
    bool is_good = is_key && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                   EVP_DigestVerify(context, statement->signature, sizeof statement->signature,
                                    (const unsigned char *)statement->signed_part.at,
                                    statement->signed_part.len) == 1;

    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(memory);
    if (!is_key) {
        return fail(statement, "the key is no Ed25519 public key in PEM");
    }
    return is_good || fail(statement, "the signature is not by this key over these lines");
}

bool statement_follows(struct statement *statement, const struct statement *before)
{
    if (!is_same(statement->account, before->account)) {
        return fail(statement, "it is of another account than the one before");
    }
    return (statement->opening == before->closing &&
            is_same(statement->opening_hash, before->closing_hash)) ||
           fail(statement, "it does not go on where the one before ended (entry %lld)",
                (long long)before->closing);
}
