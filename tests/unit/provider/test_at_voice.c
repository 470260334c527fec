/*
 * Voice callbacks as recorded and documented, and how each call ended.
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

#include "provider/at_voice.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SESSION "ATVId_00112233445566778899aabbccddeeff"
#define LIVE "isActive=1&sessionId=" SESSION
#define FINAL "isActive=0&sessionId=" SESSION

struct fixture {
    struct arena *arena;
    struct at_voice voice;
    struct err err;
};

static int begin(void **state)
{
    static struct fixture fix;

    fix.arena = arena_create(1 << 20);
    *state = &fix;
    return 0;
}

static int end(void **state)
{
    struct fixture *fix = *state;
    arena_destroy(fix->arena);
    return 0;
}

static bool try_read(struct fixture *fix, const char *form)
{
    struct http_pair pairs[AT_VOICE_FIELDS_MAX];
    int count =
        http_form_read(form, strlen(form), pairs, AT_VOICE_FIELDS_MAX, fix->arena, &fix->err);

    assert_true(count >= 0);
    return at_voice_read(pairs, count, &fix->voice, fix->arena, &fix->err);
}

static const struct at_voice *read_form(struct fixture *fix, const char *form)
{
    memset(&fix->voice, 0xA5, sizeof(fix->voice));
    assert_true(try_read(fix, form));
    return &fix->voice;
}

static const struct at_voice *read_more(struct fixture *fix, const char *start, const char *more)
{
    return read_form(fix, arena_printf(fix->arena, "%s&%s", start, more));
}

static void an_answered_call(void **state)
{
    const struct at_voice *voice = read_more(
        *state, LIVE,
        "direction=Outbound&callerNumber=%2B254700000001&destinationNumber=%2B254711082000"
        "&callerCountryCode=254&callerCarrierName=None&callStartTime=2021-10-13%2B19%3A10%3A16"
        "&callSessionState=Answered");

    assert_true(voice->is_active);
    assert_string_equal(voice->session_id, SESSION);
    assert_int_equal(voice->direction, AT_DIRECTION_OUTBOUND);
    assert_string_equal(voice->caller, "+254700000001");
    assert_int_equal(voice->msisdn, 254700000001);
    assert_string_equal(voice->destination, "+254711082000");
    assert_string_equal(voice->state, "Answered");
    assert_string_equal(voice->digits, "");
    assert_int_equal(voice->duration_s, -1);
    assert_int_equal(voice->amount_e4, -1);
    assert_string_equal(voice->currency, "");
    assert_string_equal(voice->status, "");
    assert_string_equal(voice->hangup_cause, "");
    assert_string_equal(voice->request_id, "");
    assert_null(voice->odd);
}

static void a_call_that_ended(void **state)
{
    const struct at_voice *voice = read_more(
        *state, FINAL,
        "direction=Inbound&callSessionState=Completed&durationInSeconds=63&amount=147.440"
        "&currencyCode=UGX&status=Success&hangupCause=NORMAL_CLEARING&clientRequestId=00ff");

    assert_false(voice->is_active);
    assert_int_equal(voice->direction, AT_DIRECTION_INBOUND);
    assert_int_equal(voice->duration_s, 63);
    assert_int_equal(voice->amount_e4, 1474400);
    assert_string_equal(voice->currency, "UGX");
    assert_string_equal(voice->status, "Success");
    assert_string_equal(voice->hangup_cause, "NORMAL_CLEARING");
    assert_string_equal(voice->request_id, "00ff");
    assert_string_equal(at_voice_end(voice).word, "completed");
    assert_null(voice->odd);
}

/* As recorded: one post only, at the action URL. */
static void a_call_that_nobody_took(void **state)
{
    const struct at_voice *voice =
        read_more(*state, FINAL,
                  "callSessionState=NotAnswered&status=NotAnswered&hangupCause=SUBSCRIBER_ABSENT"
                  "&durationInSeconds=0&amount=0&callStartTime=None&currencyCode=None");
    struct at_call_end ended = at_voice_end(voice);

    assert_int_equal(voice->duration_s, 0);
    assert_int_equal(voice->amount_e4, 0);
    assert_string_equal(voice->currency, "");
    assert_null(voice->odd);
    assert_string_equal(ended.word, "unreachable");
    assert_true(ended.again);
    assert_true(ended.known);
}

static void whether_it_lives_is_not_the_states_to_say(void **state)
{
    assert_true(read_more(*state, LIVE, "callSessionState=Completed&status=Success")->is_active);
    assert_false(read_more(*state, FINAL, "callSessionState=Answered")->is_active);
    assert_string_equal(read_more(*state, LIVE, "callSessionState=Dancing")->state, "Dancing");
}

