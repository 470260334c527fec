/*
 * daraja_token - M-Pesa's access token, one for all processes
 *
 * A new token may end the one before, so every process takes the one that is in the database, and
 * when it nears its end one of them asks for another while the rest wait. Whoever asks says so in
 * the row, with a time: if it dies, another takes over then.
 *
 *     if (!daraja_token_get(db, http, conf, &token, arena, &err)) return stage_fail(stage, &err);
 *     … a request with it …
 *     if (answer.class == DARAJA_TOKEN && !again) {
 *         if (!daraja_token_replace(db, http, conf, token, &token, arena, &err)) …
 *         … the request once more, with again = true …
 *     }
 *
 * db has no open transaction, since the others must see at once who asks: a stage opens a
 * connection of its own for this. A call takes up to twice conf->token_timeout_ms and two seconds:
 * one wait for somebody else, one request. Times are the database's, so that clocks may differ.
 * The token appears in no log and no error.
 */
#ifndef PROVIDER_DARAJA_TOKEN_H
#define PROVIDER_DARAJA_TOKEN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"
#include "http/http.h"
#include "provider/daraja.h"

/*
 * A token that is valid as far as we know, in the arena. When M-Pesa gives none now, the old one
 * serves to its last second. Temporary errors: the database's, http_…, "mpesa_no_token",
 * "mpesa_token_awaited" (another process asks, and its answer is not there). Permanent:
 * "mpesa_bad_credentials".
 */
bool daraja_token_get(struct db *db, struct http *http, const struct daraja_conf *conf,
                      const char **out_token, struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

/*
 * The same after M-Pesa called that token invalid: it is forgotten, unless another is there
 * already. Once per request; a second refusal has another reason than the token.
 */
bool daraja_token_replace(struct db *db, struct http *http, const struct daraja_conf *conf,
                          const char *refused, const char **out_token, struct arena *arena,
                          struct err *err) __attribute__((warn_unused_result));

#endif
