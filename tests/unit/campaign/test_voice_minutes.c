/* voice: what calls cost at most and in fact, and the names of requests */
/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "campaign/voice.h"

/* Nothing is asked, a token a minute. */
static struct voice plain(void)
{
    return (struct voice){ .wait_s = 10, .thanks = "", .stopped = "", .tokens_per_minute = 1 };
}

static void a_minute_is_paid_once_it_has_begun(void **state)
{
    static const struct {
        int64_t seconds;
        int tokens;
    } table[] = { { -1, 0 }, { 0, 0 },   { 1, 3 },   { 59, 3 },     { 60, 3 },
                  { 61, 6 }, { 120, 6 }, { 121, 9 }, { 3600, 180 }, { 86400, 4320 } };
    struct voice voice = plain();

    (void)state;
    voice.tokens_per_minute = 3;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(voice_tokens(&voice, table[i].seconds), table[i].tokens);
    }
}

static void content_is_the_audio_or_the_text(void **state)
{
    struct voice voice = plain();

    (void)state;
    assert_int_equal(voice_content_ms(&voice, ""), 0);
    assert_int_equal(voice_content_ms(&voice, "0123456789"), 650);
    assert_int_equal(voice_content_ms(&voice, "é€😀ﬁ"), 4 * 65); /* characters, not bytes */
    voice.audio = 7;
    voice.audio_ms = 12345;
    assert_int_equal(voice_content_ms(&voice, "whatever"), 12345);
}

static void the_most_is_everything_heard_as_often_as_keys_allow(void **state)
{
    struct voice voice = plain();

    (void)state;
    assert_int_equal(voice_tokens_most(&voice, 0), 1);
    assert_int_equal(voice_tokens_most(&voice, 60000), 1);
    assert_int_equal(voice_tokens_most(&voice, 60001), 2);

    voice.repeat_key = '1'; /* 50 s and the wait of 10 s, four times */
    voice.repeats = 3;
    assert_int_equal(voice_tokens_most(&voice, 50000), 4);
    assert_int_equal(voice_tokens_most(&voice, 50001), 5);

    voice.thanks = "012345678901234567890123456789"; /* 1,950 ms more, and the longer of both */
    voice.stopped = "0123456789";
    assert_int_equal(voice_tokens_most(&voice, 50000), 5);
    assert_int_equal(voice_tokens_most(&voice, 49000), 4);

    voice.below_percent = 50; /* and all that once more */
    voice.tokens_per_minute = 2;
    assert_int_equal(voice_tokens_most(&voice, 49000), 2 * 4 * 2);
}

/* What is charged for a call that hears all there is to hear never exceeds the hold. */
static void nobody_can_hear_more_than_was_held(void **state)
{
    (void)state;
    for (int repeats = 0; repeats <= 5; repeats++) {
        for (int64_t content_ms = 0; content_ms <= 300000; content_ms += 777) {
            struct voice voice = plain();
            int64_t seconds;

            voice.tokens_per_minute = 4;
            voice.stop_key = '9';
            voice.repeats = repeats;
            seconds = (content_ms + 10000) * (repeats + 1) / 1000;
            assert_true(voice_tokens(&voice, seconds) <= voice_tokens_most(&voice, content_ms));
        }
    }
}

static void a_key_is_asked_for_when_it_means_something(void **state)
{
    const char *keys[] = { "1", "#" }, *values[] = { "yes", "no" };
    struct voice voice = plain();

    (void)state;
    assert_false(voice_asks(&voice));
    voice.stop_key = '9';
    assert_true(voice_asks(&voice));
    assert_false(voice_is_answer(&voice, '9'));
    voice = plain();
    voice.repeat_key = '*';
    assert_true(voice_asks(&voice));
    voice = plain();
    voice.answers = (struct map){ 2, keys, values };
    assert_true(voice_asks(&voice));
    assert_true(voice_is_answer(&voice, '1') && voice_is_answer(&voice, '#'));
    assert_false(voice_is_answer(&voice, '2') || voice_is_answer(&voice, '\0'));
}

static void a_request_is_read_as_it_was_written(void **state)
{
    static const struct {
        int64_t campaign;
        int batch, pass;
    } table[] = { { 1, 1, 1 }, { INT64_MAX, INT32_MAX, INT16_MAX }, { 123456789012345, 17, 2 } };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char request[VOICE_REQUEST_BYTES];
        int64_t campaign;
        int batch, pass;

        voice_request_write(table[i].campaign, table[i].batch, table[i].pass, request);
        assert_true(strlen(request) < VOICE_REQUEST_BYTES - 1);
        assert_int_equal(strspn(request, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789_-"),
                         strlen(request));
        assert_true(voice_request_read(request, &campaign, &batch, &pass));
        assert_true(campaign == table[i].campaign && batch == table[i].batch &&
                    pass == table[i].pass);
    }
}

static void what_we_did_not_write_is_no_request(void **state)
{
    static const char *const ends[] = {
        "",        "-",      "-1",    "-1-",    "--1",    "-1-2-3",           "-0-1",
        "-1-0",    "--1-1",  "-1--1", "-1 -1",  "-1-1 ",  "-1-32768",         "-2147483648-1",
        "-1-1\n",  "-0x1-1", "-+1-1", "-1-1.0", "-1e1-1", "-9999999999999-1", "-1-%s",
        "-\xff-1", "-1-'",   "_1_1",
    };
    char name[ID_TEXT_BYTES], request[400];
    int64_t campaign = 5;
    int batch = 6, pass = 7;

    (void)state;
    id_format("cmp", 42, name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(request, sizeof request, "%s%s", name, ends[i]);
        if (voice_request_read(request, &campaign, &batch, &pass)) {
            fail_msg("'%s' was read", request);
        }
    }
    id_format("aud", 42, name);
    snprintf(request, sizeof request, "%s-1-1", name);
    assert_false(voice_request_read(request, &campaign, &batch, &pass));
    assert_false(voice_request_read("-1-1", &campaign, &batch, &pass));
    assert_false(voice_request_read("cmp_-1-1", &campaign, &batch, &pass));
    assert_false(voice_request_read("cmp_ZZZZZZZZZZZZZ-1-1", &campaign, &batch, &pass));
    /* Longer than any: the room for a copy is not exceeded. */
    for (size_t len = VOICE_REQUEST_BYTES - 2; len < sizeof request; len++) {
        memset(request, '1', len);
        memcpy(request, name, strlen(name));
        request[20] = request[22] = '-';
        request[len] = '\0';
        assert_false(voice_request_read(request, &campaign, &batch, &pass));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_is_paid_once_it_has_begun),
        cmocka_unit_test(content_is_the_audio_or_the_text),
        cmocka_unit_test(the_most_is_everything_heard_as_often_as_keys_allow),
        cmocka_unit_test(nobody_can_hear_more_than_was_held),
        cmocka_unit_test(a_key_is_asked_for_when_it_means_something),
        cmocka_unit_test(a_request_is_read_as_it_was_written),
        cmocka_unit_test(what_we_did_not_write_is_no_request),
    };

    return cmocka_run_group_tests_name("unit.campaign.voice.minutes", tests, NULL, NULL);
}
