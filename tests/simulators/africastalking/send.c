/*
 * send - POST /version1/messaging, /version1/messaging/bulk and GET /version1/user
 *
 * Order of a send: who is asking; faults of the whole request; is the form complete; is the sender
 * ours; then each recipient for itself; then the faults that strike after acceptance.
 */
#include <string.h>

#include "engine/form.h"
#include "order.h"
#include "parts.h"
#include "reply.h"
#include "sim.h"

#define PHONE_DIGITS_MIN 7
#define PHONE_DIGITS_MAX 15

/* Of the recipients of a partial reply, this share is missing: 1 in 3. */
#define PARTIAL_SHARE 3

/* The faults that a request meets after acceptance. */
struct aftermath {
    bool withhold, close, error, partial, truncated, garbage, early;
};

void sim_answer(struct sim *sim, struct conn *conn, const struct answer *answer)
{
    sim->stats.answers[answer->status]++;
    server_answer(conn, answer);
}

void sim_answer_text(struct sim *sim, struct conn *conn, int status, const char *text)
{
    sim_answer(sim, conn,
               &(struct answer){ .status = status,
                                 .type = "text/plain; charset=UTF-8",
                                 .body = text,
                                 .len = strlen(text) });
}

void sim_drop(struct sim *sim, struct conn *conn)
{
    sim->stats.dropped++;
    server_drop(conn);
}

void sim_answer_unauthorized(struct sim *sim, struct conn *conn)
{
    static const char text[] = "The supplied authentication is invalid";

    sim_answer(sim, conn,
               &(struct answer){ .status = 401,
                                 .type = "text/plain; charset=UTF-8",
                                 .headers = "WWW-Authenticate: Basic realm=\"api\"\r\n",
                                 .body = text,
                                 .len = sizeof(text) - 1 });
}

/* 429 and 503, with Retry-After when that is set. */
static void answer_busy(struct sim *sim, struct conn *conn, int status, const char *text)
{
    int64_t seconds = sim->faults.numbers[NUMBER_RETRY_AFTER_S];
    const char *headers =
        seconds == 0 ? NULL : arena_printf(sim->work, "Retry-After: %lld\r\n", (long long)seconds);

    sim_answer(sim, conn,
               &(struct answer){ .status = status,
                                 .type = "text/plain; charset=UTF-8",
                                 .headers = headers,
                                 .body = text,
                                 .len = strlen(text) });
}

bool sim_fails_before(struct sim *sim, struct conn *conn, const struct request *request)
{
    struct faults *faults = &sim->faults;

    if (request->reused && fault_hits(faults, FAULT_CLOSE_REUSED)) {
        sim_drop(sim, conn);
    } else if (fault_hits(faults, FAULT_UNAUTHORIZED)) {
        sim_answer_unauthorized(sim, conn);
    } else if (fault_hits(faults, FAULT_THROTTLED)) {
        answer_busy(sim, conn, 429, "Too many requests");
    } else if (fault_hits(faults, FAULT_ERROR_500)) {
        sim_answer_text(sim, conn, 500, "There was an internal server error.");
    } else if (fault_hits(faults, FAULT_UNAVAILABLE_503)) {
        answer_busy(sim, conn, 503,
                    "The server was not able to produce a timely response to your request.");
    } else {
        return false;
    }
    return true;
}

int64_t sim_parse_phone(const char *text)
{
    int64_t phone = 0;
    size_t digits = 0;

    if (*text++ != '+' || *text == '0') {
        return 0;
    }
    for (; *text >= '0' && *text <= '9' && digits <= PHONE_DIGITS_MAX; text++) {
        phone = phone * 10 + (*text - '0');
        digits++;
    }
    return *text == '\0' && digits >= PHONE_DIGITS_MIN && digits <= PHONE_DIGITS_MAX ? phone : 0;
}

/* The refusal or the fate of a number. */
static enum fault outcome_of(struct sim *sim, int64_t phone)
{
    struct faults *faults = &sim->faults;
    enum fault outcome = (enum fault)fault_forced_within(faults, phone, 0, FAULT_NO_REPORT);

    if (outcome != FAULT_COUNT) {
        return outcome;
    }
    if (book_is_opted_out(&sim->book, phone)) {
        return FAULT_REFUSE_406;
    }
    outcome = (enum fault)fault_of_number(faults, FAULT_REFUSE_401, FAULT_REFUSE_409, phone);
    for (int fault = FAULT_REFUSE_500; fault <= FAULT_REFUSE_502; fault++) {
        if (outcome == FAULT_NONE && fault_hits(faults, fault)) {
            outcome = (enum fault)fault;
        }
    }
    if (outcome != FAULT_NONE) {
        return outcome;
    }
    return (enum fault)fault_of_number(faults, FAULT_FAILED, FAULT_NO_REPORT, phone);
}

uint64_t sim_hash_text(uint64_t seed, const char *text)
{
    for (; *text != '\0'; text++) {
        seed = (seed ^ (unsigned char)*text) * 0x100000001B3ULL;
    }
    return fault_mix(seed);
}

