/*
 * test_webhooks - what the provider would post, posted by us: is it taken, is all else refused
 *
 * The table below is all there is: one row is one post and what must come back. What is posted does
 * no harm: it is about a number that nobody can have and says nothing that is acted on. The token
 * is never printed, and goes to no other machine than the ingress.
 */
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/str.h"
#include "ctl.h"
#include "http/http.h"
#include "provider/at_voice_xml.h"

#define VOICE "/api/communications/webhooks/voice"
#define SMS "/api/communications/webhooks/sms"

#define NUMBER "%2B000000000000" /* no number begins with 0 */
#define NAME "tuma-test-webhooks"
#define REPORT "id=" NAME "&phoneNumber=" NUMBER "&status=Sent" /* says nothing that is kept */
#define INBOUND                                                                                    \
    "id=" NAME "&from=" NUMBER "&to=test&date=2026-01-01+00%3A00%3A00"                             \
    "&text=Posted+by+tumactl+test-webhooks%2C+no+message"
#define CALL "sessionId=" NAME "&callerNumber=" NUMBER "&destinationNumber=" NUMBER

#define OVERSIZE_BYTES ((64 << 10) + 1) /* one more than a callback may have */
#define WAIT_MS 10000
#define WITHIN_MS 50 /* the provider's time for what a callee hears to come, all in all */
#define TRIES 3      /* of what is timed, the quickest of which counts */
#define TOKEN_MAX 127

enum token { TOKEN_IN_PATH, TOKEN_IN_QUERY, TOKEN_NONE, TOKEN_WRONG, TOKEN_NEARLY };
enum answer { ANSWER_ANY, ANSWER_EMPTY, ANSWER_GOODBYE };

/* clang-format off */
static const struct check {
    const char *group, *what, *method, *path;
    enum token token;
    const char *body; /* NULL: one that is too large */
    int status;
    enum answer answer;
} checks[] = {
    { "sms", "a delivery report of a message that nobody knows", "POST",
      "/api/messages/delivery-callback", TOKEN_IN_PATH, REPORT, 200, ANSWER_ANY },
    { "sms", "a message that comes in", "POST", "/api/messages/incoming", TOKEN_IN_PATH, INBOUND, 200,
      ANSWER_ANY },
    { "sms", "such a report", "POST", SMS, TOKEN_IN_QUERY, REPORT, 200, ANSWER_ANY },
    { "sms", "such a message", "POST", SMS, TOKEN_IN_QUERY, INBOUND, 200, ANSWER_ANY },
    { "voice", "an answered call that nobody knows", "POST", VOICE, TOKEN_IN_QUERY,
      CALL "&isActive=1&direction=Outbound&callSessionState=Answered", 200, ANSWER_GOODBYE },
    /* Of a call to us: the end of one of ours would be kept, and waited with for its campaign. */
    { "voice", "the end of a call", "POST", VOICE, TOKEN_IN_QUERY,
      CALL "&isActive=0&direction=Inbound&status=Success&durationInSeconds=0", 200, ANSWER_EMPTY },
    { "security", "without a token", "POST", SMS, TOKEN_NONE, REPORT, 403, ANSWER_ANY },
    { "security", "with a wrong token", "POST", SMS, TOKEN_WRONG, REPORT, 403, ANSWER_ANY },
    { "security", "with one letter wrong", "POST", SMS, TOKEN_NEARLY, REPORT, 403, ANSWER_ANY },
    { "security", "not posted", "GET", SMS, TOKEN_IN_QUERY, "", 405, ANSWER_ANY },
    { "security", "a body that is too large", "POST", SMS, TOKEN_IN_QUERY, NULL, 413, ANSWER_ANY },
    { "security", "without a token", "POST", VOICE, TOKEN_NONE, CALL "&isActive=1", 403, ANSWER_ANY },
    { "security", "with a wrong token", "POST", VOICE, TOKEN_WRONG, CALL "&isActive=1", 403, ANSWER_ANY },
    { "security", "with one letter wrong", "POST", VOICE, TOKEN_NEARLY, CALL "&isActive=1", 403,
      ANSWER_ANY },
    { "security", "not posted", "GET", VOICE, TOKEN_IN_QUERY, "", 405, ANSWER_ANY },
    { "security", "a body that is too large", "POST", VOICE, TOKEN_IN_QUERY, NULL, 413, ANSWER_ANY },
};

