/*
 * calls - /_sim/calls and the voice part of /_sim/stats
 */
#include <string.h>

#include "engine/form.h"
#include "engine/panel.h"
#include "engine/quote.h"
#include "reply.h"
#include "sim.h"

#define SHOWN_DEFAULT 1000
#define SHOWN_MAX 100000

static const char *const state_names[] = {
    [CALL_RINGING] = "ringing",
    [CALL_ANSWERED] = "answered",
    [CALL_ENDED] = "ended",
};

static const char *const end_names[CALL_ENDS] = {
    [CALL_END_NONE] = "none",           [CALL_END_UNANSWERED] = "unanswered",
    [CALL_END_COMPLETED] = "completed", [CALL_END_HUNG_UP] = "hung_up",
    [CALL_END_DROPPED] = "dropped",
};

static const char *const post_names[VOICE_POSTS] = {
    [VOICE_POST_ANSWERED] = "answered",      [VOICE_POST_DIGITS] = "digits",
    [VOICE_POST_REDIRECT] = "redirect",      [VOICE_POST_FINAL] = "final",
    [VOICE_EVENT_RINGING] = "event_ringing", [VOICE_EVENT_ANSWERED] = "event_answered",
    [VOICE_EVENT_FINAL] = "event_final",
};

struct member {
    const char *name;
    uint64_t value;
};

static void put_members(struct str *out, const struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        str_printf(out, "%s\"%s\":%llu", i == 0 ? "" : ",", members[i].name,
                   (unsigned long long)members[i].value);
    }
}

#define PUT_MEMBERS(out, members) put_members(out, members, sizeof(members) / sizeof((members)[0]))

void calls_id(const struct voice *voice, uint32_t index, char out[BOOK_ID_BYTES])
{
    book_id(&voice->book, index, out);
    memcpy(out, "ATVId", 5);
}

void calls_request(const struct voice *voice, uint32_t index, char out_from[24],
                   const char **out_client_id)
{
    const struct str *text = book_text(&voice->book, book_entry(&voice->book, index)->text);
    const char *space = text == NULL ? NULL : strchr(text->bytes, ' ');
    size_t len = space == NULL ? 0 : (size_t)(space - text->bytes);

    len = len < 24 ? len : 23;
    memcpy(out_from, text == NULL ? "" : text->bytes, len);
    out_from[len] = '\0';
    *out_client_id = space == NULL ? "" : space + 1;
}

/* The time in which this share of a thousand was answered, rounded up to the step. */
static uint64_t xml_quantile_us(const struct voice *voice, uint64_t per_mille)
{
    uint64_t wanted = (voice->xml_count * per_mille + 999) / 1000;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < XML_STEPS && voice->xml_count > 0; i++) {
        seen += voice->xml_times[i];
        if (seen >= wanted) {
            return (uint64_t)(i + 1) * XML_STEP_US;
        }
    }
    return 0;
}

static void put_xml(const struct voice *voice, struct str *out)
{
    const struct member members[] = {
        { "answers", voice->xml_count },
        { "read", voice->xml_read },
        { "malformed", voice->xml_malformed },
        { "mean_us", voice->xml_count == 0 ? 0 : voice->xml_total_us / voice->xml_count },
        { "p50_us", xml_quantile_us(voice, 500) },
        { "p99_us", xml_quantile_us(voice, 990) },
        { "max_us", voice->xml_max_us },
    };

    str_puts(out, ",\"xml\":{");
    PUT_MEMBERS(out, members);
    str_puts(out, ",\"last_problem\":");
    quote_json(out, voice->xml_problem, strlen(voice->xml_problem));
    str_putc(out, '}');
}

static void put_callbacks(const struct voice *voice, struct str *out)
{
    const struct member members[] = {
        { "planned", voice->planned }, { "answered", voice->answered },
        { "retried", voice->retried }, { "refused", voice->refused },
        { "broken", voice->broken },   { "given_up", voice->given_up },
        { "lost", voice->lost },       { "waiting", voice->due_count },
    };

    str_puts(out, ",\"callbacks\":{");
    PUT_MEMBERS(out, members);
    str_puts(out, ",\"posted\":{");
    for (int i = 0; i < VOICE_POSTS; i++) {
        str_printf(out, "%s\"%s\":%llu", i == 0 ? "" : ",", post_names[i],
                   (unsigned long long)voice->posted[i]);
    }
    str_puts(out, "}}");
}

static void put_media(const struct media_shelf *shelf, struct str *out)
{
    const struct member members[] = {
        { "fetched", shelf->fetched },
        { "failed", shelf->failed },
        { "bytes", shelf->bytes },
        { "skipped", shelf->skipped },
    };

    str_puts(out, ",\"media\":{");
    PUT_MEMBERS(out, members);
    str_puts(out, ",\"files\":[");
    for (uint32_t i = 0; i < shelf->count && i < SHOWN_DEFAULT; i++) {
        const struct media *media = &shelf->media[i];

        str_puts(out, i == 0 ? "{\"url\":" : ",{\"url\":");
        quote_json(out, media->url.bytes, media->url.len);
        str_printf(out, ",\"status\":%d,\"bytes\":%llu,\"length_ms\":%u,\"type\":", media->status,
                   (unsigned long long)media->bytes, media->length_ms);
        quote_json(out, media->type, strlen(media->type));
        str_putc(out, '}');
    }
    str_puts(out, "]}");
}

