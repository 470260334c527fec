/*
 * oauth - GET /oauth/v1/generate and the check of the token it gave
 */
#include <string.h>

#include "answers.h"
#include "base/id.h"

static bool is_basic_good(struct sim *sim, const char *authorization)
{
    const char *want =
        arena_printf(sim->work, "%s:%s", sim->settings.consumer_key, sim->settings.consumer_secret);
    const char *got = strncmp(authorization, "Basic ", 6) == 0
                          ? field_decode(sim->work, authorization + 6)
                          : NULL;

    return got != NULL && strcmp(got, want) == 0;
}

/* 28 letters and digits, as the provider's are. */
static struct token *make_token(struct sim *sim)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    struct token *token = &sim->tokens[sim->token_count++ % SIM_TOKENS];
    unsigned char chance[SIM_TOKEN_BYTES - 1];

    id_random(chance, sizeof(chance));
    for (size_t i = 0; i < sizeof(chance); i++) {
        token->text[i] = letters[chance[i] % (sizeof(letters) - 1)];
    }
    token->text[sizeof(chance)] = '\0';
    token->expires_ms = sim->loop.now_ms + sim->faults.numbers[NUMBER_TOKEN_S] * 1000;
    token->dead = false;
    return token;
}

static void kill_tokens(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_TOKENS; i++) {
        sim->tokens[i].dead = true;
    }
}

void oauth_generate(struct sim *sim, struct conn *conn, struct request *request)
{
    struct faults *faults = &sim->faults;
    const char *quote;

    if (fault_hits(faults, FAULT_OAUTH_UNAVAILABLE_503)) {
        answer_unavailable(sim, conn);
        return;
    }
    if (!is_basic_good(sim, request->authorization)) {
        answer_error(sim, conn, 400, "400.008.01", "Invalid Authentication passed");
        return;
    }
    if (strcmp(request->query, "grant_type=client_credentials") != 0) {
        answer_error(sim, conn, 400, "400.008.02", "Invalid grant type passed");
        return;
    }
    if (fault_hits(faults, FAULT_TOKEN_SINGLE)) {
        kill_tokens(sim);
    }
    sim->stats.tokens++;
    quote = fault_hits(faults, FAULT_EXPIRES_IN_TEXT) ? "\"" : "";
    str_reset(&sim->reply);
    str_printf(&sim->reply, "{\"access_token\":\"%s\",\"expires_in\":%s%lld%s}",
               make_token(sim)->text, quote, (long long)faults->numbers[NUMBER_TOKEN_S], quote);
    if (fault_hits(faults, FAULT_OAUTH_HTML)) {
        answer_html(sim, conn);
    } else if (fault_hits(faults, FAULT_OAUTH_EMPTY)) {
        answer_empty(sim, conn);
    } else {
        answer_json(sim, conn, 200);
    }
}

static struct token *find_token(struct sim *sim, const char *authorization)
{
    uint32_t kept = sim->token_count < SIM_TOKENS ? sim->token_count : SIM_TOKENS;

    if (strncmp(authorization, "Bearer ", 7) != 0) {
        return NULL;
    }
    for (uint32_t i = 1; i <= kept; i++) {
        struct token *token = &sim->tokens[(sim->token_count - i) % SIM_TOKENS];

        if (strcmp(token->text, authorization + 7) == 0) {
            return token;
        }
    }
    return NULL;
}

bool oauth_admits(struct sim *sim, struct conn *conn, const struct request *request)
{
    struct faults *faults = &sim->faults;
    struct token *token = find_token(sim, request->authorization);

    if (token != NULL && fault_hits(faults, FAULT_TOKEN_EXPIRED)) {
        token->dead = true;
    }
    if (token != NULL && !token->dead && sim->loop.now_ms < token->expires_ms) {
        return true;
    }
    sim->stats.token_refusals++;
    if (*request->authorization == '\0') {
        answer_error(sim, conn, 404, "404.001.04", "Invalid Authentication Header");
    } else if (fault_hits(faults, FAULT_INVALID_TOKEN_400)) {
        answer_error(sim, conn, 400, "400.003.01", "Invalid Access Token");
    } else if (fault_hits(faults, FAULT_INVALID_TOKEN_401)) {
        answer_error(sim, conn, 401, "401.002.01", "Error Occurred - Invalid Access Token");
    } else {
        answer_error(sim, conn, 404, "404.001.03", "Invalid Access Token");
    }
    return false;
}
