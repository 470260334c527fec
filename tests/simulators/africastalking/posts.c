/*
 * posts - what is posted about a call, and our XML that comes back
 */
#include <string.h>

#include "base/clock.h"
#include "engine/form.h"
#include "engine/pages.h"
#include "reply.h"
#include "sim.h"
#include "xml.h"

#define FIRST_RING 4096
#define XML_KEEP_BYTES ((size_t)65536)

/* timer.reason */
#define IS_COPY 1

static bool wants_xml(const struct timer *timer)
{
    return timer->word <= VOICE_POST_REDIRECT && timer->reason != IS_COPY;
}

static bool is_event(enum voice_post kind)
{
    return kind >= VOICE_EVENT_RINGING;
}

static const struct route *find_route(struct voice *voice, const char *host)
{
    struct route *route;
    char with_port[sizeof(route->host) + 4];
    struct err err;

    for (uint32_t i = 0; i < voice->route_count && i < VOICE_ROUTES; i++) {
        if (strcmp(voice->routes[i].host, host) == 0) {
            return &voice->routes[i];
        }
    }
    route = &voice->routes[voice->route_count++ % VOICE_ROUTES];
    *route = (struct route){ 0 };
    memcpy(route->host, host, strlen(host) + 1);
    memcpy(with_port, host, strlen(host) + 1);
    if (strchr(host, ':') == NULL) {
        memcpy(with_port + strlen(host), ":80", 4);
    }
    route->known = server_resolve(with_port, &route->address, &err);
    return route;
}

bool voice_route(struct sim *sim, const char *method, const char *url, struct post *post)
{
    char host[sizeof(((struct route *)NULL)->host)];
    const struct route *route;
    const char *path;

    if (strncmp(url, "http:", 5) != 0 || !poster_split(url, host, sizeof(host), &path)) {
        return false;
    }
    route = find_route(&sim->voice, host);
    if (!route->known) {
        return false;
    }
    post->address = route->address;
    str_puts(&post->head, method);
    str_putc(&post->head, ' ');
    str_puts(&post->head, path);
    str_puts(&post->head, " HTTP/1.1\r\nHost: ");
    str_puts(&post->head, host);
    str_puts(&post->head, "\r\nUser-Agent: akka-http/10.2.10\r\n");
    if (strcmp(method, "POST") == 0) {
        str_puts(&post->head, "Content-Type: application/x-www-form-urlencoded\r\n");
    }
    str_puts(&post->head, "Content-Length: ");
    return true;
}

static void put_amount(struct str *out, int64_t amount_e4)
{
    char text[32] = "0";
    struct str money = { 0 };

    if (amount_e4 > 0) {
        reply_put_money(&money, "", amount_e4);
        memcpy(text, money.bytes + 1, money.len < sizeof(text) ? money.len : sizeof(text) - 1);
        str_free(&money);
    }
    form_put(out, "amount", text);
}

static void put_start(struct sim *sim, const struct call *call, struct str *out)
{
    char date[CLOCK_RFC3339_BYTES] = "None";

    if (call->answered_ms > 0) {
        clock_format(sim->voice.book.start_ms + sim->loop.wall_offset_ms + call->answered_ms, date);
        date[10] = ' ';
        date[19] = '\0';
    }
    form_put(out, "callStartTime", date);
}

static void put_number(struct str *out, const char *name, int64_t value)
{
    struct str text = { 0 };

    str_put_int(&text, value);
    form_put(out, name, text.bytes);
    str_free(&text);
}