static void count_accepted(struct sim *sim, uint32_t count)
{
    struct stats *stats = &sim->stats;
    int64_t bucket;

    if (stats->accepted == 0) {
        stats->first_accept_ms = loop_wall_ms(&sim->loop);
        stats->first_mono_ms = sim->loop.now_ms;
    }
    stats->accepted += count;
    stats->last_accept_ms = loop_wall_ms(&sim->loop);
    bucket = (sim->loop.now_ms - stats->first_mono_ms) / SIM_BUCKET_MS;
    if (bucket < SIM_BUCKETS_MAX) {
        stats->buckets[bucket] += count;
        stats->bucket_count = (uint32_t)bucket + 1;
    }
}

/* Decides each recipient, books and charges the accepted ones. */
static void accept_order(struct sim *sim, const struct order *order, struct result *results,
                         struct reply *reply, bool early)
{
    uint64_t hash =
        sim_hash_text(sim_hash_text(1, order->sender == NULL ? "" : order->sender), order->message);
    size_t text_len = strlen(order->message);
    uint32_t text = book_add_text(&sim->book, order->message, text_len);

    reply->parts = parts_count(order->message, text_len);
    for (size_t i = 0; i < order->count; i++) {
        struct result *result = &results[i];
        int64_t phone = sim_parse_phone(order->numbers[i]);
        enum fault outcome = phone == 0 ? FAULT_REFUSE_403 : outcome_of(sim, phone);

        result->number = order->numbers[i];
        result->cost_e4 = sim->settings.price_e4 * reply->parts;
        if (reply_code(outcome) == 0 && sim->balance_e4 < result->cost_e4) {
            outcome = FAULT_REFUSE_405;
        }
        if (reply_code(outcome) != 0) {
            result->refusal = outcome;
            sim->stats.refused[outcome]++;
            continue;
        }
        sim->balance_e4 -= result->cost_e4;
        reply->total_e4 += result->cost_e4;
        reply->accepted++;
        sim->stats.parts += (uint64_t)reply->parts;
        result->index = book_add(&sim->book,
                                 (struct entry){ .phone = phone,
                                                 .hash = fault_mix(hash ^ (uint64_t)phone),
                                                 .text = text,
                                                 .parts = (uint8_t)reply->parts,
                                                 .fate = (uint8_t)outcome },
                                 sim->loop.now_ms);
        reports_plan(&sim->reports, result->index, early);
    }
    if (reply->accepted > 0) {
        count_accepted(sim, (uint32_t)reply->accepted);
    }
}

/* More recipients in this second of the clock than rate_limit_per_s allows? */
static bool is_over_rate(struct sim *sim, size_t count)
{
    struct stats *stats = &sim->stats;
    int64_t limit = sim->faults.numbers[NUMBER_RATE_LIMIT_PER_S];
    int64_t second = loop_wall_ms(&sim->loop) / 1000;

    if (limit == 0) {
        return false;
    }
    if (second != stats->rate_second) {
        stats->rate_second = second;
        stats->rate_count = 0;
    }
    if (stats->rate_count > 0 && stats->rate_count + (int64_t)count > limit) {
        stats->rate_limited++;
        return true;
    }
    stats->rate_count += (int64_t)count;
    return false;
}

static struct aftermath draw_aftermath(struct faults *faults)
{
    return (struct aftermath){
        .withhold = fault_hits(faults, FAULT_WITHHOLD),
        .close = fault_hits(faults, FAULT_CLOSE_ACCEPTED),
        .error = fault_hits(faults, FAULT_ERROR_500_ACCEPTED),
        .partial = fault_hits(faults, FAULT_PARTIAL),
        .truncated = fault_hits(faults, FAULT_TRUNCATED),
        .garbage = fault_hits(faults, FAULT_GARBAGE),
        .early = fault_hits(faults, FAULT_REPORT_EARLY),
    };
}

/* At least one recipient of several goes missing, never the first. */
static void lose_results(struct sim *sim, struct result *results, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        results[i].missing =
            i == count - 1 || fault_between(&sim->faults, FAULT_PARTIAL, 1, PARTIAL_SHARE) == 1;
    }
}