static void keys(void **state)
{
    static const struct {
        const char *form, *digits, *odd;
    } cases[] = {
        { "dtmfDigits=1", "1", NULL },         { "dtmfDigits=12%2A%23", "12*#", NULL },
        { "dtmfDigits=undefined", "", NULL },  { "dtmfDigits=None", "", NULL },
        { "dtmfDigits=", "", NULL },           { "x=y", "", NULL },
        { "dtmfDigits=1a", "", "dtmfDigits" }, { "dtmfDigits=%3Cx%3E", "", "dtmfDigits" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct at_voice *voice = read_more(*state, LIVE, cases[i].form);
        assert_string_equal(voice->digits, cases[i].digits);
        assert_true(cases[i].odd == NULL
                        ? voice->odd == NULL
                        : voice->odd != NULL && strcmp(voice->odd, cases[i].odd) == 0);
    }
}

static void the_phone_user(void **state)
{
    static const struct {
        const char *caller;
        int64_t msisdn;
    } cases[] = {
        { "%2B254700000001", 254700000001 },
        { "+254700000001", 254700000001 },
        { "254700000001", 254700000001 },
        { "acme.agent@ke.sip.africastalking.com", 0 },
        { "0700000001", 0 },
        { "%2B2547000000012345", 0 },
        { "%2B%2B254700000001", 0 },
        { "None", 0 },
        { "", 0 },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fixture *fix = *state;
        const struct at_voice *voice =
            read_more(fix, LIVE, arena_printf(fix->arena, "callerNumber=%s", cases[i].caller));
        assert_int_equal(voice->msisdn, cases[i].msisdn);
        assert_int_equal(voice->direction, AT_DIRECTION_UNKNOWN);
        assert_null(voice->odd);
    }
}

static void money_and_time(void **state)
{
    static const struct {
        const char *form;
        int64_t amount_e4;
        const char *currency;
        int64_t duration_s;
        const char *odd;
    } cases[] = {
        { "amount=0.000&currencyCode=KES&durationInSeconds=0", 0, "KES", 0, NULL },
        { "amount=4.5&currencyCode=KES&durationInSeconds=86400", 45000, "KES", 86400, NULL },
        { "currencyCode=KES", -1, "KES", -1, NULL },
        { "amount=None&currencyCode=None&durationInSeconds=None", -1, "", -1, NULL },
        { "amount=1.5", -1, "", -1, "amount" },
        { "amount=-1&currencyCode=KES", -1, "KES", -1, "amount" },
        { "amount=KES+1&currencyCode=KES", -1, "KES", -1, "amount" },
        { "amount=KES+1", -1, "", -1, "amount" },
        { "amount=1.00001&currencyCode=KES", -1, "KES", -1, "amount" },
        { "amount=999999999999999999999&currencyCode=KES", -1, "KES", -1, "amount" },
        { "amount=1&currencyCode=Ksh", -1, "", -1, "currencyCode" },
        { "amount=1&currencyCode=KES+1", -1, "", -1, "currencyCode" },
        { "durationInSeconds=86401", -1, "", -1, "durationInSeconds" },
        { "durationInSeconds=-1", -1, "", -1, "durationInSeconds" },
        { "durationInSeconds=1.5", -1, "", -1, "durationInSeconds" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct at_voice *voice = read_more(*state, FINAL, cases[i].form);
        assert_int_equal(voice->amount_e4, cases[i].amount_e4);
        assert_string_equal(voice->currency, cases[i].currency);
        assert_int_equal(voice->duration_s, cases[i].duration_s);
        if (cases[i].odd == NULL) {
            assert_null(voice->odd);
        } else {
            assert_non_null(voice->odd);
            assert_string_equal(voice->odd, cases[i].odd);
        }
    }
}

static void what_is_no_callback_says_why(void **state)
{
    struct fixture *fix = *state;
    char *wide = arena_alloc(fix->arena, AT_VOICE_WORD_BYTES_MAX + 2);
    const struct {
        const char *form, *detail;
    } cases[] = {
        { "", "isActive is missing" },
        { "sessionId=" SESSION, "isActive is missing" },
        { "isActive=2&sessionId=" SESSION, "isActive is another word" },
        { "isActive=true&sessionId=" SESSION, "isActive is another word" },
        { "isActive=1", "sessionId is missing" },
        { "isActive=1&sessionId=None", "sessionId is missing" },
        { "isActive=1&sessionId=a+b", "sessionId is no id" },
        { "isActive=1&sessionId=%3Cscript%3E", "sessionId is no id" },
        { LIVE "&callerNumber=%FF", "callerNumber is not UTF-8" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_false(try_read(fix, cases[i].form));
        assert_int_equal(fix->err.kind, ERR_PERMANENT);
        assert_string_equal(fix->err.what, "bad_field");
        assert_non_null(strstr(fix->err.detail, cases[i].detail));
    }
    memset(wide, 'x', AT_VOICE_WORD_BYTES_MAX + 1);
    assert_false(try_read(fix, arena_printf(fix->arena, "%s&status=%s", LIVE, wide)));
    assert_non_null(strstr(fix->err.detail, "status is 101 bytes long, at most 100 allowed"));
    wide[AT_VOICE_WORD_BYTES_MAX] = '\0';
    assert_string_equal(
        read_form(fix, arena_printf(fix->arena, "%s&status=%s", LIVE, wide))->status, wide);
}

static void how_a_call_ended(void **state)
{
    static const struct {
        const char *status, *cause;
        int64_t duration_s;
        const char *word;
        bool again, known;
    } cases[] = {
        { "Success", "NORMAL_CLEARING", 20, "completed", false, true },
        { "success", "normal_clearing", 20, "completed", false, true },
        { "Success", "USER_BUSY", 0, "completed", false, true },
        { "Aborted", "NORMAL_TEMPORARY_FAILURE", 5, "completed", false, true },
        { "Odd", "USER_BUSY", 5, "completed", false, false },
        { "", "NORMAL_CLEARING", 5, "completed", false, false },
        { "NotAnswered", "NORMAL_CLEARING", 20, "no_answer", true, true },
        { "NotAnswered", "NO_ANSWER", 0, "no_answer", true, true },
        { "NotAnswered", "ORIGINATOR_CANCEL", 0, "no_answer", true, true },
        { "NotAnswered", "USER_BUSY", 0, "busy", true, true },
        { "NotAnswered", "user_busy", 0, "busy", true, true },
        { "NotAnswered", "NO_USER_RESPONSE", 0, "unreachable", true, true },
        { "NotAnswered", "USER_NOT_REGISTERED", 0, "unreachable", true, true },
        { "NotAnswered", "RECOVERY_ON_TIMER_EXPIRE", 0, "unreachable", true, true },
        { "NotAnswered", "CALL_REJECTED", 0, "rejected", false, true },
        { "Aborted", "NORMAL_TEMPORARY_FAILURE", 0, "failed", true, true },
        { "Aborted", "SERVICE_UNAVAILABLE", 0, "failed", true, true },
        { "Aborted", "UNSPECIFIED", -1, "failed", true, true },
        { "Aborted", "UNALLOCATED_NUMBER", 0, "failed", false, true },
        { "Aborted", "LOSE_RACE", 0, "failed", false, true },
        { "NotAnswered", "", 0, "no_answer", true, true },
        { "NotAnswered", "FLOOD", 0, "no_answer", true, false },
        { "Aborted", "FLOOD", 0, "failed", false, false },
        { "Odd", "USER_BUSY", 0, "busy", true, true },
        { "", "NORMAL_CLEARING", -1, "failed", false, false },
        { "Odd", "FLOOD", 0, "failed", false, false },
        { "", "", -1, "failed", false, false },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct at_voice voice = {
            .status = cases[i].status,
            .hangup_cause = cases[i].cause,
            .duration_s = cases[i].duration_s,
        };
        struct at_call_end ended = at_voice_end(&voice);
        assert_string_equal(ended.word, cases[i].word);
        assert_int_equal(ended.again, cases[i].again);
        assert_int_equal(ended.known, cases[i].known);
    }
}

static void the_tables_use_our_words_only(void **state)
{
    static const char ours[] = " completed no_answer busy unreachable rejected failed ";
    struct fixture *fix = *state;

    assert_int_equal(at_causes_count, 14);
    assert_int_equal(at_call_statuses_count, 3);
    for (size_t i = 0; i < at_causes_count; i++) {
        assert_non_null(strstr(ours, arena_printf(fix->arena, " %s ", at_causes[i].word)));
        assert_string_not_equal(at_causes[i].word, "completed");
    }
    for (size_t i = 0; i < at_call_statuses_count; i++) {
        assert_non_null(strstr(ours, arena_printf(fix->arena, " %s ", at_call_statuses[i].word)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answered_call, begin, end),
        cmocka_unit_test_setup_teardown(a_call_that_ended, begin, end),
        cmocka_unit_test_setup_teardown(a_call_that_nobody_took, begin, end),
        cmocka_unit_test_setup_teardown(whether_it_lives_is_not_the_states_to_say, begin, end),
        cmocka_unit_test_setup_teardown(keys, begin, end),
        cmocka_unit_test_setup_teardown(the_phone_user, begin, end),
        cmocka_unit_test_setup_teardown(money_and_time, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_callback_says_why, begin, end),
        cmocka_unit_test_setup_teardown(how_a_call_ended, begin, end),
        cmocka_unit_test_setup_teardown(the_tables_use_our_words_only, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