/* Why and how it ended. */
static void put_end(struct sim *sim, uint32_t index, struct str *out)
{
    const struct call *call = &sim->voice.calls[index];
    int fate = book_entry(&sim->voice.book, index)->fate;
    const char *status = "Success";
    const char *cause = "NORMAL_CLEARING";

    if (call->end == CALL_END_DROPPED) {
        status = "Aborted";
        cause = "NORMAL_TEMPORARY_FAILURE";
    } else if (call->end == CALL_END_UNANSWERED) {
        status = fate == FAULT_CALL_REJECTED ? "Aborted" : "NotAnswered";
        cause = fate == FAULT_CALL_BUSY        ? "USER_BUSY"
                : fate == FAULT_CALL_REJECTED  ? "CALL_REJECTED"
                : fate == FAULT_CALL_NO_ANSWER ? "NO_ANSWER"
                                               : "SUBSCRIBER_ABSENT";
    }
    put_number(out, "durationInSeconds", voice_duration_s(call));
    form_put(out, "currencyCode", sim->settings.currency);
    put_amount(out, call->amount_e4);
    form_put(out, "status", status);
    form_put(out, "hangupCause", cause);
}

static const char *state_word(const struct call *call, enum voice_post kind)
{
    if (kind == VOICE_POST_FINAL || kind == VOICE_EVENT_FINAL) {
        return call->end == CALL_END_UNANSWERED ? "NotAnswered" : "Completed";
    }
    if (kind == VOICE_EVENT_RINGING) {
        return "Ringing";
    }
    return kind == VOICE_POST_ANSWERED || kind == VOICE_EVENT_ANSWERED ? "Answered" : "Active";
}

static void put_body(struct sim *sim, const struct timer *timer, struct str *out)
{
    const struct voice *voice = &sim->voice;
    const struct call *call = &voice->calls[timer->subject];
    enum voice_post kind = (enum voice_post)timer->word;
    bool is_final = kind == VOICE_POST_FINAL || kind == VOICE_EVENT_FINAL;
    int64_t phone = book_entry(&voice->book, timer->subject)->phone;
    int64_t country = phone;
    char id[BOOK_ID_BYTES];
    char from[24];
    char number[24] = "+";
    const char *client_id;
    struct str digits = { 0 };

    str_put_int(&digits, phone);
    memcpy(number + 1, digits.bytes, digits.len + 1);
    str_free(&digits);
    while (country > 999) {
        country /= 10;
    }
    country = country / 10 == 20 || country / 10 == 27 ? country / 10 : country;
    calls_id(voice, timer->subject, id);
    calls_request(voice, timer->subject, from, &client_id);
    form_put(out, "isActive", is_final ? "0" : "1");
    form_put(out, "sessionId", id);
    form_put(out, "direction", "Outbound");
    form_put(out, "callerNumber", number);
    form_put(out, "destinationNumber", from);
    put_number(out, "callerCountryCode", country);
    form_put(out, "callerCarrierName", "None");
    put_start(sim, call, out);
    form_put(out, "callSessionState", state_word(call, kind));
    if (kind == VOICE_POST_DIGITS && call->leg != 0) {
        form_put(out, "dtmfDigits", voice->legs[call->leg - 1].digits);
    }
    if (is_final) {
        put_end(sim, timer->subject, out);
    }
    if (*client_id != '\0' && (is_event(kind) || sim->settings.voice_client_id)) {
        form_put(out, "clientRequestId", client_id);
    }
}

static const char *url_of(const struct sim *sim, const struct timer *timer)
{
    const struct call *call = &sim->voice.calls[timer->subject];

    if (is_event((enum voice_post)timer->word)) {
        return sim->settings.voice_events_url;
    }
    if (call->leg != 0 && sim->voice.legs[call->leg - 1].url.len > 0) {
        return sim->voice.legs[call->leg - 1].url.bytes;
    }
    return sim->settings.voice_url;
}

static void queue(struct voice *voice, const struct timer *timer)
{
    if (voice->due_count == voice->due_size) {
        uint32_t size = voice->due_size;
        struct timer *due = pages_map((size_t)size * 2 * sizeof(*due));

        for (uint32_t i = 0; i < size; i++) {
            due[i] = voice->due[(voice->due_first + i) % size];
        }
        pages_unmap(voice->due, size * sizeof(*due));
        voice->due = due;
        voice->due_first = 0;
        voice->due_size = size * 2;
    }
    voice->due[(voice->due_first + voice->due_count) % voice->due_size] = *timer;
    voice->due_count++;
}

