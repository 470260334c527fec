/*
 * What is found of calls in memory, and what goes when there is too much of it.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/at_call.h"
#include "voice_cache.h"

#define NOW INT64_C(1795000000000)

static struct voice_cache *cache;
static struct arena *arena;

static int begin(void **state)
{
    (void)state;
    cache = voice_cache_create();
    arena = arena_create((size_t)8 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    voice_cache_destroy(cache);
    arena_destroy(arena);
    return 0;
}

static void put_campaign(int64_t id, const char *text, int64_t audio)
{
    voice_cache_put_campaign(
        cache,
        &(struct voice_campaign){
            .id = id,
            .text = text,
            .voice = { .audio = audio, .say_voice = "", .thanks = "", .stopped = "" },
        },
        NOW + id);
}

static void put_call(int64_t campaign, int64_t msisdn, const char *session, const char *text,
                     int64_t called_ms)
{
    voice_cache_put_call(cache, &(struct voice_call){ .campaign = campaign,
                                                      .msisdn = msisdn,
                                                      .session = session,
                                                      .text = text,
                                                      .called_ms = called_ms });
}

/* "": nothing is found. */
static void assert_heard(int64_t campaign, int64_t msisdn, const char *session, const char *text)
{
    const struct voice_key key = { .campaign = campaign, .msisdn = msisdn, .session = session };
    struct voice_campaign found = { .text = "" };

    arena_reset(arena);
    bool is_found = voice_cache_find(cache, &key, NOW, arena, &found);
    assert_int_equal(is_found, *text != '\0');
    assert_string_equal(found.text != NULL ? found.text : "(audio)", text);
}

static void by_campaign_session_or_number(void **state)
{
    (void)state;
    put_campaign(1, "all of 1", 0);
    put_campaign(2, NULL, 0);
    put_campaign(3, NULL, 77);
    put_call(1, 100, "s1", NULL, NOW);
    put_call(2, 100, "s2", "own of 2", NOW);
    put_call(3, 200, "s3", NULL, NOW);
    put_call(9, 300, "s9", NULL, NOW);
    assert_heard(1, 100, "", "all of 1");
    assert_heard(1, 999, "", "all of 1"); /* who it is makes no difference */
    assert_heard(2, 100, "s1", "own of 2");
    assert_heard(2, 999, "", ""); /* here it does */
    assert_heard(0, 0, "s1", "all of 1");
    assert_heard(0, 0, "s2", "own of 2");
    assert_heard(0, 200, "s3", "(audio)");
    assert_heard(0, 0, "", "");
    assert_heard(0, 100, "s4", ""); /* another call of that number */
    assert_heard(0, 300, "s9", ""); /* a campaign that is not known */
    assert_heard(9, 300, "", "");
}

static void by_number_alone_the_newest_without_session(void **state)
{
    (void)state;
    put_campaign(1, NULL, 0);
    put_campaign(2, NULL, 0);
    put_campaign(3, NULL, 0);
    put_call(3, 100, "", "too long ago", NOW - VOICE_UNNAMED_MS);
    assert_heard(0, 100, "now", "");
    put_call(2, 100, "", "new", NOW - 1000);
    put_call(1, 100, "", "old", NOW - 2000);
    assert_heard(0, 100, "now", "new");
    put_call(2, 100, "before", "new", NOW - 1000);
    assert_heard(0, 100, "now", "old");
    assert_heard(0, 100, "before", "new");
    put_call(2, 100, "", "new", NOW); /* it is called again */
    assert_heard(0, 100, "before", "new");
    assert_heard(0, 0, "before", "");
}

static void what_is_put_again_replaces(void **state)
{
    int64_t campaigns, calls;

    (void)state;
    put_campaign(1, "a", 0);
    put_campaign(1, "b", 0);
    assert_heard(1, 1, "", "b");
    put_call(1, 100, "s1", "x", NOW);
    put_call(1, 100, "s2", "y", NOW);
    assert_heard(0, 0, "s2", "y");
    assert_heard(0, 0, "s1", "");
    put_call(1, 100, "s2", NULL, NOW);
    assert_heard(0, 0, "s2", "b");
    voice_cache_count(cache, &campaigns, &calls);
    assert_int_equal(campaigns, 1);
    assert_int_equal(calls, 1);
    assert_true(voice_cache_has_campaign(cache, 1, NOW + 1));
    assert_false(voice_cache_has_campaign(cache, 1, NOW + 2));
    assert_false(voice_cache_has_campaign(cache, 2, 0));
}

static void too_many_campaigns(void **state)
{
    int64_t campaigns, calls;

    (void)state;
    for (int64_t id = 1; id <= VOICE_CAMPAIGNS_MAX + 10; id++) {
        put_campaign(id, "text", 0);
    }
    voice_cache_count(cache, &campaigns, &calls);
    assert_int_equal(campaigns, VOICE_CAMPAIGNS_MAX);
    assert_heard(10, 1, "", "");
    assert_heard(11, 1, "", "text");
    assert_heard(VOICE_CAMPAIGNS_MAX + 10, 1, "", "text");
}

static void too_many_calls(void **state)
{
    int64_t campaigns, calls;
    char session[32];

    (void)state;
    put_campaign(1, NULL, 0);
    for (int64_t i = 1; i <= VOICE_CALLS_MAX + 10; i++) {
        snprintf(session, sizeof(session), "s%lld", (long long)i);
        put_call(1, i, session, "own", NOW);
        if (i % 1000 == 0) {
            put_call(1, 5, "s5", "own", NOW); /* seen again and again: it stays */
        }
    }
    voice_cache_count(cache, &campaigns, &calls);
    assert_int_equal(calls, VOICE_CALLS_MAX);
    assert_heard(1, 1, "", "");
    assert_heard(0, 0, "s1", "");
    assert_heard(0, 0, "s5", "own");
    assert_heard(1, 11, "", ""); /* one more than the ten, in place of the fifth */
    assert_heard(1, 12, "", "own");
    assert_heard(0, 0, "s65546", "own");
}

static void too_many_texts(void **state)
{
    const size_t each = (size_t)1 << 20;
    char *text = malloc(each);

    (void)state;
    memset(text, 'x', each);
    text[each - 1] = '\0';
    put_campaign(1, NULL, 0);
    for (int64_t i = 1; i <= (int64_t)(VOICE_TEXTS_BYTES_MAX / each) + 2; i++) {
        put_call(1, i, "", text, NOW);
    }
    assert_heard(1, 2, "", "");
    assert_heard(1, 3, "", text);
    free(text);
}

static void a_session_that_is_too_long(void **state)
{
    char session[AT_SESSION_ID_BYTES_MAX + 2];

    (void)state;
    memset(session, 's', sizeof(session) - 1);
    session[sizeof(session) - 1] = '\0';
    put_campaign(1, "text", 0);
    put_call(1, 100, session, NULL, NOW);
    assert_heard(0, 0, session, "");
    assert_heard(0, 100, "now", "text");
    put_call(1, 100, session + 1, NULL, NOW);
    assert_heard(0, 0, session + 1, "text");
}

#define CACHE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE(by_campaign_session_or_number),
        CACHE(by_number_alone_the_newest_without_session),
        CACHE(what_is_put_again_replaces),
        CACHE(too_many_campaigns),
        CACHE(too_many_calls),
        CACHE(too_many_texts),
        CACHE(a_session_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
