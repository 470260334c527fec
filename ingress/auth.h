/*
 * auth - who calls, and what they may do
 *
 *     switch (auth_find(auth, header, &caller)) {        // any thread, no waiting
 *     case AUTH_KNOWN: …                                 // caller filled
 *     case AUTH_ASK:   auth_ask(auth, db, header, …);    // a worker, with the database
 *     }
 *
 * A key is "Bearer <text>"; only its SHA-256 is stored or remembered. What the database said is
 * believed for AUTH_TTL_MS, so a revoked key stops working within that time.
 */
#ifndef INGRESS_AUTH_H
#define INGRESS_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

enum { SCOPE_NONE = 0, SCOPE_READ = 1, SCOPE_SEND = 2, SCOPE_ADMIN = 4 };

#define AUTH_TTL_MS 5000
#define AUTH_SLUG_BYTES 32

struct caller {
    int64_t key_id;
    int64_t account_id;
    char account[AUTH_SLUG_BYTES];
    int scopes;
    unsigned features;  /* of its plan, PLAN_BITs */
    int64_t expires_ms; /* 0 never */
};

struct auth;

struct auth *auth_create(struct arena *arena);
void auth_destroy(struct auth *auth); /* accepts NULL */

enum auth_found {
    AUTH_KNOWN,   /* out_caller is filled */
    AUTH_ASK,     /* only the database can tell */
    AUTH_MISSING, /* no Authorization header, or not Bearer */
    AUTH_WRONG,   /* no such key, revoked, or its account is closed */
    AUTH_EXPIRED,
};

enum auth_found auth_find(struct auth *auth, const char *header, struct caller *out_caller);

/* Asks the database; false with err when it could not be asked. */
bool auth_ask(struct auth *auth, struct db *db, const char *header, enum auth_found *out_found,
              struct caller *out_caller, struct err *err);

/* admin includes the others; send includes read. */
bool auth_may(const struct caller *caller, int scope);

#endif