void voice_post_due(struct sim *sim, const struct timer *timer)
{
    queue(&sim->voice, timer);
}

void voice_post(struct sim *sim, uint32_t index, enum voice_post kind, int64_t after_ms,
                bool is_copy)
{
    struct voice *voice = &sim->voice;
    struct timer timer = { .kind = TIMER_CALL_POST,
                           .subject = index,
                           .word = (uint8_t)kind,
                           .reason = is_copy ? IS_COPY : 0 };
    int64_t copies = 0;

    if (*url_of(sim, &timer) == '\0') {
        return;
    }
    if ((kind == VOICE_POST_FINAL || kind == VOICE_EVENT_FINAL) &&
        fault_hits(&sim->faults, FAULT_CALL_LOST)) {
        voice->lost++;
        return;
    }
    if (fault_hits(&sim->faults, FAULT_CALL_DOUBLED)) {
        copies = sim->faults.numbers[NUMBER_CALL_COPIES] - 1;
    }
    for (int64_t i = 0; i <= copies; i++) {
        voice->planned++;
        if (after_ms > 0) {
            wheel_add(&sim->wheel, sim->loop.now_ms + after_ms, timer);
        } else {
            queue(voice, &timer);
        }
        timer.reason = IS_COPY;
    }
}

/* Without the leg that it is about, a copy has nothing to say any more. */
static bool is_stale(const struct voice *voice, const struct timer *timer)
{
    return (timer->word == VOICE_POST_DIGITS || timer->word == VOICE_POST_REDIRECT) &&
           voice->calls[timer->subject].leg == 0;
}

static bool next_post(void *context, uint32_t slot, struct post *post)
{
    struct sim *sim = context;
    struct voice *voice = &sim->voice;

    while (voice->due_count > 0 && !sim->reports.stopped) {
        struct voice_flight *flight = &voice->in_flight[slot];

        flight->timer = voice->due[voice->due_first];
        voice->due_first = (voice->due_first + 1) % voice->due_size;
        voice->due_count--;
        if (!is_stale(voice, &flight->timer) &&
            voice_route(sim, "POST", url_of(sim, &flight->timer), post)) {
            voice->posted[flight->timer.word]++;
            put_body(sim, &flight->timer, &post->body);
            flight->started_us = clock_mono_us();
            return true;
        }
        voice->given_up++;
        if (wants_xml(&flight->timer)) {
            voice_end(sim, flight->timer.subject, CALL_END_DROPPED);
        }
    }
    return false;
}

/* No usable XML: asked once more, then the call is dropped. */
static void ask_again(struct sim *sim, const struct timer *timer, const char *problem)
{
    struct voice *voice = &sim->voice;
    struct timer again = *timer;
    size_t len = strlen(problem);

    len = len < sizeof(voice->xml_problem) ? len : sizeof(voice->xml_problem) - 1;
    memcpy(voice->xml_problem, problem, len);
    voice->xml_problem[len] = '\0';
    if (timer->attempt > 0) {
        voice->given_up++;
        voice_end(sim, timer->subject, CALL_END_DROPPED);
        return;
    }
    voice->retried++;
    again.attempt = 1;
    queue(voice, &again);
}

static void take_xml(struct sim *sim, const struct timer *timer, const struct poster_answer *answer)
{
    struct voice *voice = &sim->voice;
    const struct call *call = &voice->calls[timer->subject];
    const char *problem = "not answered with 200 or 201";
    struct script *script;
    struct leg *leg;

    if (call->state != CALL_ANSWERED || call->leg == 0) {
        return;
    }
    arena_reset(sim->work);
    script = arena_alloc(sim->work, sizeof(*script));
    if (answer->status != 200 && answer->status != 201) {
        voice->refused++;
    } else if (answer->bytes > answer->kept ||
               !xml_read(answer->body, answer->kept, sim->work, script, &problem)) {
        problem = answer->bytes > answer->kept ? "longer than 64 KiB" : problem;
        voice->xml_malformed++;
    } else {
        voice->answered++;
        voice->xml_read++;
        leg = &voice->legs[call->leg - 1];
        str_reset(&leg->xml);
        str_append(&leg->xml, answer->body, answer->kept);
        voice_follow(sim, timer->subject);
        return;
    }
    ask_again(sim, timer, problem);
}

