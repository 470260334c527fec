/*
 * dial - POST /call
 *
 * The same order as a send: who is asking; faults of the whole request; is the form complete; is
 * the caller's number ours; then each number for itself; then what strikes after acceptance.
 */
#include <string.h>

#include "engine/form.h"
#include "engine/quote.h"
#include "sim.h"

#define CLIENT_ID_MAX 512

struct dialling {
    const char *username;
    const char *from;
    char *to;
    const char *client_id;
};

/* Repeated fields keep their last value, as at the provider. */
static struct dialling read_form(struct request *request)
{
    struct form form = { request->body, request->body + request->body_len };
    struct dialling dialling = { .client_id = "" };
    char *name;
    char *value;

    while (form_next(&form, &name, &value)) {
        if (strcmp(name, "username") == 0) {
            dialling.username = value;
        } else if (strcmp(name, "from") == 0) {
            dialling.from = value;
        } else if (strcmp(name, "to") == 0) {
            dialling.to = value;
        } else if (strcmp(name, "clientRequestId") == 0) {
            dialling.client_id = value;
        }
    }
    return dialling;
}

static const char *missing_field(const struct dialling *dialling)
{
    if (dialling->username == NULL) {
        return "username";
    }
    if (dialling->from == NULL || *dialling->from == '\0') {
        return "from";
    }
    return dialling->to == NULL || *dialling->to == '\0' ? "to" : NULL;
}

static void put_entry(struct str *out, const char *number, const char *status, const char *id)
{
    if (out->bytes[out->len - 1] != '[') {
        str_putc(out, ',');
    }
    str_puts(out, "{\"phoneNumber\":");
    quote_json(out, number, strlen(number));
    str_puts(out, ",\"status\":\"");
    str_puts(out, status);
    str_puts(out, "\",\"sessionId\":\"");
    str_puts(out, id);
    str_puts(out, "\"}");
}

/* How often the number was called before, counted up to max. */
static int64_t calls_before(const struct voice *voice, int64_t phone, int64_t max)
{
    int64_t count = 0;

    for (uint32_t at = book_last(&voice->book, phone); at != BOOK_NONE && count < max;
         at = book_entry(&voice->book, at)->previous) {
        count++;
    }
    return count;
}

static enum fault fate_of(struct sim *sim, int64_t phone)
{
    struct faults *faults = &sim->faults;
    int64_t times = faults->numbers[NUMBER_CALL_FATE_TIMES];
    int fate = fault_forced_within(faults, phone, FAULT_CALL_ANSWERS, FAULT_CALL_UNSUPPORTED);

    if (times > 0 && calls_before(&sim->voice, phone, times) >= times) {
        return FAULT_CALL_ANSWERS;
    }
    if (fate != FAULT_COUNT) {
        return (enum fault)fate;
    }
    fate = fault_of_number(faults, FAULT_CALL_NO_ANSWER, FAULT_CALL_UNSUPPORTED, phone);
    return fate == FAULT_NONE ? FAULT_CALL_ANSWERS : (enum fault)fate;
}

static void count_placed(struct sim *sim)
{
    struct voice *voice = &sim->voice;
    int64_t bucket;

    if (voice->placed == 0) {
        voice->first_placed_ms = loop_wall_ms(&sim->loop);
        voice->first_mono_ms = sim->loop.now_ms;
    }
    voice->placed++;
    voice->last_placed_ms = loop_wall_ms(&sim->loop);
    bucket = (sim->loop.now_ms - voice->first_mono_ms) / SIM_BUCKET_MS;
    if (bucket < SIM_BUCKETS_MAX) {
        voice->buckets[bucket]++;
        voice->bucket_count = (uint32_t)bucket + 1;
    }
}

/* Calls one number and puts its entry into the reply. */
static void call_number(struct sim *sim, const struct dialling *dialling, const char *number,
                        uint32_t *request, bool early)
{
    struct voice *voice = &sim->voice;
    int64_t phone = sim_parse_phone(number);
    enum fault fate = phone == 0 ? FAULT_CALL_ANSWERS : fate_of(sim, phone);
    char id[BOOK_ID_BYTES];
    uint64_t hash;
    uint32_t index;

    if (phone == 0) {
        voice->invalid++;
        put_entry(&sim->reply, number, "InvalidPhoneNumber", "None");
        return;
    }
    if (fate == FAULT_CALL_UNSUPPORTED) {
        voice->unsupported++;
        put_entry(&sim->reply, number, "DestinationNotSupported", "None");
        return;
    }
    if (sim->balance_e4 < sim->settings.call_price_e4) {
        voice->no_credit++;
        put_entry(&sim->reply, number, "InsufficientCredit", "None");
        return;
    }
    if (*request == BOOK_NONE) {
        const char *text = arena_printf(sim->work, "%s %s", dialling->from, dialling->client_id);

        *request = book_add_text(&voice->book, text, strlen(text));
    }
    /* Without an id of theirs two calls are no duplicates. */
    hash = *dialling->client_id == '\0' ? voice->book.cleared + voice->book.count
                                        : sim_hash_text(1, dialling->client_id) ^ (uint64_t)phone;
    count_placed(sim);
    index = book_add(
        &voice->book,
        (struct entry){
            .phone = phone, .hash = fault_mix(hash), .text = *request, .fate = (uint8_t)fate },
        sim->loop.now_ms);
    calls_id(voice, index, id);
    put_entry(&sim->reply, number, "Queued", id);
    voice_ring(sim, index, early);
}

