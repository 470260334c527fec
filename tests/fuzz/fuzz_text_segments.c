/*
 * fuzz_text_segments - segments are counted as a slow and plain reference counts them
 *
 * The report must count the same, and a text that can be simplified must become the GSM-7 text that
 * the report promised.
 */
#include <stdint.h>
#include <string.h>

#include "base/panic.h"
#include "base/str.h"
#include "fuzz_text_reference.h"
#include "text/gsm7.h"

static void check_report(const char *text, size_t len, const struct text_count *count)
{
    struct text_report report;
    struct text_count again;
    struct str simple = { 0 };
    bool simplified;

    if (!text_inspect(text, len, &report)) {
        panic("counted, but not inspected");
    }
    if (memcmp(&report.count, count, sizeof(*count)) != 0) {
        panic("the report counts differently");
    }
    if ((report.odd_count == 0) != (count->encoding == TEXT_GSM7)) {
        panic("%zu odd characters in encoding %d", report.odd_count, count->encoding);
    }
    simplified = text_simplify(text, len, &simple);
    if (simplified != report.replaceable) {
        panic("simplified %d, replaceable %d", simplified, report.replaceable);
    }
    if (simplified) {
        if (!text_segments(simple.bytes, simple.len, &again) ||
            memcmp(&again, &report.replaced, sizeof(again)) != 0) {
            panic("the simple text does not count as promised");
        }
    } else if (simple.len != len || memcmp(simple.bytes, text, len) != 0) {
        panic("a text that cannot be simplified was changed");
    }
    str_free(&simple);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct text_count count;
    struct reference expected;
    bool valid;

    if (size > REFERENCE_CHARACTERS_MAX) {
        return 0;
    }
    valid = reference_count(text, size, &expected);
    memset(&count, 0, sizeof(count));
    if (text_segments(text, size, &count) != valid) {
        panic("valid or not: the reference says %d", valid);
    }
    if (!valid) {
        return 0;
    }
    if (count.units != expected.units || count.segments != expected.segments ||
        (count.encoding == TEXT_GSM7) != expected.gsm7) {
        panic("%u units %u segments, expected %u and %u", count.units, count.segments,
              expected.units, expected.segments);
    }
    check_report(text, size, &count);
    return 0;
}