static void post_answered(void *context, uint32_t slot, const struct poster_answer *answer)
{
    struct sim *sim = context;
    struct voice *voice = &sim->voice;
    struct timer timer = voice->in_flight[slot].timer;
    int64_t took_us = clock_mono_us() - voice->in_flight[slot].started_us;

    if (!wants_xml(&timer)) {
        return;
    }
    voice->xml_count++;
    voice->xml_total_us += (uint64_t)took_us;
    voice->xml_max_us =
        (uint64_t)took_us > voice->xml_max_us ? (uint64_t)took_us : voice->xml_max_us;
    voice->xml_times[took_us / XML_STEP_US < XML_STEPS ? took_us / XML_STEP_US : XML_STEPS - 1]++;
    take_xml(sim, &timer, answer);
}

/* A post that only tells: repeated as delivery reports are. */
static void told(struct sim *sim, const struct timer *timer, int status)
{
    struct voice *voice = &sim->voice;
    const struct settings *settings = &sim->settings;
    struct timer again = *timer;

    if (status >= 200 && status < 300) {
        voice->answered++;
        if (timer->word == VOICE_POST_FINAL) {
            voice->calls[timer->subject].told = true;
        }
        return;
    }
    voice->broken += status == 0;
    voice->refused += status != 0;
    if (timer->attempt >= settings->report_retries || timer->word < VOICE_POST_FINAL) {
        voice->given_up++;
        return;
    }
    voice->retried++;
    again.attempt++;
    wheel_add(&sim->wheel,
              sim->loop.now_ms +
                  (settings->report_retry_ms << (timer->attempt < 10 ? timer->attempt : 10)),
              again);
}

static void post_done(void *context, uint32_t slot, int status)
{
    struct sim *sim = context;
    struct voice *voice = &sim->voice;
    struct timer timer = voice->in_flight[slot].timer;
    int64_t took_us = clock_mono_us() - voice->in_flight[slot].started_us;

    if (!wants_xml(&timer)) {
        told(sim, &timer, status);
        return;
    }
    if (status != 0) {
        return; /* post_answered() has seen to it */
    }
    voice->broken++;
    if (took_us / 1000 >= sim->settings.voice_timeout_ms) {
        timer.attempt = 1; /* too late for this call */
    }
    ask_again(sim, &timer, "the connection broke or timed out");
}

bool voice_posts_open(struct sim *sim, struct err *err)
{
    struct voice *voice = &sim->voice;
    uint32_t connections = (uint32_t)sim->settings.voice_connections;
    const char *urls[] = { sim->settings.voice_url, sim->settings.voice_events_url };

    for (size_t i = 0; i < 2; i++) {
        struct post post = { 0 };
        bool ok = *urls[i] == '\0' || voice_route(sim, "POST", urls[i], &post);

        str_free(&post.head);
        if (!ok) {
            return err_permanent(err, "bad_url", "'%.100s' is no http URL of a host we know",
                                 urls[i]);
        }
    }
    voice->due_size = FIRST_RING;
    voice->due = pages_map(FIRST_RING * sizeof(struct timer));
    voice->in_flight = arena_array(sim->arena, connections, sizeof(struct voice_flight));
    voice->poster = (struct poster){
        .loop = &sim->loop,
        .next = next_post,
        .done = post_done,
        .answered = post_answered,
        .keep_bytes = XML_KEEP_BYTES,
        .context = sim,
        .timeout_ms = sim->settings.voice_timeout_ms,
    };
    return poster_open(&voice->poster, NULL, connections, sim->arena, err);
}