/* What an answer that is not the wanted one may come from; 0 any. The first that fits. */
static const struct {
    int wanted, status;
    const char *why;
} whys[] = {
    { 0, 403, "is COMMUNICATIONS_WEBHOOK_TOKEN here that of the ingress?" },
    { 200, 503, "the ingress cannot keep it: is the broker there?" },
    { 403, 200, "anybody may post: is it the ingress that answers?" },
    { 0, 301, "name the address it leads to" },
    { 0, 302, "name the address it leads to" },
    { 0, 307, "name the address it leads to" },
    { 0, 308, "name the address it leads to" },
    { 0, 404, "is it the ingress that answers? A proxy must pass on /api/" },
    { 0, 502, "a proxy does not reach the ingress" },
    { 0, 504, "a proxy does not reach the ingress" },
};
/* clang-format on */

struct tester {
    struct http *http;
    struct arena *arena;
    const char *base;  /* without a slash at the end */
    const char *token; /* the right one */
    const char *oversize;
    const char *goodbye; /* the document */
    int64_t within_us;
};

struct webhook_settings {
    const char *public_url;
    const char *token;
};
static const struct conf_item webhook_items[] = {
    CONF_STR(struct webhook_settings, public_url, "PUBLIC_URL", "",
             "How callers reach the ingress."),
    CONF_SECRET(struct webhook_settings, token, "COMMUNICATIONS_WEBHOOK_TOKEN", NULL,
                "What a provider's callback must carry."),
    CONF_END,
};

/* --- where to ----------------------------------------------------------------------------------
 */

static bool is_url(const char *url)
{
    for (const char *at = url; *at; at++) {
        if (*at <= ' ' || *at > '~' || strchr("?#@\\", *at)) {
            return false;
        }
    }
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static bool is_loopback(const char *url)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost", "[::1]" };
    const char *authority = strstr(url, "://") + 3;

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        const char *rest = authority + strlen(hosts[i]);

        if (strncmp(authority, hosts[i], strlen(hosts[i])) == 0) {
            rest += *rest == ':' ? 1 + strspn(rest + 1, "0123456789") : 0;
            return *rest == '\0' || *rest == '/';
        }
    }
    return false;
}

static const char *without_slash(struct arena *arena, const char *url)
{
    size_t len = strlen(url);

    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    return arena_strndup(arena, url, len);
}

/* The token is for the ingress: nobody else is to get it. */
static bool read_base(struct ctl *ctl, const struct webhook_settings *settings,
                      const char **out_base, struct err *err)
{
    const char *public_url = without_slash(ctl->arena, settings->public_url);
    const char *given = ctl_option(ctl, "url");
    const char *url = given ? without_slash(ctl->arena, given) : public_url;

    if (!given && !*url) {
        return err_permanent(err, "settings",
                             "PUBLIC_URL is not set, where the provider reaches the ingress; or "
                             "give --url http://127.0.0.1:8080");
    }
    if (!is_url(url)) {
        return given
                   ? ctl_usage(err, "--url: '%.60s' is not an address as http://127.0.0.1:8080",
                               given)
                   : err_permanent(err, "settings",
                                   "PUBLIC_URL: '%.60s' is not an address as https://tuma.example",
                                   url);
    }
    if (given && strcmp(url, public_url) != 0 && !is_loopback(url)) {
        return ctl_usage(err,
                         "--url: '%.60s' is neither PUBLIC_URL nor this machine, and nobody "
                         "else is to have the token",
                         given);
    }
    *out_base = url;
    return true;
}

static bool check_token(const char *token, struct err *err)
{
    bool good = *token && strlen(token) <= TOKEN_MAX;

    for (const char *at = token; *at; at++) {
        good = good && *at > ' ' && *at <= '~' && !strchr("/?#&%+", *at);
    }
    return good || err_permanent(err, "settings",
                                 "COMMUNICATIONS_WEBHOOK_TOKEN: 1 to %d letters, digits or - _ . ~",
                                 TOKEN_MAX);
}

/* --- one post ----------------------------------------------------------------------------------
 */

