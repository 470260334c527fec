/* lib/text/speech: what of a text is heard */
/* cmocka.h needs the others before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <string.h>

#include "text/speech.h"

static void characters_that_are_said_are_counted(void **state)
{
    static const struct {
        const char *text;
        size_t chars;
    } table[] = {
        { "", 0 },
        { "Hello", 5 },
        { "a b", 3 },
        { "\u00e9\u20ac\U0001F600", 3 },
        { " \t\r\n", 0 }, /* blanks alone say nothing */
        { "a\tb\r\n", 5 },
        { "\x01\x7f\xc2\x85\ufffe\uffff", 0 },
        { "a\x01\xc2\x85", 1 },
        { "\xff\xc0 a", 2 }, /* what is not UTF-8 is not said */
        { "\u0400", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(text_speech_chars(table[i].text, strlen(table[i].text)), table[i].chars);
    }
    assert_int_equal(text_speech_chars("a\0b", 3), 2);
}

static void voices_have_plain_names(void **state)
{
    static const char *const good[] = { "", "man", "woman", "en-KE-Wavenet-B", "0" };
    static const char *const bad[] = { "a b", "a_b", "<", "\"", "\u00e9", " woman" };
    char name[TEXT_SPEECH_VOICE_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(text_speech_is_voice(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(text_speech_is_voice(bad[i]));
    }
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_false(text_speech_is_voice(name));
    name[sizeof name - 2] = '\0';
    assert_true(text_speech_is_voice(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_that_are_said_are_counted),
        cmocka_unit_test(voices_have_plain_names),
    };

    return cmocka_run_group_tests_name("unit.text.speech", tests, NULL, NULL);
}
