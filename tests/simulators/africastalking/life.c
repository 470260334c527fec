/*
 * life - what becomes of a call: ringing, answered, listening, ended
 */
#include <string.h>

#include "engine/pages.h"
#include "sim.h"
#include "xml.h"

/* With call_reordered the end is told first; this is how much later the rest comes. */
#define REORDER_MIN_MS 10
#define REORDER_MAX_MS 200

int64_t voice_real_ms(const struct sim *sim, int64_t ms)
{
    int64_t speed = sim->faults.numbers[NUMBER_SPEED];

    return speed > 1 ? ms / speed : ms;
}

static void after(struct sim *sim, uint32_t index, int kind, int64_t ms)
{
    wheel_add(&sim->wheel, sim->loop.now_ms + voice_real_ms(sim, ms),
              (struct timer){ .kind = (uint8_t)kind, .subject = index });
}

static struct leg *take_leg(struct voice *voice, uint32_t index)
{
    struct leg *leg;

    if (voice->leg_free != 0) {
        leg = &voice->legs[voice->leg_free - 1];
        voice->leg_free = leg->next_free;
    } else {
        leg = &voice->legs[voice->leg_used++]; /* as many as calls */
    }
    str_reset(&leg->xml);
    str_reset(&leg->url);
    leg->digits[0] = '\0';
    leg->presses = 0;
    leg->next_waiting = 0;
    leg->call = index;
    voice->calls[index].leg = (uint32_t)(leg - voice->legs) + 1;
    return leg;
}

static void free_leg(struct voice *voice, struct call *call)
{
    if (call->leg != 0) {
        voice->legs[call->leg - 1].next_free = voice->leg_free;
        voice->leg_free = call->leg;
        call->leg = 0;
    }
}

void voice_ring(struct sim *sim, uint32_t index, bool early)
{
    struct voice *voice = &sim->voice;
    const int64_t *numbers = sim->faults.numbers;
    enum fault fate = (enum fault)book_entry(&voice->book, index)->fate;
    int64_t ring_ms = 0;

    voice->calls[index] = (struct call){ .state = CALL_RINGING };
    voice->outcomes[fate]++;
    voice->ringing++;
    voice->live++;
    voice->live_max = voice->live > voice->live_max ? voice->live : voice->live_max;
    if (!early) {
        ring_ms = fate == FAULT_CALL_NO_ANSWER
                      ? numbers[NUMBER_NO_ANSWER_MS]
                      : fault_between(&sim->faults, FAULT_CALL_ANSWERS, numbers[NUMBER_RING_MIN_MS],
                                      numbers[NUMBER_RING_MAX_MS]);
    }
    if (fault_hits(&sim->faults, FAULT_CALL_PROGRESS)) {
        voice_post(sim, index, VOICE_EVENT_RINGING, 0, false);
    }
    after(sim, index, TIMER_CALL_RUNG, ring_ms);
}

/* The callee takes the call. */
static void answer(struct sim *sim, uint32_t index)
{
    struct voice *voice = &sim->voice;
    struct call *call = &voice->calls[index];

    call->state = CALL_ANSWERED;
    call->answered_ms = (uint32_t)(sim->loop.now_ms - voice->book.start_ms);
    if (fault_hits(&sim->faults, FAULT_CALL_REORDERED)) {
        voice_post(
            sim, index, VOICE_POST_ANSWERED,
            fault_between(&sim->faults, FAULT_CALL_REORDERED, REORDER_MIN_MS, REORDER_MAX_MS),
            true);
        call->heard_ms = 1000;
        voice_end(sim, index, CALL_END_HUNG_UP);
        return;
    }
    (void)take_leg(voice, index);
    if (fault_hits(&sim->faults, FAULT_CALL_PROGRESS)) {
        voice_post(sim, index, VOICE_EVENT_ANSWERED, 0, false);
    }
    if (*sim->settings.voice_url == '\0' || fault_hits(&sim->faults, FAULT_CALL_ACTION_LOST)) {
        voice_end(sim, index, CALL_END_DROPPED);
        return;
    }
    voice_post(sim, index, VOICE_POST_ANSWERED, 0, false);
}