static const char *token_for(const struct tester *tester, enum token token)
{
    static const char wrong[] = "not-the-token";
    size_t last = strlen(tester->token) - 1;
    char *nearly;

    if (token == TOKEN_WRONG) {
        return strcmp(tester->token, wrong) == 0 ? "another-token" : wrong;
    }
    if (token != TOKEN_NEARLY) {
        return tester->token;
    }
    nearly = arena_strdup(tester->arena, tester->token);
    nearly[last] = nearly[last] == 'x' ? 'y' : 'x';
    return nearly;
}

static const char *address_of(const struct tester *tester, const struct check *check)
{
    if (check->token == TOKEN_NONE) {
        return arena_printf(tester->arena, "%s%s", tester->base, check->path);
    }
    return arena_printf(
        tester->arena, "%s%s%s%s", tester->base, check->path,
        check->token == TOKEN_IN_PATH ? "/" : "?token=", token_for(tester, check->token));
}

static void post(const struct tester *tester, const struct check *check, struct http_reply *reply)
{
    /* The answer to what is too large comes before any of it is sent. */
    static const char *const headers[] = { "Content-Type: application/x-www-form-urlencoded",
                                           NULL };
    static const char *const asking[] = { "Content-Type: application/x-www-form-urlencoded",
                                          "Expect: 100-continue", NULL };
    const char *body = check->body ? check->body : tester->oversize;
    const struct http_call call = {
        .method = check->method,
        .url = address_of(tester, check),
        .headers = check->body ? headers : asking,
        .body = body,
        .body_len = strlen(body),
        .timeout_ms = WAIT_MS,
    };
    struct http_reply again;

    http_run(tester->http, &call, reply, 1, tester->arena);
    for (int i = 1; i < TRIES && check->answer == ANSWER_GOODBYE && reply->sent == HTTP_ANSWERED &&
                    reply->took_us > tester->within_us;
         i++) {
        http_run(tester->http, &call, &again, 1, tester->arena);
        if (again.sent != HTTP_ANSWERED || again.took_us < reply->took_us) {
            *reply = again;
        }
    }
}

static bool is_right(const struct tester *tester, const struct check *check,
                     const struct http_reply *reply)
{
    if (reply->sent != HTTP_ANSWERED || reply->status != check->status) {
        return false;
    }
    switch (check->answer) {
    case ANSWER_EMPTY:
        return reply->body_len == 0;
    case ANSWER_GOODBYE:
        return strcmp(reply->content_type, "application/xml") == 0 &&
               strcmp(reply->body, tester->goodbye) == 0 && reply->took_us <= tester->within_us;
    case ANSWER_ANY:
        break;
    }
    return true;
}

/* What came back; of an answer of the right status also what of it matters. */
static const char *came_back(const struct tester *tester, const struct check *check,
                             const struct http_reply *reply)
{
    const char *what = "";

    if (reply->sent != HTTP_ANSWERED) {
        return arena_printf(tester->arena, "no answer: %s", reply->err.detail);
    }
    if (reply->status == check->status && check->answer == ANSWER_EMPTY) {
        what = reply->body_len == 0 ? ", empty" : ", not empty";
    } else if (reply->status == check->status && check->answer == ANSWER_GOODBYE) {
        what = arena_printf(tester->arena, " %s, %s", reply->content_type,
                            strcmp(reply->body, tester->goodbye) == 0 ? "a goodbye"
                                                                      : "something else");
    }
    return arena_printf(tester->arena, "%d%s, in %.1f ms", reply->status, what,
                        (double)reply->took_us / 1000);
}

static const char *wanted(const struct tester *tester, const struct check *check,
                          const struct http_reply *reply)
{
    const char *what = "", *why = "";

    if (check->answer == ANSWER_EMPTY) {
        what = ", empty";
    } else if (check->answer == ANSWER_GOODBYE) {
        what = arena_printf(tester->arena, " application/xml, a goodbye, within %lld ms",
                            (long long)(tester->within_us / 1000));
    }
    for (size_t i = 0; reply->status != check->status && i < sizeof whys / sizeof *whys; i++) {
        if ((whys[i].wanted == 0 || whys[i].wanted == check->status) &&
            whys[i].status == reply->status) {
            why = arena_printf(tester->arena, "; %s", whys[i].why);
            break;
        }
    }
    return arena_printf(tester->arena, "; wanted %d%s%s", check->status, what, why);
}

