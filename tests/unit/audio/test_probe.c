/* lib/audio/probe.h: what a file is, by its content; and what is wrong with it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "audio/probe.h"
#include "sounds.h"

static struct audio_facts probe(const char *path)
{
    struct audio_facts facts;
    struct err err;

    if (!audio_probe(path, &facts, &err)) {
        fail_msg("%s: %s", err.what, err.detail);
    }
    return facts;
}

/* Refused for good, with words that say this. */
static void refuse(const char *path, const char *what, const char *says)
{
    struct audio_facts facts = { .duration_ms = 77 };
    struct err err;

    assert_false(audio_probe(path, &facts, &err));
    assert_string_equal(err.what, what);
    assert_int_equal(err.kind, ERR_PERMANENT);
    if (strstr(err.detail, says) == NULL) {
        fail_msg("'%s' does not say '%s'", err.detail, says);
    }
    assert_int_equal(facts.duration_ms, 77);
}

static void a_wav_of_each_codec_is_known(void **state)
{
    static const int codecs[] = { SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_FLOAT,
                                  SF_FORMAT_ALAW, SF_FORMAT_ULAW };

    (void)state;
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        struct audio_facts facts =
            probe(make_sound("tone.mp3", SF_FORMAT_WAV | codecs[i], 8000, 1, 1250));
        assert_int_equal(facts.kind, AUDIO_WAV);
        assert_int_equal(facts.duration_ms, 1250);
        assert_int_equal(facts.sample_rate, 8000);
        assert_int_equal(facts.channels, 1);
    }
    struct audio_facts facts =
        probe(make_sound("wide.wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 44100, 2, 300));
    assert_int_equal(facts.kind, AUDIO_WAV);
    assert_int_equal(facts.duration_ms, 300);
    assert_int_equal(facts.channels, 2);
}

static void an_mp3_is_known_whatever_its_name(void **state)
{
    const int format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
    struct audio_facts facts = probe(make_sound("tone.wav", format, 44100, 2, 2000));

    (void)state;
    assert_int_equal(facts.kind, AUDIO_MP3);
    assert_in_range(facts.duration_ms, 1990, 2110);
    assert_int_equal(facts.sample_rate, 44100);
    assert_int_equal(facts.channels, 2);
    assert_string_equal(audio_kind_word(facts.kind), "mp3");
    assert_string_equal(audio_kind_type(facts.kind), "audio/mpeg");
}

static void tags_and_zeroes_around_an_mp3_are_skipped(void **state)
{
    const int format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
    struct str whole = bytes_of(make_sound("whole.mp3", format, 8000, 1, 1000));
    const int64_t duration_ms = probe(in_folder("whole.mp3")).duration_ms;
    static const char tag[10 + 200 + 300] = "ID3\x04\x00\x00\x00\x00\x01\x48"; /* of 200 bytes */
    struct str tagged = { 0 };

    (void)state;
    assert_in_range(duration_ms, 1000, 1300);
    str_append(&tagged, tag, sizeof tag);
    str_append(&tagged, whole.bytes, whole.len);
    str_append(&tagged, tag + 10, 400);
    assert_int_equal(probe(make_file("tagged.mp3", tagged.bytes, tagged.len)).duration_ms,
                     duration_ms);
    refuse(make_file("only.mp3", tag, sizeof tag), "audio_silent", "no sound in the MP3");
    str_free(&tagged);
    str_free(&whole);
}

static void an_mp3_is_as_long_as_it_plays(void **state)
{
    const int format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;
    struct str whole = bytes_of(make_sound("whole.mp3", format, 22050, 1, 4000));
    struct audio_facts facts = probe(make_file("half.mp3", whole.bytes, whole.len / 2));

    (void)state;
    assert_in_range(facts.duration_ms, 1500, 2300);
    /* Its first frame tells of 4 s only. */
    struct str thrice = { 0 };
    for (int i = 0; i < 3; i++) {
        str_append(&thrice, whole.bytes, whole.len);
    }
    facts = probe(make_file("thrice.mp3", thrice.bytes, thrice.len));
    assert_in_range(facts.duration_ms, 12000, 12600);
    str_append(&thrice, "TAGtitle", 8);
    facts = probe(make_file("tagged.mp3", thrice.bytes, thrice.len));
    assert_in_range(facts.duration_ms, 12000, 12600);
    memset(thrice.bytes + thrice.len / 2, 'z', 3000);
    refuse(make_file("broken.mp3", thrice.bytes, thrice.len), "audio_broken", "save it again");
    str_free(&thrice);
    str_free(&whole);
}

static void what_is_no_sound_is_named(void **state)
{
    static const char pdf[] = "%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\n";
    static const char page[] = "<!DOCTYPE html><title>Sign in</title>";
    static const char text[] = "just words";

    (void)state;
    refuse(make_file("speech.mp3", pdf, sizeof pdf), "audio_not_sound", "a PDF document");
    refuse(make_file("speech.mp3", page, sizeof page), "audio_not_sound", "a page of HTML");
    refuse(make_file("speech.wav", text, sizeof text), "audio_not_sound", "neither a WAV nor");
    refuse(make_file("speech.wav", "x", 1), "audio_not_sound", "neither a WAV nor");
    refuse(make_sound("speech.wav", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 8000, 1, 100),
           "audio_not_sound", "an Ogg file");
    refuse(make_sound("speech.wav", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 8000, 1, 100),
           "audio_not_sound", "a FLAC file");
    refuse(make_file("empty.wav", "", 0), "audio_empty", "is empty");
}

static void an_mp3_head_before_something_else_is_refused(void **state)
{
    char bytes[4096];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "ID3\x04\x00\x00\x00\x00\x00\x00", 10);
    refuse(make_file("speech.mp3", bytes, sizeof bytes), "audio_broken", "MP3");
    memcpy(bytes, "\xFF\xFB\x90\x64", 4);
    refuse(make_file("speech.mp3", bytes, sizeof bytes), "audio_broken", "MP3");
}

