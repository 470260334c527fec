#include "auth.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "crypto/crypto.h"
#include "plan/plan.h"

#define SLOTS 2048 /* a power of two */
#define KEY_LETTERS_MAX 256

struct slot {
    unsigned char hash[CRYPTO_SHA256_BYTES];
    int64_t until_ms; /* monotonic; 0: empty */
    struct caller caller;
};

struct auth {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
};

struct auth *auth_create(struct arena *arena)
{
    struct auth *auth = arena_alloc(arena, sizeof(*auth));

    pthread_mutex_init(&auth->lock, NULL);
    return auth;
}

void auth_destroy(struct auth *auth)
{
    if (auth != NULL) {
        pthread_mutex_destroy(&auth->lock);
    }
}

/* The digest of the key in "Bearer <key>"; false when the header is not that. */
static bool digest_key(const char *header, unsigned char out[CRYPTO_SHA256_BYTES])
{
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0) {
        return false;
    }
    const char *key = header + 7 + strspn(header + 7, " ");
    size_t len = strcspn(key, " ");
    if (len == 0 || len > KEY_LETTERS_MAX || key[len + strspn(key + len, " ")] != '\0') {
        return false;
    }
    crypto_sha256(key, len, out);
    return true;
}

static struct slot *find_slot(struct auth *auth, const unsigned char hash[CRYPTO_SHA256_BYTES])
{
    return &auth->slots[(hash[0] | hash[1] << 8) & (SLOTS - 1)];
}

static bool is_expired(const struct caller *caller)
{
    return caller->expires_ms != 0 && caller->expires_ms <= clock_now_ms();
}

enum auth_found auth_find(struct auth *auth, const char *header, struct caller *out_caller)
{
    unsigned char hash[CRYPTO_SHA256_BYTES];
    bool known;

    if (!digest_key(header, hash)) {
        return AUTH_MISSING;
    }
    struct slot *slot = find_slot(auth, hash);
    pthread_mutex_lock(&auth->lock);
    known = slot->until_ms > clock_mono_ms() && memcmp(slot->hash, hash, sizeof(hash)) == 0;
    if (known) {
        *out_caller = slot->caller;
    }
    pthread_mutex_unlock(&auth->lock);
    if (!known) {
        return AUTH_ASK;
    }
    return is_expired(out_caller) ? AUTH_EXPIRED : AUTH_KNOWN;
}

static const struct db_statement find_key = {
    "ingress_find_key",
    "SELECT k.id, k.account_id, a.slug,"
    "       'read' = ANY (k.scopes), 'send' = ANY (k.scopes), 'admin' = ANY (k.scopes),"
    "       k.expires_at, k.revoked_at IS NOT NULL OR a.status <> 'active',"
    "       array_to_string(account_features(a.id, now()), ',')"
    "  FROM api_keys k"
    "  JOIN accounts a ON a.id = k.account_id"
    " WHERE k.hash = $1",
    1,
};

/* At most once a minute, so that a busy key's row is not written at every look. */
static const struct db_statement touch_key = {
    "ingress_touch_key",
    "UPDATE api_keys SET last_used_at = now()"
    " WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
    1,
};

static void remember(struct auth *auth, const unsigned char hash[CRYPTO_SHA256_BYTES],
                     const struct caller *caller)
{
    struct slot *slot = find_slot(auth, hash);

    pthread_mutex_lock(&auth->lock);
    memcpy(slot->hash, hash, sizeof(slot->hash));
    slot->caller = *caller;
    slot->until_ms = clock_mono_ms() + AUTH_TTL_MS;
    pthread_mutex_unlock(&auth->lock);
}

bool auth_ask(struct auth *auth, struct db *db, const char *header, enum auth_found *out_found,
              struct caller *out_caller, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    unsigned char hash[CRYPTO_SHA256_BYTES];

    if (!digest_key(header, hash)) {
        *out_found = AUTH_MISSING;
        return true;
    }
    if (!db_query(db, &find_key, (struct db_value[]){ db_bytes(hash, sizeof(hash)) }, &found,
                  err)) {
        return false;
    }
    if (db_rows(found) == 0 || db_get_bool(found, 0, 7)) {
        *out_found = AUTH_WRONG;
        return true;
    }
    struct caller caller = {
        .key_id = db_get_int(found, 0, 0),
        .account_id = db_get_int(found, 0, 1),
        .scopes = (db_get_bool(found, 0, 3) ? SCOPE_READ : 0) |
                  (db_get_bool(found, 0, 4) ? SCOPE_SEND : 0) |
                  (db_get_bool(found, 0, 5) ? SCOPE_ADMIN : 0),
        .expires_ms = db_get_time(found, 0, 6),
        .features = plan_features_known(db_get_text(found, 0, 8)),
    };
    snprintf(caller.account, sizeof(caller.account), "%s", db_get_text(found, 0, 2));
    if (!db_run(db, &touch_key, (struct db_value[]){ db_int8(caller.key_id) }, NULL, err)) {
        return false;
    }
    remember(auth, hash, &caller);
    *out_caller = caller;
    *out_found = is_expired(&caller) ? AUTH_EXPIRED : AUTH_KNOWN;
    return true;
}

bool auth_may(const struct caller *caller, int scope)
{
    if (scope == SCOPE_NONE || (caller->scopes & SCOPE_ADMIN) != 0) {
        return true;
    }
    if (scope == SCOPE_READ) {
        return (caller->scopes & (SCOPE_READ | SCOPE_SEND)) != 0;
    }
    return (caller->scopes & scope) != 0;
}