static void rung(struct sim *sim, uint32_t index)
{
    enum fault fate = (enum fault)book_entry(&sim->voice.book, index)->fate;

    sim->voice.ringing--;
    if (fate == FAULT_CALL_ANSWERS || fate == FAULT_CALL_VOICEMAIL ||
        fate == FAULT_CALL_HANGS_UP_EARLY) {
        answer(sim, index);
    } else {
        voice_end(sim, index, CALL_END_UNANSWERED);
    }
}

/* The audio of the document, all of it known? If not the call waits. */
static bool has_audio(struct sim *sim, const struct script *script, uint32_t index)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct element *element = &script->elements[i];
        bool plays = element->kind == ELEMENT_PLAY || element->prompt == ELEMENT_PLAY;
        struct media *media = plays ? media_find(sim, element->url) : NULL;

        if (media != NULL && !media_is_ready(sim, media, index)) {
            return false;
        }
    }
    return true;
}

static uint32_t listen_ms(struct sim *sim, enum element_kind kind, const struct element *element)
{
    const int64_t *numbers = sim->faults.numbers;
    struct media *media;

    if (kind == ELEMENT_SAY) {
        return (uint32_t)(element->chars * (size_t)numbers[NUMBER_SAY_CHAR_MS]);
    }
    if (kind != ELEMENT_PLAY) {
        return 0;
    }
    media = media_find(sim, element->url);
    if (media == NULL || media->status != 200) {
        return 0;
    }
    if (fault_hits(&sim->faults, FAULT_MEDIA_EACH)) {
        media_fetch_again(sim, media);
    }
    return numbers[NUMBER_PLAY_MS] > 0 ? (uint32_t)numbers[NUMBER_PLAY_MS] : media->length_ms;
}

static enum fault key_of(struct sim *sim, uint32_t index)
{
    const struct entry *entry = book_entry(&sim->voice.book, index);
    int key = fault_forced_within(&sim->faults, entry->phone, FAULT_PRESS_0, FAULT_PRESS_NOTHING);

    if (entry->fate == FAULT_CALL_VOICEMAIL) {
        return FAULT_PRESS_NOTHING;
    }
    if (key == FAULT_COUNT) {
        key = fault_of_number(&sim->faults, FAULT_PRESS_0, FAULT_PRESS_NOTHING, entry->phone);
    }
    return key == FAULT_NONE ? FAULT_PRESS_NOTHING : (enum fault)key;
}

static void remember_key(struct call *call, char key)
{
    size_t len = strlen(call->keys);

    if (len == CALL_KEYS_BYTES - 1) {
        memmove(call->keys, call->keys + 1, len);
        len--;
    }
    call->keys[len] = key;
    call->keys[len + 1] = '\0';
}

/* Asked for digits: presses some, or lets the time pass; true when something is to be posted. */
static bool press(struct sim *sim, uint32_t index, const struct element *element,
                  uint32_t *in_out_ms)
{
    struct call *call = &sim->voice.calls[index];
    struct leg *leg = &sim->voice.legs[call->leg - 1];
    enum fault key = key_of(sim, index);
    size_t count = element->num_digits > 0 ? (size_t)element->num_digits : 1;

    if (key == FAULT_PRESS_NOTHING || leg->presses >= sim->faults.numbers[NUMBER_PRESS_TIMES] ||
        leg->presses == UINT8_MAX) {
        *in_out_ms += (uint32_t)element->timeout_s * 1000;
        return false;
    }
    leg->presses++;
    if (key == FAULT_PRESS_UNDEFINED) {
        *in_out_ms += (uint32_t)element->timeout_s * 1000;
        memcpy(leg->digits, "undefined", sizeof("undefined"));
    } else {
        char digit = (char)('0' + (int)key - FAULT_PRESS_0);

        count = count < sizeof(leg->digits) ? count : sizeof(leg->digits) - 1;
        memset(leg->digits, digit, count);
        leg->digits[count] = '\0';
        *in_out_ms += (uint32_t)sim->faults.numbers[NUMBER_PRESS_MS];
        remember_key(call, digit);
    }
    if (element->callback_url != NULL) {
        str_reset(&leg->url);
        str_puts(&leg->url, element->callback_url);
    }
    return true;
}