static void a_cut_wav_is_refused_wherever_it_is_cut(void **state)
{
    struct str whole =
        bytes_of(make_sound("whole.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 50));
    const size_t steps[] = { 12, 13, 20, 30, 36, 43, 44, 45, 400, whole.len - 1 };

    (void)state;
    assert_int_equal(whole.len, 44 + 800);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        refuse(make_file("cut.wav", whole.bytes, steps[i]), "audio_truncated", "whole");
    }
    str_free(&whole);
}

static void a_wav_without_sound_is_refused(void **state)
{
    (void)state;
    refuse(make_sound("silent.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 0), "audio_silent",
           "no sound");
}

static void a_wav_of_another_codec_is_refused(void **state)
{
    (void)state;
    refuse(make_sound("gsm.wav", SF_FORMAT_WAV | SF_FORMAT_GSM610, 8000, 1, 500), "audio_codec",
           "0x0031");
    refuse(make_sound("adpcm.wav", SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, 8000, 1, 500),
           "audio_codec", "16-bit PCM");
}

static void a_wav_whose_header_is_nonsense_is_refused(void **state)
{
    struct str whole =
        bytes_of(make_sound("whole.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, 50));
    char early[] = "RIFF....WAVEdata\x04\x00\x00\x00"
                   "abcd";
    char endless[12 + 80 * 8];

    (void)state;
    refuse(make_file("early.wav", early, sizeof early - 1), "audio_broken", "before its format");
    memcpy(endless, early, 12);
    for (size_t i = 0; i < 80; i++) {
        memcpy(endless + 12 + 8 * i, "junk\0\0\0\0", 8);
    }
    refuse(make_file("endless.wav", endless, sizeof endless), "audio_broken", "64 parts");
    whole.bytes[16] = 4; /* bytes of its format */
    refuse(make_file("short.wav", whole.bytes, whole.len), "audio_broken", "at least 16");
    whole.bytes[16] = 16;
    memset(whole.bytes + 24, 0, 4); /* samples a second */
    refuse(make_file("slow.wav", whole.bytes, whole.len), "audio_broken", "");
    str_free(&whole);
}

static void ten_minutes_are_taken_and_no_more(void **state)
{
    const int wav = SF_FORMAT_WAV | SF_FORMAT_PCM_U8;

    (void)state;
    assert_int_equal(probe(make_sound("long.wav", wav, 4000, 1, AUDIO_MAX_MS)).duration_ms,
                     AUDIO_MAX_MS);
    refuse(make_sound("long.wav", wav, 4000, 1, AUDIO_MAX_MS + 1), "audio_too_long", "10 minutes");
    refuse(make_sound("long.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 8000, 1,
                      AUDIO_MAX_MS + 5000),
           "audio_too_long", "10 minutes");
}

static void a_file_that_cannot_be_read_is_tried_again(void **state)
{
    struct audio_facts facts;
    struct err err;

    (void)state;
    assert_false(audio_probe(in_folder("nothing"), &facts, &err));
    assert_string_equal(err.what, "audio_unreadable");
    assert_int_equal(err.kind, ERR_TEMPORARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wav_of_each_codec_is_known),
        cmocka_unit_test(an_mp3_is_known_whatever_its_name),
        cmocka_unit_test(tags_and_zeroes_around_an_mp3_are_skipped),
        cmocka_unit_test(an_mp3_is_as_long_as_it_plays),
        cmocka_unit_test(what_is_no_sound_is_named),
        cmocka_unit_test(an_mp3_head_before_something_else_is_refused),
        cmocka_unit_test(a_cut_wav_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_wav_without_sound_is_refused),
        cmocka_unit_test(a_wav_of_another_codec_is_refused),
        cmocka_unit_test(a_wav_whose_header_is_nonsense_is_refused),
        cmocka_unit_test(ten_minutes_are_taken_and_no_more),
        cmocka_unit_test(a_file_that_cannot_be_read_is_tried_again),
    };

    return cmocka_run_group_tests(tests, folder_start, folder_stop);
}
