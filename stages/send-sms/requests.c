/*
 * requests - a window of recipients becomes provider requests, and their replies outcomes
 *
 * The provider takes one text a request, so recipients of equal text share one; all requests of a
 * window are under way together.
 */
#include <string.h>

#include "send_sms.h"

struct requests {
    size_t count;
    struct http_call *calls;
    struct http_reply *replies;
    size_t *members;  /* window indexes, request after request */
    size_t *first;    /* of each request, and the end */
    int64_t *msisdns; /* in the order of members */
};

/* FNV-1a, 32 bits. */
static uint32_t hash_text(const char *text)
{
    uint32_t hash = 2166136261;

    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 16777619;
    }
    return hash;
}

static uint32_t *hash_texts(const struct window *window, struct arena *arena)
{
    uint32_t *hashes = arena_array(arena, window->count + 1, sizeof *hashes);

    for (size_t i = 0; i < window->count; i++) {
        hashes[i] = hash_text(window->recipients[i].text);
    }
    return hashes;
}

/* Groups by text. Windows are small; texts of one campaign are equal or mostly different. */
static void group(const struct window *window, struct requests *requests, struct arena *arena)
{
    bool *taken = arena_array(arena, window->count + 1, sizeof *taken);
    bool alike = window->count > 0 &&
                 window->recipients[0].text == window->recipients[window->count - 1].text;
    const uint32_t *hashes = alike ? NULL : hash_texts(window, arena);
    size_t filled = 0;

    requests->members = arena_array(arena, window->count + 1, sizeof *requests->members);
    requests->first = arena_array(arena, window->count + 1, sizeof *requests->first);
    requests->msisdns = arena_array(arena, window->count + 1, sizeof *requests->msisdns);
    for (size_t i = 0; i < window->count; i++) {
        const char *text = window->recipients[i].text;

        if (taken[i]) {
            continue;
        }
        requests->first[requests->count++] = filled;
        for (size_t j = i; j < window->count; j++) {
            const char *other = window->recipients[j].text;

            if (!taken[j] && (alike || (hashes[i] == hashes[j] && strcmp(other, text) == 0))) {
                taken[j] = true;
                requests->members[filled] = j;
                requests->msisdns[filled++] = window->recipients[j].msisdn;
            }
        }
    }
    requests->first[requests->count] = filled;
}

static void call_provider(struct run *run, const struct window *window, struct requests *requests)
{
    const struct send_conf *conf = stage_conf(run->stage);
    struct arena *arena = stage_arena(run->stage);

    group(window, requests, arena);
    requests->calls = arena_array(arena, requests->count + 1, sizeof *requests->calls);
    requests->replies = arena_array(arena, requests->count + 1, sizeof *requests->replies);
    for (size_t i = 0; i < requests->count; i++) {
        size_t first = requests->first[i];

        at_request(&conf->at, run->batch.sender_id,
                   window->recipients[requests->members[first]].text, &requests->msisdns[first],
                   requests->first[i + 1] - first, &requests->calls[i], arena);
    }
    http_run(stage_http(run->stage), requests->calls, requests->replies, requests->count, arena);
}

/* The provider was too slow for its turn to come: no fault of the request, nor of the route. */
static bool had_no_turn(const struct http_reply *reply)
{
    return reply->sent == HTTP_NOT_SENT && strcmp(reply->err.what, "http_not_begun") == 0;
}

/* Reads all replies into outcomes in the window's order. */
static struct at_outcome *read_replies(struct run *run, const struct window *window,
                                       const struct requests *requests)
{
    struct arena *arena = stage_arena(run->stage);
    struct at_outcome *outcomes = arena_array(arena, window->count + 1, sizeof *outcomes);
    struct at_outcome *some = arena_array(arena, window->count + 1, sizeof *some);

    for (size_t i = 0; i < requests->count; i++) {
        size_t first = requests->first[i];
        size_t n = requests->first[i + 1] - first;
        struct at_verdict verdict;

        at_read(&requests->replies[i], &requests->msisdns[first], n, some, &verdict, arena);
        for (size_t j = 0; j < n; j++) {
            outcomes[requests->members[first + j]] = some[j];
            run->held_window |= some[j].class == AT_HOLD_WINDOW;
            if (verdict.state == AT_REQUEST_OK && some[j].class == AT_HOLD_ACCOUNT) {
                verdict.state = strcmp(some[j].reason, "invalid_sender") == 0
                                    ? AT_REQUEST_REFUSED
                                    : AT_REQUEST_UNAUTHORISED;
                verdict.why = some[j].reason;
            }
        }
        if (had_no_turn(&requests->replies[i])) {
            run->most = first > 0 && first < run->most ? first : run->most;
        } else if (dispatch_gravity(&verdict) > dispatch_gravity(&run->worst)) {
            run->worst = verdict;
        }
    }
    return outcomes;
}

struct at_outcome *requests_send(struct run *run, const struct window *window)
{
    struct requests requests = { 0 };

    call_provider(run, window, &requests);
    stage_crash_point("after_reply");
    return read_replies(run, window, &requests);
}