/* When the callee has heard enough, of the call's own time; 0: never. */
static uint32_t patience_ms(const struct sim *sim, uint32_t index)
{
    const int64_t *numbers = sim->faults.numbers;
    bool early = book_entry(&sim->voice.book, index)->fate == FAULT_CALL_HANGS_UP_EARLY;
    int64_t limit_ms = numbers[NUMBER_HANG_UP_MS];

    if (early && (limit_ms == 0 || numbers[NUMBER_HANG_UP_EARLY_MS] < limit_ms)) {
        limit_ms = numbers[NUMBER_HANG_UP_EARLY_MS];
    }
    return (uint32_t)limit_ms;
}

/* Goes through the document up to its end or to the next post; returns how long that takes. */
static uint32_t walk(struct sim *sim, uint32_t index, const struct script *script, struct leg *leg)
{
    uint32_t ms = 0;

    leg->next = LEG_COMPLETE;
    for (size_t i = 0; i < script->count && leg->next == LEG_COMPLETE; i++) {
        const struct element *element = &script->elements[i];

        switch (element->kind) {
        case ELEMENT_GET_DIGITS:
            ms += listen_ms(sim, element->prompt, element);
            leg->next = press(sim, index, element, &ms) ? LEG_DIGITS : LEG_COMPLETE;
            break;
        case ELEMENT_REDIRECT:
            str_reset(&leg->url);
            str_puts(&leg->url, element->url);
            leg->next = LEG_REDIRECT;
            break;
        case ELEMENT_SAY:
        case ELEMENT_PLAY:
        case ELEMENT_NONE:
            ms += listen_ms(sim, element->kind, element);
        }
    }
    return ms;
}

void voice_follow(struct sim *sim, uint32_t index)
{
    struct call *call = &sim->voice.calls[index];
    struct leg *leg;
    struct script *script;
    const char *problem;
    uint32_t patience = patience_ms(sim, index);
    uint32_t ms;

    if (call->state != CALL_ANSWERED || call->leg == 0) {
        return;
    }
    leg = &sim->voice.legs[call->leg - 1];
    arena_reset(sim->work);
    script = arena_alloc(sim->work, sizeof(*script));
    if (!xml_read(leg->xml.bytes, leg->xml.len, sim->work, script, &problem)) {
        voice_end(sim, index, CALL_END_DROPPED); /* it was read before: cannot be */
        return;
    }
    if (!has_audio(sim, script, index)) {
        return;
    }
    ms = walk(sim, index, script, leg);
    if (patience > 0 && call->heard_ms + ms >= patience) {
        ms = patience > call->heard_ms ? patience - call->heard_ms : 0;
        leg->next = LEG_HANG_UP;
    }
    call->heard_ms += ms;
    after(sim, index, TIMER_CALL_STEP, ms);
}

static void step(struct sim *sim, uint32_t index)
{
    struct call *call = &sim->voice.calls[index];

    if (call->state != CALL_ANSWERED || call->leg == 0) {
        return;
    }
    switch ((enum leg_next)sim->voice.legs[call->leg - 1].next) {
    case LEG_DIGITS:
        voice_post(sim, index, VOICE_POST_DIGITS, 0, false);
        break;
    case LEG_REDIRECT:
        voice_post(sim, index, VOICE_POST_REDIRECT, 0, false);
        break;
    case LEG_HANG_UP:
        voice_end(sim, index, CALL_END_HUNG_UP);
        break;
    case LEG_COMPLETE:
        voice_end(sim, index, CALL_END_COMPLETED);
    }
}

uint32_t voice_duration_s(const struct call *call)
{
    if (call->end == CALL_END_UNANSWERED || call->end == CALL_END_NONE) {
        return 0;
    }
    return call->heard_ms == 0 ? 1 : (call->heard_ms + 999) / 1000;
}

