/*
 * What is made of the provider's posts about calls.
 */
/* cmocka.h wants these before it. clang-format would sort them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "msg/report.h"
#include "voice_post.h"

#define NOW INT64_C(1795000000000)
#define LIVES "isActive=1&sessionId=ATVId_1&direction=Outbound&callerNumber=%2B254712345678"
#define ENDED "isActive=0&sessionId=ATVId_1&direction=Outbound&callerNumber=%2B254712345678"
#define CAMPAIGN "cmp_06ETQ5S0K3P1V"

static struct arena *arena;
static struct str json;
static struct voice_post post;
static struct call_reported reported;

static int begin(void **state)
{
    (void)state;
    arena = arena_create((size_t)8 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    str_free(&json);
    arena_destroy(arena);
    return 0;
}

static void take(const char *body, const char *campaign, const char *step)
{
    const struct voice_said said = { .campaign = campaign, .step = step };
    struct err err;

    voice_post_read(body, strlen(body), &said, NOW, arena, &json, &post);
    if (post.made == VOICE_KEYS || post.made == VOICE_ENDED) {
        assert_ptr_equal(voice_post_shape(&post), &call_reported_v1);
        assert_true(shape_read(&call_reported_v1, json.bytes, json.len, &reported, arena, &err));
    } else {
        assert_int_equal(json.len > 0, post.made == VOICE_MISREAD);
    }
}

static void what_is_kept(void **state)
{
    static const struct {
        const char *body;
        enum voice_made made;
        bool is_active, is_answer;
    } table[] = {
        { LIVES, VOICE_ASKS, true, false },
        { LIVES "&dtmfDigits=", VOICE_ASKS, true, false },
        { LIVES "&dtmfDigits=None", VOICE_ASKS, true, false },
        { LIVES "&dtmfDigits=undefined", VOICE_ASKS, true, true },
        { LIVES "&dtmfDigits=1", VOICE_KEYS, true, true },
        { "isActive=1&sessionId=A&direction=Inbound", VOICE_INBOUND, true, false },
        { "isActive=1&sessionId=A&direction=Inbound&dtmfDigits=1", VOICE_INBOUND, true, false },
        { "isActive=0&sessionId=A&direction=Inbound", VOICE_INBOUND, false, false },
        { "isActive=1&sessionId=A", VOICE_ASKS, true, false },
        { ENDED, VOICE_ENDED, false, false },
        { ENDED "&dtmfDigits=1", VOICE_ENDED, false, false },
        { "isActive=1", VOICE_MISREAD, true, false },
        { "isActive=1&sessionId=%00", VOICE_MISREAD, false, false },
        { "", VOICE_MISREAD, false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        take(table[i].body, NULL, NULL);
        assert_int_equal(post.made, table[i].made);
        assert_int_equal(post.is_active, table[i].is_active);
        assert_int_equal(post.is_answer, table[i].is_answer);
        assert_int_equal(post.campaign, 0);
        assert_int_equal(post.step, 0);
    }
}

static void our_own_address_says_which(void **state)
{
    int64_t by_address, by_request;

    (void)state;
    take(LIVES "&dtmfDigits=1", CAMPAIGN, "3");
    by_address = post.campaign;
    assert_true(by_address > 0);
    assert_int_equal(post.step, 3);
    assert_string_equal(reported.campaign, CAMPAIGN);
    assert_int_equal(reported.step, 3);
    take(LIVES "&clientRequestId=" CAMPAIGN "-17-2", NULL, "1");
    by_request = post.campaign;
    assert_int_equal(by_request, by_address);
    assert_true(post.is_answer); /* though nothing was pressed */
    take(LIVES "&dtmfDigits=1&clientRequestId=" CAMPAIGN "-17-2", "cmp_nonsense", "0");
    assert_int_equal(post.campaign, by_address);
    assert_string_equal(reported.campaign, ""); /* no address of ours said it */
    assert_string_equal(reported.request, CAMPAIGN "-17-2");
    assert_int_equal(reported.step, 1);
    static const char *const steps[] = { "", "-1", "8", "1x", "4294967297", " 1" };
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        take(LIVES, "", steps[i]);
        assert_int_equal(post.step, 0);
        assert_int_equal(post.campaign, 0);
    }
}

static void an_end_in_its_own_words(void **state)
{
    (void)state;
    take(ENDED "&durationInSeconds=31&amount=6.5&currencyCode=KES&status=Success&hangupCause=X",
         NULL, NULL);
    assert_true(reported.ended);
    assert_int_equal(reported.duration_s, 31);
    assert_int_equal(reported.amount_e4, 65000);
    assert_string_equal(reported.currency, "KES");
    assert_string_equal(reported.status, "Success");
    assert_string_equal(reported.cause, "X");
    assert_string_equal(reported.phone, "+254712345678");
    assert_int_equal(reported.received_ms, NOW);
    take(ENDED, NULL, NULL);
    assert_int_equal(reported.duration_s, 0);
    assert_int_equal(reported.amount_e4, 0);
    take(ENDED "&amount=214749&currencyCode=KES", NULL, NULL);
    assert_int_equal(post.made, VOICE_MISREAD);
}

static void a_message_has_one_id(void **state)
{
    char id[ID_MESSAGE_BYTES];

    (void)state;
    take(ENDED, NULL, NULL);
    memcpy(id, post.id, sizeof(id));
    take(ENDED "&status=Success", NULL, NULL);
    assert_string_equal(post.id, id);
    take(LIVES "&dtmfDigits=1", CAMPAIGN, "1");
    assert_string_not_equal(post.id, id);
    memcpy(id, post.id, sizeof(id));
    take(LIVES "&dtmfDigits=1", CAMPAIGN, "1");
    assert_string_equal(post.id, id);
    take(LIVES "&dtmfDigits=1", CAMPAIGN, "2");
    assert_string_not_equal(post.id, id);
    take(LIVES "&dtmfDigits=2", CAMPAIGN, "1");
    assert_string_not_equal(post.id, id);
}

#define POST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POST(what_is_kept),
        POST(our_own_address_says_which),
        POST(an_end_in_its_own_words),
        POST(a_message_has_one_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
