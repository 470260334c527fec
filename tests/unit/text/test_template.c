/*
 * test_template - fields are filled in, and every mistake is named where it is
 */

/* cmocka.h needs the headers above it. */
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

#include "random.h"
#include "text/template.h"

static const char *const columns[] = { "phone", "name", "Amount", "First Name", "amount" };
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct fixture {
    struct arena *arena;
    struct str out;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->arena = arena_create(4 << 20);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    str_free(&fixture->out);
    arena_destroy(fixture->arena);
    free(fixture);
    return 0;
}

static const struct text_template *compile(struct fixture *fixture, const char *source)
{
    const struct text_template *compiled = NULL;

    if (!text_template_compile(source, strlen(source), fixture->arena, &compiled, &fixture->err)) {
        fail_msg("%s: %s", source, fixture->err.detail);
    }
    return compiled;
}

static enum text_rendered render(struct fixture *fixture, const char *source,
                                 const char *const *cells, const struct text_render *how)
{
    const struct text_binding *binding = NULL;

    if (!text_template_bind(compile(fixture, source), columns, COLUMNS, fixture->arena, &binding,
                            &fixture->err)) {
        fail_msg("%s: %s", source, fixture->err.detail);
    }
    return text_template_render(binding, cells, how, &fixture->out, &fixture->err);
}

static void fills_in_fields(void **state)
{
    static const char *const cells[] = { "0712345678", "Wanjikũ", "1,500", "Grace", "x" };
    static const struct text_render how = { .missing = TEXT_MISSING_BLOCK };
    static const struct {
        const char *source, *text;
    } cases[] = {
        { "{{name}}", "Wanjikũ" },
        { "Hi {{name}}!", "Hi Wanjikũ!" },
        { "Hi {{ name }}, pay {{Amount}}", "Hi Wanjikũ, pay 1,500" },
        { "{{amount}}", "x" }, /* an exact match before one in another case */
        { "{{NAME}}", "Wanjikũ" },
        { "{{First Name}} {{\tFirst Name\n}}", "Grace Grace" },
        { "{{name|friend}}", "Wanjikũ" },
        { "{{name}}{{name}}", "WanjikũWanjikũ" },
        { "a { b } c {", "a { b } c {" },
        { "{ {{name}} }", "{ Wanjikũ }" },
        { "}{{name}}{", "}Wanjikũ{" },
        { "plain", "plain" },
        { "{", "{" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(render(*state, cases[i].source, cells, &how), TEXT_RENDERED);
        assert_string_equal(((struct fixture *)*state)->out.bytes, cases[i].text);
        assert_int_equal(((struct fixture *)*state)->out.len, strlen(cases[i].text));
    }
}

static void names_each_mistake_and_its_place(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *source, *what, *place;
    } cases[] = {
        { "", "template_empty", "empty" },
        { "Hi {{name", "template_unterminated", "character 4 " },
        { "Hi {{name}", "template_bad_field", "at character 10" },
        { "Hi {{", "template_unterminated", "character 4 " },
        { "é{{a {{b}}", "template_unterminated",
          "character 2 is not closed before the next one at 6" },
        { "Hi {{}}", "template_empty_field", "character 4 " },
        { "Hi {{  }}", "template_empty_field", "character 4 " },
        { "Hi {{ |you}}", "template_empty_field", "character 4 " },
        { "Hi }}", "template_stray_braces", "character 4 " },
        { "{{a}} b}}", "template_stray_braces", "character 8 " },
        { "{{{name}}}", "template_bad_field", "character 1 " },
        { "{{a{b}}", "template_bad_field", "at character 4" },
        { "{{a\x01}}", "template_bad_field", "character 1 " },
        { "ab\xFF", "template_bad_utf8", "character 3" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct text_template *compiled = NULL;

        assert_false(text_template_compile(cases[i].source, strlen(cases[i].source), fixture->arena,
                                           &compiled, &fixture->err));
        assert_null(compiled);
        assert_int_equal(fixture->err.kind, ERR_PERMANENT);
        assert_string_equal(fixture->err.what, cases[i].what);
        if (strstr(fixture->err.detail, cases[i].place) == NULL) {
            fail_msg("'%s' does not say '%s'", fixture->err.detail, cases[i].place);
        }
    }
}

/* source: a character `times` over, then the rest. */
static const char *compile_error(struct fixture *fixture, const char *character, size_t times,
                                 const char *rest)
{
    const struct text_template *compiled = NULL;
    struct str source = { 0 };
    bool ok;

    for (size_t i = 0; i < times; i++) {
        str_puts(&source, character);
    }
    str_puts(&source, rest);
    ok = text_template_compile(source.bytes, source.len, fixture->arena, &compiled, &fixture->err);
    str_free(&source);
    return ok ? "fine" : fixture->err.what;
}

static void bounds_templates(void **state)
{
    assert_string_equal(compile_error(*state, "a", 1600, ""), "fine");
    assert_string_equal(compile_error(*state, "a", 1601, ""), "template_too_long");
    assert_string_equal(compile_error(*state, "😀", 1600, ""), "fine");
    assert_string_equal(compile_error(*state, "😀", 1600, "a"), "template_too_long");
    assert_string_equal(compile_error(*state, "{{a}}", 32, ""), "fine");
    assert_string_equal(compile_error(*state, "{{a}}", 32, " {{b}}"), "template_too_many_fields");
    assert_string_equal(compile_error(*state, ".{{a}}", 32, "."), "fine");
    assert_string_equal(
        compile_error(*state, "", 0,
                      "{{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                      "aaaaaaaaaaaaaaaaaaa}}"),
        "template_bad_field");
}