void voice_end(struct sim *sim, uint32_t index, enum call_end end)
{
    struct voice *voice = &sim->voice;
    struct call *call = &voice->calls[index];
    int64_t late_ms = 0;
    uint32_t minutes;

    if (call->state == CALL_ENDED) {
        return;
    }
    call->state = CALL_ENDED;
    call->end = (uint8_t)end;
    call->ended_ms = (uint32_t)(sim->loop.now_ms - voice->book.start_ms);
    voice->live--;
    voice->ends[end]++;
    minutes = (voice_duration_s(call) + 59) / 60;
    call->amount_e4 = minutes * sim->settings.call_price_e4;
    voice->minutes += minutes;
    voice->amount_e4 += call->amount_e4;
    sim->balance_e4 -= call->amount_e4;
    free_leg(voice, call);
    if (fault_hits(&sim->faults, FAULT_CALL_LATE)) {
        late_ms = sim->faults.numbers[NUMBER_CALL_LATE_MS];
    }
    voice_post(sim, index, VOICE_POST_FINAL, late_ms, false);
    voice_post(sim, index, VOICE_EVENT_FINAL, late_ms, false);
}

void voice_fire(struct sim *sim, const struct timer *timer)
{
    if (timer->kind == TIMER_CALL_RUNG) {
        rung(sim, timer->subject);
    } else if (timer->kind == TIMER_CALL_STEP) {
        step(sim, timer->subject);
    } else {
        voice_post_due(sim, timer);
    }
}

bool voice_waits(const struct voice *voice)
{
    return voice->due_count > 0 || voice->shelf.job_count > 0;
}

bool voice_open(struct sim *sim, struct err *err)
{
    struct voice *voice = &sim->voice;
    size_t capacity = (size_t)sim->settings.call_capacity;

    book_init(&voice->book, (uint32_t)capacity, (uint32_t)capacity, sim->loop.now_ms);
    voice->calls = pages_map(capacity * sizeof(struct call));
    voice->legs = pages_map(capacity * sizeof(struct leg));
    voice->buckets = pages_map((size_t)SIM_BUCKETS_MAX * sizeof(uint32_t));
    voice->xml_times = pages_map(XML_STEPS * sizeof(uint32_t));
    return voice_posts_open(sim, err) && media_open(sim, err);
}

static void free_legs(struct voice *voice)
{
    for (uint32_t i = 0; i < voice->leg_used; i++) {
        str_free(&voice->legs[i].xml);
        str_free(&voice->legs[i].url);
    }
    pages_clear(voice->legs, voice->leg_used * sizeof(struct leg));
    voice->leg_used = voice->leg_free = 0;
}

void voice_clear(struct sim *sim)
{
    struct voice *voice = &sim->voice;
    struct voice fresh;

    /* done() of what is in flight may plan more: so the wheel comes second. */
    poster_break(&voice->poster);
    media_clear(sim);
    for (int kind = TIMER_CALL_RUNG; kind <= TIMER_CALL_POST; kind++) {
        wheel_drop(&sim->wheel, kind);
    }
    free_legs(voice);
    memset(voice->buckets, 0, voice->bucket_count * sizeof(*voice->buckets));
    memset(voice->xml_times, 0, XML_STEPS * sizeof(*voice->xml_times));
    book_clear(&voice->book, sim->loop.now_ms);
    fresh = (struct voice){
        .book = voice->book,
        .calls = voice->calls,
        .legs = voice->legs,
        .shelf = voice->shelf,
        .route_count = voice->route_count,
        .poster = voice->poster,
        .due = voice->due,
        .due_size = voice->due_size,
        .in_flight = voice->in_flight,
        .xml_times = voice->xml_times,
        .buckets = voice->buckets,
    };
    memcpy(fresh.routes, voice->routes, sizeof(fresh.routes));
    *voice = fresh; /* every counter at zero */
}

void voice_close(struct sim *sim)
{
    struct voice *voice = &sim->voice;
    size_t capacity = (size_t)sim->settings.call_capacity;

    voice_clear(sim);
    media_close(sim);
    book_fini(&voice->book);
    pages_unmap(voice->calls, capacity * sizeof(struct call));
    pages_unmap(voice->legs, capacity * sizeof(struct leg));
}