static void answer_order(struct sim *sim, struct conn *conn, const struct request *request,
                         const struct reply *reply, const struct aftermath *after)
{
    const int64_t *numbers = sim->faults.numbers;
    struct answer answer = { .status = 201, .type = "application/json; charset=utf-8" };

    if (reply->error == NULL && after->close) {
        sim_drop(sim, conn);
        return;
    }
    str_reset(&sim->reply);
    if (after->garbage) {
        str_puts(&sim->reply, "<html><body>\xff\xfe Bad \"gateway{[</body>");
    } else if (strstr(request->accept, "application/json") != NULL) {
        reply_put_json(&sim->reply, reply);
    } else {
        reply_put_xml(&sim->reply, reply);
        answer.type = "application/xml; charset=UTF-8";
    }
    if (after->error) {
        answer.status = 500;
        answer.type = "text/plain; charset=UTF-8";
        str_reset(&sim->reply);
        str_puts(&sim->reply, "There was an internal server error.");
    }
    answer.body = sim->reply.bytes;
    answer.len = sim->reply.len;
    answer.cut = after->truncated ? sim->reply.len / 2 : 0;
    answer.delay_ms = fault_between(&sim->faults, FAULT_NONE, numbers[NUMBER_LATENCY_MIN_MS],
                                    numbers[NUMBER_LATENCY_MAX_MS]);
    answer.delay_ms += after->withhold ? numbers[NUMBER_WITHHOLD_MS] : 0;
    answer.delay_ms += after->early ? numbers[NUMBER_EARLY_MS] : 0;
    sim_answer(sim, conn, &answer);
}

/* HTTP 409 with the usual body, every recipient refused for the hour of the day. */
static void answer_conflict(struct sim *sim, struct conn *conn, const struct order *order,
                            struct reply *reply, struct result *results)
{
    for (size_t i = 0; i < order->count; i++) {
        results[i] = (struct result){ .number = order->numbers[i], .refusal = FAULT_REFUSE_409 };
    }
    sim->stats.refused[FAULT_REFUSE_409] += order->count;
    str_reset(&sim->reply);
    reply_put_json(&sim->reply, reply);
    sim_answer(sim, conn,
               &(struct answer){ .status = 409,
                                 .type = "application/json; charset=utf-8",
                                 .body = sim->reply.bytes,
                                 .len = sim->reply.len });
}

void send_messaging(struct sim *sim, struct conn *conn, struct request *request)
{
    const struct settings *settings = &sim->settings;
    struct order order = { 0 };
    struct aftermath after = { 0 };
    struct reply reply = {
        .book = &sim->book,
        .message_parts = settings->message_parts,
        .currency = settings->currency,
        .total_currency =
            settings->total_currency[0] == '\0' ? settings->currency : settings->total_currency,
    };
    struct result *results;
    const char *problem;
    int status;

    sim->stats.requests++;
    if (strcmp(request->api_key, settings->api_key) != 0) {
        sim_answer_unauthorized(sim, conn);
        return;
    }
    if (sim_fails_before(sim, conn, request)) {
        return;
    }
    status = order_read(request, sim->work, &order, &problem);
    if (status != 0) {
        sim_answer_text(sim, conn, status, problem);
        return;
    }
    if (strcmp(order.username, settings->username) != 0) {
        sim_answer_unauthorized(sim, conn);
        return;
    }
    results = arena_array(sim->work, order.count + 1, sizeof(*results));
    reply.results = results;
    reply.count = order.count;
    reply.accepted_code = order.accepted_code;
    if (fault_hits(&sim->faults, FAULT_CONFLICT_409)) {
        answer_conflict(sim, conn, &order, &reply, results);
        return;
    }
    if (is_over_rate(sim, order.count)) {
        answer_busy(sim, conn, 429, "Too many requests");
        return;
    }
    if (!book_has_room(&sim->book, order.count)) {
        sim_answer_text(sim, conn, 503, "The simulator is full: raise SIM_CAPACITY or reset it.");
        return;
    }
    if (order.sender != NULL && !settings_allow_sender(settings, order.sender)) {
        reply.error = "InvalidSenderId";
        sim->stats.refused[FAULT_REFUSE_402] += order.count;
    } else {
        after = draw_aftermath(&sim->faults);
        accept_order(sim, &order, results, &reply, after.early);
        if (after.partial) {
            lose_results(sim, results, order.count);
        }
    }
    answer_order(sim, conn, request, &reply, &after);
}

void send_user(struct sim *sim, struct conn *conn, struct request *request)
{
    struct form form = { request->query, request->query + strlen(request->query) };
    bool json = strstr(request->accept, "application/json") != NULL;
    const char *username = "";
    char *name;
    char *value;

    sim->stats.requests++;
    while (form_next(&form, &name, &value)) {
        if (strcmp(name, "username") == 0) {
            username = value;
        }
    }
    if (strcmp(request->api_key, sim->settings.api_key) != 0 ||
        strcmp(username, sim->settings.username) != 0) {
        sim_answer_unauthorized(sim, conn);
        return;
    }
    str_reset(&sim->reply);
    str_puts(&sim->reply, json ? "{\"UserData\":{\"balance\":\""
                               : "<AfricasTalkingResponse><UserData><balance>");
    reply_put_money(&sim->reply, sim->settings.currency, sim->balance_e4);
    str_puts(&sim->reply, json ? "\"}}" : "</balance></UserData></AfricasTalkingResponse>");
    sim_answer(sim, conn,
               &(struct answer){ .status = 200,
                                 .type = json ? "application/json; charset=utf-8"
                                              : "application/xml; charset=UTF-8",
                                 .body = sim->reply.bytes,
                                 .len = sim->reply.len });
}