static void names_an_unknown_field_and_the_columns(void **state)
{
    struct fixture *fixture = *state;
    const struct text_binding *binding = NULL;

    assert_false(text_template_bind(compile(fixture, "{{name}} {{nmae}}"), columns, COLUMNS,
                                    fixture->arena, &binding, &fixture->err));
    assert_null(binding);
    assert_string_equal(fixture->err.what, "template_unknown_field");
    assert_string_equal(
        fixture->err.detail,
        "no column is called 'nmae'; there are: phone, name, Amount, First Name, amount");
    assert_false(text_template_bind(compile(fixture, "{{a}}"), NULL, 0, fixture->arena, &binding,
                                    &fixture->err));
    assert_string_equal(fixture->err.detail, "no column is called 'a'; there are: none");
}

static void lists_its_fields(void **state)
{
    const struct text_template *compiled = compile(*state, "{{b}} {{a|x}} {{ b }} c");

    assert_int_equal(compiled->field_count, 2);
    assert_string_equal(compiled->fields[0], "b");
    assert_string_equal(compiled->fields[1], "a");
    assert_false(compiled->is_constant);
    assert_true(compile(*state, "no {fields} here")->is_constant);
}

static void needs_no_cells_when_constant(void **state)
{
    struct fixture *fixture = *state;
    static const struct text_render how = { .missing = TEXT_MISSING_BLOCK };
    const struct text_binding *binding = NULL;

    assert_true(text_template_bind(compile(fixture, "Vote on Tuesday"), NULL, 0, fixture->arena,
                                   &binding, &fixture->err));
    assert_int_equal(text_template_render(binding, NULL, &how, &fixture->out, &fixture->err),
                     TEXT_RENDERED);
    assert_string_equal(fixture->out.bytes, "Vote on Tuesday");
}

static void follows_the_policy_for_missing_fields(void **state)
{
    struct fixture *fixture = *state;
    static const char *const blanks[] = { "", " ", " \t\u00A0 ", "\r\n", "\x01" };
    static const struct {
        const char *source;
        enum text_missing missing;
        const char *default_text;
        enum text_rendered outcome;
        const char *text;
    } cases[] = {
        { "Hi {{name}}.", TEXT_MISSING_BLOCK, "x", TEXT_REFUSED, NULL },
        { "Hi {{name}}.", TEXT_MISSING_SKIP, "x", TEXT_LEFT_OUT, NULL },
        { "Hi {{name}}.", TEXT_MISSING_DEFAULT, "customer", TEXT_RENDERED, "Hi customer." },
        { "Hi {{name}}.", TEXT_MISSING_DEFAULT, "", TEXT_RENDERED, "Hi ." },
        { "Hi {{name}}.", TEXT_MISSING_DEFAULT, NULL, TEXT_RENDERED, "Hi ." },
        { "Hi {{name|friend}}.", TEXT_MISSING_BLOCK, "x", TEXT_RENDERED, "Hi friend." },
        { "Hi {{name|friend}}.", TEXT_MISSING_SKIP, "x", TEXT_RENDERED, "Hi friend." },
        { "Hi {{name|}}.", TEXT_MISSING_BLOCK, "x", TEXT_RENDERED, "Hi ." },
        { "Hi {{name|a|b}}.", TEXT_MISSING_DEFAULT, "x", TEXT_RENDERED, "Hi a|b." },
        { "Hi {{name| you }}.", TEXT_MISSING_DEFAULT, "x", TEXT_RENDERED, "Hi  you ." },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < sizeof(blanks) / sizeof(blanks[0]); k++) {
            const char *cells[COLUMNS] = { "07", blanks[k], "1", "G", "a" };
            const struct text_render how = { .missing = cases[i].missing,
                                             .default_text = cases[i].default_text };

            assert_int_equal(render(fixture, cases[i].source, cells, &how), cases[i].outcome);
            if (cases[i].outcome == TEXT_RENDERED) {
                assert_string_equal(fixture->out.bytes, cases[i].text);
            } else {
                assert_string_equal(fixture->err.what, "missing_field");
                assert_non_null(strstr(fixture->err.detail, "'name'"));
            }
        }
    }
}