static void put_outcomes(const struct sim *sim, struct str *out)
{
    const struct voice *voice = &sim->voice;

    str_puts(out, ",\"outcomes\":{");
    for (int i = FAULT_CALL_ANSWERS; i < FAULT_CALL_UNSUPPORTED; i++) {
        str_printf(out, "%s\"%s\":%llu", i == FAULT_CALL_ANSWERS ? "" : ",",
                   fault_kinds.names[i] + strlen("call_"), (unsigned long long)voice->outcomes[i]);
    }
    str_puts(out, "},\"ends\":{");
    for (int i = CALL_END_UNANSWERED; i < CALL_ENDS; i++) {
        str_printf(out, "%s\"%s\":%llu", i == CALL_END_UNANSWERED ? "" : ",", end_names[i],
                   (unsigned long long)voice->ends[i]);
    }
    str_putc(out, '}');
}

void calls_put_stats(const struct sim *sim, struct str *out)
{
    const struct voice *voice = &sim->voice;
    uint64_t window = 0;
    uint64_t max = 0;
    const struct member members[] = {
        { "requests", voice->requests },
        { "calls", voice->placed },
        { "duplicates", voice->book.duplicates },
        { "ringing", voice->ringing },
        { "live", voice->live },
        { "live_max", voice->live_max },
        { "invalid", voice->invalid },
        { "unsupported", voice->unsupported },
        { "no_credit", voice->no_credit },
        { "bad_caller", voice->bad_caller },
        { "bad_callback", voice->bad_callback },
        { "minutes", voice->minutes },
        { "first_placed_ms", (uint64_t)voice->first_placed_ms },
        { "last_placed_ms", (uint64_t)voice->last_placed_ms },
    };

    str_puts(out, ",\"voice\":{");
    PUT_MEMBERS(out, members);
    str_puts(out, ",\"amount\":\"");
    reply_put_money(out, sim->settings.currency, voice->amount_e4);
    str_putc(out, '"');
    put_outcomes(sim, out);
    put_xml(voice, out);
    put_callbacks(voice, out);
    put_media(&voice->shelf, out);
    str_puts(out, ",\"calls_per_100ms\":[");
    for (uint32_t i = 0; i < voice->bucket_count; i++) {
        window += voice->buckets[i];
        window -= i >= 10 ? voice->buckets[i - 10] : 0;
        max = window > max ? window : max;
        str_printf(out, "%s%u", i == 0 ? "" : ",", voice->buckets[i]);
    }
    str_printf(out, "],\"max_per_s\":%llu}", (unsigned long long)max);
}

static void put_call(struct sim *sim, uint32_t index, struct str *out)
{
    const struct voice *voice = &sim->voice;
    const struct call *call = &voice->calls[index];
    const struct entry *entry = book_entry(&voice->book, index);
    int64_t start_ms = voice->book.start_ms + sim->loop.wall_offset_ms;
    int64_t placed_ms = start_ms + entry->at_ms;
    int64_t answered_ms = call->answered_ms == 0 ? 0 : start_ms + call->answered_ms;
    int64_t ended_ms = call->ended_ms == 0 ? 0 : start_ms + call->ended_ms;
    char id[BOOK_ID_BYTES];
    char from[24];
    const char *client_id;

    calls_id(voice, index, id);
    calls_request(voice, index, from, &client_id);
    str_printf(out, "{\"session\":\"%s\",\"number\":\"+%lld\",\"from\":\"%s\",\"client_id\":", id,
               (long long)entry->phone, from);
    quote_json(out, client_id, strlen(client_id));
    str_printf(out,
               ",\"outcome\":\"%s\",\"state\":\"%s\",\"end\":\"%s\",\"keys\":\"%s\","
               "\"placed_ms\":%lld,\"answered_ms\":%lld,\"ended_ms\":%lld,\"heard_ms\":%u,"
               "\"duration_s\":%u,\"amount_e4\":%lld,\"told\":%s}",
               fault_kinds.names[entry->fate] + strlen("call_"), state_names[call->state],
               end_names[call->end], call->keys, (long long)placed_ms, (long long)answered_ms,
               (long long)ended_ms, call->heard_ms, voice_duration_s(call),
               (long long)call->amount_e4, call->told ? "true" : "false");
}

/* GET /_sim/calls?number=%2B254...: the newest first; or ?after=&limit=: all, oldest first. */
void calls_show(struct sim *sim, struct conn *conn, struct request *request)
{
    struct form form = { request->query, request->query + strlen(request->query) };
    struct str *out = &sim->reply;
    const struct book *book = &sim->voice.book;
    int64_t phone = 0;
    int64_t after = 0;
    int64_t limit = SHOWN_DEFAULT;
    bool ok = true;
    char *name;
    char *value;

    while (form_next(&form, &name, &value)) {
        if (strcmp(name, "number") == 0) {
            ok = str_parse_int(value + strspn(value, "+ "), 1, INT64_MAX, &phone) && ok;
        } else if (strcmp(name, "after") == 0) {
            ok = str_parse_int(value, 0, UINT32_MAX, &after) && ok;
        } else if (strcmp(name, "limit") == 0) {
            ok = str_parse_int(value, 1, SHOWN_MAX, &limit) && ok;
        }
    }
    if (!ok) {
        panel_complain(conn, 400, "Wanted: number, or after and limit (up to 100000)");
        return;
    }
    str_reset(out);
    str_putc(out, '[');
    for (uint32_t at = phone > 0 ? book_last(book, phone) : (uint32_t)after;
         limit > 0 && at<book->count; at = phone> 0 ? book_entry(book, at)->previous : at + 1,
                  limit--) {
        if (out->len > 1) {
            str_putc(out, ',');
        }
        put_call(sim, at, out);
    }
    str_putc(out, ']');
    panel_show(conn, out);
}