/* "a,b,c" cut at its commas. */
static void call_numbers(struct sim *sim, const struct dialling *dialling, bool early)
{
    uint32_t request = BOOK_NONE;
    char *at = dialling->to;

    while (at != NULL) {
        char *comma = strchr(at, ',');

        if (comma != NULL) {
            *comma++ = '\0';
        }
        call_number(sim, dialling, at + strspn(at, " "), &request, early);
        at = comma;
    }
}

static size_t count_numbers(const char *to)
{
    size_t count = 1;

    for (; *to != '\0'; to++) {
        count += *to == ',';
    }
    return count;
}

/* A refusal of the whole request: 200 without entries. */
static const char *refuses_all(struct sim *sim, const struct dialling *dialling)
{
    if (sim_parse_phone(dialling->from) == 0 ||
        !settings_allow(sim->settings.callers, dialling->from)) {
        sim->voice.bad_caller++;
        return arena_printf(sim->work, "Invalid callerId: %s", dialling->from);
    }
    if (fault_hits(&sim->faults, FAULT_CALL_BAD_CALLBACK)) {
        sim->voice.bad_callback++;
        return arena_printf(sim->work, "Invalid callbackUrl: %s", sim->settings.voice_url);
    }
    return NULL;
}

static void answer_call(struct sim *sim, struct conn *conn, bool accepted, bool early)
{
    struct faults *faults = &sim->faults;
    struct answer answer = { .status = 200, .type = "application/json; charset=utf-8" };
    bool withhold = accepted && fault_hits(faults, FAULT_WITHHOLD);
    bool close = accepted && fault_hits(faults, FAULT_CLOSE_ACCEPTED);
    bool error = accepted && fault_hits(faults, FAULT_ERROR_500_ACCEPTED);

    if (close) {
        sim_drop(sim, conn);
        return;
    }
    if (error) {
        answer.status = 500;
        answer.type = "text/plain; charset=UTF-8";
        str_reset(&sim->reply);
        str_puts(&sim->reply, "There was an internal server error.");
    } else if (accepted && fault_hits(faults, FAULT_GARBAGE)) {
        str_reset(&sim->reply);
        str_puts(&sim->reply, "<html><body>\xff\xfe Bad \"gateway{[</body>");
    } else if (accepted && fault_hits(faults, FAULT_TRUNCATED)) {
        answer.cut = sim->reply.len / 2;
    }
    answer.headers = arena_printf(sim->work, "X-Current-Queue-Size: %u\r\n", sim->voice.ringing);
    answer.body = sim->reply.bytes;
    answer.len = sim->reply.len;
    answer.delay_ms = fault_between(faults, FAULT_NONE, faults->numbers[NUMBER_LATENCY_MIN_MS],
                                    faults->numbers[NUMBER_LATENCY_MAX_MS]) +
                      (withhold ? faults->numbers[NUMBER_WITHHOLD_MS] : 0) +
                      (early ? faults->numbers[NUMBER_EARLY_MS] : 0);
    sim_answer(sim, conn, &answer);
}

static void place(struct sim *sim, struct conn *conn, const struct dialling *dialling)
{
    const char *refusal = refuses_all(sim, dialling);
    bool early = refusal == NULL && fault_hits(&sim->faults, FAULT_CALL_EARLY);

    str_reset(&sim->reply);
    str_puts(&sim->reply, "{\"entries\":[");
    if (refusal == NULL) {
        call_numbers(sim, dialling, early);
    }
    str_puts(&sim->reply, "],\"errorMessage\":");
    refusal = refusal == NULL ? "None" : refusal;
    quote_json(&sim->reply, refusal, strlen(refusal));
    str_putc(&sim->reply, '}');
    answer_call(sim, conn, strcmp(refusal, "None") == 0, early);
}

void dial_call(struct sim *sim, struct conn *conn, struct request *request)
{
    struct dialling dialling;
    const char *missing;

    sim->voice.requests++;
    if (strcmp(request->api_key, sim->settings.api_key) != 0) {
        sim_answer_unauthorized(sim, conn);
        return;
    }
    if (sim_fails_before(sim, conn, request)) {
        return;
    }
    if (strncmp(request->type, "application/json", 16) == 0) {
        sim_answer_text(sim, conn, 415,
                        "The request's Content-Type is not supported. Expected:\n"
                        "application/x-www-form-urlencoded");
        return;
    }
    dialling = read_form(request);
    missing = missing_field(&dialling);
    if (missing != NULL) {
        sim_answer_text(
            sim, conn, 400,
            arena_printf(sim->work, "Request is missing required form field '%s'", missing));
    } else if (strcmp(dialling.username, sim->settings.username) != 0) {
        sim_answer_unauthorized(sim, conn);
    } else if (strlen(dialling.client_id) > CLIENT_ID_MAX) {
        sim_answer_text(sim, conn, 400, "The simulator takes a clientRequestId up to 512 bytes");
    } else if (!book_has_room(&sim->voice.book, count_numbers(dialling.to))) {
        sim_answer_text(sim, conn, 503,
                        "The simulator is full: raise SIM_CALL_CAPACITY or reset it.");
    } else {
        place(sim, conn, &dialling);
    }
}