/* --- all of them -------------------------------------------------------------------------------
 */

static bool run_checks(const struct tester *tester, const char *group, struct err *err)
{
    struct http_reply reply;
    int done = 0, failed = 0;

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        const struct check *check = &checks[i];
        bool right;

        if (group && strcmp(group, check->group) != 0) {
            continue;
        }
        post(tester, check, &reply);
        if (done == 0 && reply.sent == HTTP_NOT_SENT) {
            return err_temporary(err, "unreachable",
                                 "the ingress cannot be reached at %.60s: %.80s; does it run, is "
                                 "that its address?",
                                 tester->base, reply.err.detail);
        }
        right = is_right(tester, check, &reply);
        printf("%-6s %-8s %s, %s %s: %s%s\n", right ? "ok" : "FAILED", check->group, check->what,
               check->method, check->path, came_back(tester, check, &reply),
               right ? "" : wanted(tester, check, &reply));
        fflush(stdout);
        done++;
        failed += !right;
    }
    if (failed > 0) {
        return err_permanent(err, "webhooks",
                             "%d of %d answers of %.100s are not as they should be", failed, done,
                             tester->base);
    }
    printf("all %d answers of %s are as they should be\n", done, tester->base);
    return true;
}

static bool read_group(struct ctl *ctl, const char **out_group, struct err *err)
{
    const char *group = ctl->argument_count > 0 ? ctl->arguments[0] : NULL;
    bool known = !group;

    for (size_t i = 0; i < sizeof checks / sizeof *checks && !known; i++) {
        known = strcmp(checks[i].group, group) == 0;
    }
    *out_group = group;
    return known || ctl_usage(err, "WHICH: '%.20s' is none of sms, voice, security", group);
}

static const char *make_oversize(struct arena *arena)
{
    char *body = arena_alloc(arena, OVERSIZE_BYTES + 1);

    memset(body, 'x', OVERSIZE_BYTES);
    memcpy(body, "id=", 3);
    body[OVERSIZE_BYTES] = '\0';
    return body;
}

static bool test_webhooks(struct ctl *ctl, struct err *err)
{
    struct tester tester = { .arena = ctl->arena };
    struct webhook_settings settings;
    struct str goodbye = { 0 };
    const char *group;
    int64_t within_ms;
    bool ok;

    if (!read_group(ctl, &group, err) ||
        !ctl_option_int(ctl, "within", 1, WAIT_MS, WITHIN_MS, &within_ms, err) ||
        !ctl_settings(ctl, webhook_items, &settings, err) || !check_token(settings.token, err) ||
        !read_base(ctl, &settings, &tester.base, err) ||
        !http_create(&(struct http_conf){ 0 }, &tester.http, err)) {
        return false;
    }
    at_xml_goodbye(&goodbye);
    tester.goodbye = goodbye.bytes;
    tester.token = settings.token;
    tester.oversize = make_oversize(ctl->arena);
    tester.within_us = within_ms * 1000;
    ok = run_checks(&tester, group, err);
    str_free(&goodbye);
    http_destroy(tester.http);
    return ok;
}

const struct command test_webhooks_command = {
    .name = "test-webhooks",
    .arguments = "[WHICH]",
    .arguments_max = 1,
    .summary = "Post to the ingress what the provider would: sms, voice, security, or all three",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "url", "URL", "PUBLIC_URL by default; else only this machine's" },
            { OPTION_TEXT, "within", "MS",
              "time for the answer to a live call, the way there included; default 50" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .notes =
        "Settings: PUBLIC_URL, COMMUNICATIONS_WEBHOOK_TOKEN. sms: delivery reports and messages "
        "are "
        "taken, which\nmeans that the broker has them. voice: a call gets a document in time, an "
        "end "
        "is taken. security: who has\nno token or a wrong one is refused, and so is what is too "
        "large.\nAll is about the number +000000000000, which nobody can have, and named "
        "tuma-test-webhooks. It leaves one\nrow of inbound_messages, however often it is run, and "
        "counts in metrics: a report of progress changes\nnothing, neither does the end of a call "
        "to "
        "us. What is refused leaves nothing.",
    .run = test_webhooks,
};
