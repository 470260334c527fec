/*
 * What a callee hears next: the whole document, for each key at each step.
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

#include "voice_answer.h"

#define BACK "https://tuma.test/hook?campaign=cmp_1&step="
#define DOCUMENT(actions)                                                                          \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>" actions "</Response>\n"
#define ASKED(step, child)                                                                         \
    DOCUMENT("<GetDigits timeout=\"10\" numDigits=\"1\" callbackUrl=\"https://tuma.test/"          \
             "hook?campaign=cmp_1&amp;step=" step "\">" child "</GetDigits>")
#define LISTEN "<Say>Listen</Say>"
#define ENDS DOCUMENT("")

static const char *const keys[] = { "1", "2" };
static const char *const meanings[] = { "yes", "no" };

static struct voice_script asking(int repeats)
{
    return (struct voice_script){
        .voice = { .say_voice = "",
                   .repeat_key = repeats > 0 ? '9' : '\0',
                   .repeats = repeats,
                   .stop_key = '0',
                   .answers = { .count = 2,
                                .keys = (const char **)(uintptr_t)keys,
                                .values = (const char **)(uintptr_t)meanings },
                   .wait_s = 10,
                   .thanks = "Asante",
                   .stopped = "Kwaheri" },
        .text = "Listen",
    };
}

static void assert_answer(const struct voice_script *script, bool is_answer, int step,
                          const char *digits, const char *expected)
{
    const struct voice_turn turn = {
        .is_answer = is_answer, .step = step, .digits = digits, .callback_url = BACK
    };
    struct str out = { 0 };
    struct err err;

    assert_true(voice_answer_write(script, &turn, &out, &err));
    assert_string_equal(out.bytes, expected);
    str_free(&out);
}

static void content_without_keys(void **state)
{
    struct voice_script script = { .voice = { .say_voice = "woman" }, .text = "A & <b>" };

    (void)state;
    assert_answer(&script, false, 0, "", DOCUMENT("<Say voice=\"woman\">A &amp; &lt;b&gt;</Say>"));
    assert_answer(&script, true, 1, "1", ENDS); /* nobody asked */
    script.voice.audio = 1;
    script.audio_url = "https://tuma.test/a.mp3?x=1&y=2";
    assert_answer(&script, false, 0, "",
                  DOCUMENT("<Play url=\"https://tuma.test/a.mp3?x=1&amp;y=2\"/>"));
}

static void each_key_at_each_step(void **state)
{
    static const struct {
        int repeats, step;
        const char *digits, *expected;
    } table[] = {
        { 2, 1, "9", ASKED("2", LISTEN) },
        { 2, 2, "9", ASKED("3", LISTEN) },
        { 2, 3, "9", ENDS },
        { 2, 1, "0", DOCUMENT("<Say>Kwaheri</Say>") },
        { 2, 3, "0", DOCUMENT("<Say>Kwaheri</Say>") },
        { 2, 1, "1", DOCUMENT("<Say>Asante</Say>") },
        { 2, 3, "2", DOCUMENT("<Say>Asante</Say>") },
        { 2, 0, "2", DOCUMENT("<Say>Asante</Say>") }, /* our address was lost */
        { 2, 2, "3", ASKED("3", LISTEN) },
        { 2, 3, "3", ENDS },
        { 2, 2, "", ASKED("3", LISTEN) },
        { 2, 3, "", ENDS },
        { 2, 2, "12", ASKED("3", LISTEN) },
        { 2, 0, "9", ENDS }, /* or it would go on for ever */
        { 2, 0, "", ENDS },
        { 0, 1, "9", ASKED("2", LISTEN) }, /* once more, though nothing is repeated on demand */
        { 0, 2, "9", ENDS },
        { 0, 1, "", ASKED("2", LISTEN) },
        { 0, 2, "", ENDS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const struct voice_script script = asking(table[i].repeats);
        assert_answer(&script, true, table[i].step, table[i].digits, table[i].expected);
    }
    const struct voice_script script = asking(2);
    assert_answer(&script, false, 0, "", ASKED("1", LISTEN));
}

static void closing_words_may_be_missing(void **state)
{
    struct voice_script script = asking(1);

    (void)state;
    script.voice.thanks = script.voice.stopped = "";
    assert_answer(&script, true, 1, "1", ENDS);
    assert_answer(&script, true, 1, "0", ENDS);
}

static void without_an_address_of_ours(void **state)
{
    const struct voice_script script = asking(1);
    const struct voice_turn turn = { .digits = "" };
    struct str out = { 0 };
    struct err err;

    (void)state;
    assert_true(voice_answer_write(&script, &turn, &out, &err));
    assert_string_equal(
        out.bytes, DOCUMENT("<GetDigits timeout=\"10\" numDigits=\"1\">" LISTEN "</GetDigits>"));
    str_free(&out);
}

static void what_cannot_be_heard_leaves_nothing(void **state)
{
    struct voice_script script = asking(1);
    const struct voice_turn turn = { .digits = "", .callback_url = BACK };
    struct str out = { 0 };
    struct err err;

    (void)state;
    str_puts(&out, "before");
    for (int audio = 0; audio < 2; audio++) {
        script.voice.audio = audio;
        script.text = NULL;
        assert_false(voice_answer_write(&script, &turn, &out, &err));
        assert_string_equal(err.what, "no_content");
        assert_string_equal(out.bytes, "before");
    }
    script.voice.audio = 0;
    script.text = " ";
    assert_false(voice_answer_write(&script, &turn, &out, &err));
    assert_string_equal(err.what, "say_empty");
    assert_string_equal(out.bytes, "before");
    assert_int_equal(out.len, 6);
    str_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_without_keys),
        cmocka_unit_test(each_key_at_each_step),
        cmocka_unit_test(closing_words_may_be_missing),
        cmocka_unit_test(without_an_address_of_ours),
        cmocka_unit_test(what_cannot_be_heard_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