static void drops_control_characters(void **state)
{
    struct fixture *fixture = *state;
    static const char *const cells[] = { "",
                                         "a\x01"
                                         "b\x7F"
                                         "c\xC2\x85"
                                         "d\re\nf\tg\u00E9",
                                         "", "", "" };
    static const struct text_render how = { .missing = TEXT_MISSING_BLOCK };

    assert_int_equal(render(fixture, "line 1\r\nline 2\x08\t{{name}}", cells, &how), TEXT_RENDERED);
    assert_string_equal(fixture->out.bytes, "line 1\nline 2 abcde\nf g\u00E9");
}

static void squeezes_white_space_on_demand(void **state)
{
    struct fixture *fixture = *state;
    const char *cells[COLUMNS] = { "", "  Ann  ", "\u00A0\u00A0", "G", "x" };
    static const struct text_render squeezed = { .missing = TEXT_MISSING_DEFAULT, .squeeze = true };
    static const struct text_render as_is = { .missing = TEXT_MISSING_DEFAULT };
    static const char source[] = "\n Hi  {{name}} {{Amount}} ,\n \n\n pay\u00A0\u00A0now. \n";

    assert_int_equal(render(fixture, source, cells, &squeezed), TEXT_RENDERED);
    assert_string_equal(fixture->out.bytes, "Hi Ann ,\npay now.");
    assert_int_equal(fixture->out.len, strlen("Hi Ann ,\npay now."));
    assert_int_equal(render(fixture, source, cells, &as_is), TEXT_RENDERED);
    assert_string_equal(fixture->out.bytes, "\n Hi    Ann    ,\n \n\n pay\u00A0\u00A0now. \n");
}

static void leaves_out_texts_nobody_could_send(void **state)
{
    struct fixture *fixture = *state;
    static char cell[4 * 1600 + 2];
    const char *cells[COLUMNS] = { "", cell, "", "", "" };
    static const struct text_render how = { .missing = TEXT_MISSING_DEFAULT };

    assert_int_equal(render(fixture, "{{name}} \n", cells, &how), TEXT_LEFT_OUT);
    assert_string_equal(fixture->err.what, "text_empty");
    assert_int_equal(render(fixture, "{{name}}", cells, &how), TEXT_LEFT_OUT);
    assert_string_equal(fixture->err.what, "text_empty");

    memset(cell, 'a', 1599);
    assert_int_equal(render(fixture, "{{name}}!", cells, &how), TEXT_RENDERED);
    assert_int_equal(render(fixture, "{{name}}!!", cells, &how), TEXT_LEFT_OUT);
    assert_string_equal(fixture->err.what, "text_too_long");
    assert_non_null(strstr(fixture->err.detail, "1601 characters"));

    for (size_t i = 0; i < 1600; i++) {
        memcpy(cell + 4 * i, "😀", 5);
    }
    assert_int_equal(render(fixture, "{{name}}", cells, &how), TEXT_RENDERED);
    assert_int_equal(render(fixture, "{{name}}!", cells, &how), TEXT_LEFT_OUT);
}

/* A reused buffer carries nothing from one row into the next. */
static void renders_row_after_row(void **state)
{
    struct fixture *fixture = *state;
    static const struct text_render how = { .missing = TEXT_MISSING_SKIP };
    const struct text_binding *binding = NULL;
    uint64_t seed = 7;

    assert_true(text_template_bind(compile(fixture, "<{{name}}|{{phone}}>"), columns, COLUMNS,
                                   fixture->arena, &binding, &fixture->err));
    for (int row = 0; row < 1000; row++) {
        char name[40] = "";
        char expected[100];
        const char *cells[COLUMNS] = { "254700000001", name, "", "", "" };

        memset(name, 'n', random_below(&seed, 39));
        snprintf(expected, sizeof(expected), "<%s|254700000001>", name);
        if (name[0] == '\0') {
            assert_int_equal(
                text_template_render(binding, cells, &how, &fixture->out, &fixture->err),
                TEXT_LEFT_OUT);
            continue;
        }
        assert_int_equal(text_template_render(binding, cells, &how, &fixture->out, &fixture->err),
                         TEXT_RENDERED);
        assert_string_equal(fixture->out.bytes, expected);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fills_in_fields),
        TEST(names_each_mistake_and_its_place),
        TEST(bounds_templates),
        TEST(names_an_unknown_field_and_the_columns),
        TEST(lists_its_fields),
        TEST(needs_no_cells_when_constant),
        TEST(follows_the_policy_for_missing_fields),
        TEST(drops_control_characters),
        TEST(squeezes_white_space_on_demand),
        TEST(leaves_out_texts_nobody_could_send),
        TEST(renders_row_after_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
