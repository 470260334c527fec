/*
 * reports - delivery reports: planned when a message is accepted, posted when due
 */
#include "reports.h"

#include <string.h>

#include "engine/pages.h"

/* Reports become due in steps of this, so that the idle process wakes a hundred times a second. */
#define STEP_MS 10
#define FIRST_RING 65536
#define REORDER_MAX_MS 200

enum word {
    WORD_SENT,
    WORD_SUBMITTED,
    WORD_BUFFERED,
    WORD_SUCCESS,
    WORD_FAILED,
    WORD_REJECTED,
    WORD_ABSENT,
    WORD_EXPIRED,
    WORD_UNKNOWN,
};

static const char *const words[] = {
    [WORD_SENT] = "Sent",
    [WORD_SUBMITTED] = "Submitted",
    [WORD_BUFFERED] = "Buffered",
    [WORD_SUCCESS] = "Success",
    [WORD_FAILED] = "Failed",
    [WORD_REJECTED] = "Rejected",
    [WORD_ABSENT] = "AbsentSubscriber",
    [WORD_EXPIRED] = "Expired",
    [WORD_UNKNOWN] = "HandsetOnFire",
};

/* Both spellings of those that have two; 0 is none, since not every operator gives a reason. */
static const char *const reasons[] = {
    NULL,
    "UserInBlackList",
    "UserInBlacklist",
    "NotNetworkSubcriber",
    "NotNetworkSubscriber",
    "UserDoesNotExist",
    "UserAccountSuspended",
    "UserIsInactive",
    "DeliveryFailure",
    "DoNotDisturbRejection",
};
#define REASON_COUNT (sizeof(reasons) / sizeof(reasons[0]))

static const struct {
    int64_t prefix;
    const char *code;
} networks[] = {
    { 25473, "63903" },  { 25478, "63903" },  { 25477, "63907" },  { 254763, "63999" },
    { 254, "63902" },    { 234803, "62130" }, { 234806, "62130" }, { 234703, "62130" },
    { 234802, "62120" }, { 234808, "62120" }, { 234805, "62150" }, { 234807, "62150" },
    { 234809, "62160" }, { 234, "62130" },    { 25078, "63510" },  { 25072, "63513" },
    { 25073, "63514" },  { 25571, "64002" },  { 25574, "64004" },  { 25578, "64005" },
    { 25562, "64009" },  { 25677, "64110" },  { 25670, "64101" },  { 26588, "65001" },
    { 26599, "65010" },
};

const char *reports_network(int64_t phone)
{
    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        int64_t head = phone;

        while (head > networks[i].prefix) {
            head /= 10;
        }
        if (head == networks[i].prefix) {
            return networks[i].code;
        }
    }
    return "99999";
}

static bool next_report(void *context, uint32_t slot, struct post *post)
{
    struct reports *reports = context;
    struct timer *timer = &reports->in_flight[slot];
    struct str *body = &post->body;
    const struct entry *entry;
    char id[BOOK_ID_BYTES];

    if (reports->due_count == 0 || reports->stopped) {
        return false;
    }
    *timer = reports->due[reports->due_first];
    reports->due_first = (reports->due_first + 1) % reports->due_size;
    reports->due_count--;
    entry = book_entry(reports->book, timer->subject);
    book_id(reports->book, timer->subject, id);
    str_puts(body, "id=");
    str_puts(body, id);
    str_puts(body, "&status=");
    str_puts(body, words[timer->word]);
    str_puts(body, "&phoneNumber=%2B");
    str_put_int(body, entry->phone);
    str_puts(body, "&networkCode=");
    str_puts(body, reports_network(entry->phone));
    if (reasons[timer->reason] != NULL) {
        str_puts(body, "&failureReason=");
        str_puts(body, reasons[timer->reason]);
    }
    reports->posted++;
    return true;
}

static void report_done(void *context, uint32_t slot, int status)
{
    struct reports *reports = context;
    struct timer timer = reports->in_flight[slot];

    if (status >= 200 && status < 300) {
        reports->answered++;
        reports->last_answered_ms = loop_wall_ms(reports->loop);
        if (reports->first_answered_ms == 0) {
            reports->first_answered_ms = reports->last_answered_ms;
        }
        return;
    }
    if (status == 0) {
        reports->broken++;
    } else {
        reports->refused++;
    }
    if (timer.attempt >= reports->settings->report_retries) {
        reports->given_up++;
        return;
    }
    reports->retried++;
    wheel_add(reports->wheel,
              reports->loop->now_ms +
                  (reports->settings->report_retry_ms << (timer.attempt < 10 ? timer.attempt : 10)),
              (struct timer){ .kind = TIMER_REPORT,
                              .subject = timer.subject,
                              .word = timer.word,
                              .reason = timer.reason,
                              .attempt = (uint8_t)(timer.attempt + 1) });
}

bool reports_open(struct reports *reports, struct arena *arena, struct err *err)
{
    reports->due_size = FIRST_RING;
    reports->due = pages_map(reports->due_size * sizeof(struct timer));
    reports->in_flight =
        arena_array(arena, (size_t)reports->settings->report_connections, sizeof(struct timer));
    reports->poster = (struct poster){
        .loop = reports->loop,
        .next = next_report,
        .done = report_done,
        .context = reports,
        .timeout_ms = reports->settings->report_timeout_ms,
    };
    return poster_open(&reports->poster, reports->settings->report_url,
                       (uint32_t)reports->settings->report_connections, arena, err);
}

static void plan_at(struct reports *reports, uint32_t index, int64_t due_ms, enum word word,
                    uint8_t reason)
{
    reports->planned++;
    wheel_add(
        reports->wheel, (due_ms + STEP_MS - 1) / STEP_MS * STEP_MS,
        (struct timer){
            .kind = TIMER_REPORT, .subject = index, .word = (uint8_t)word, .reason = reason });
}

/* The last word on a message; AbsentSubscriber is overturned later. */
static enum word final_word(enum fault fate)
{
    switch ((int)fate) {
    case FAULT_FAILED:
        return WORD_FAILED;
    case FAULT_REJECTED:
        return WORD_REJECTED;
    case FAULT_ABSENT:
        return WORD_ABSENT;
    case FAULT_EXPIRED:
        return WORD_EXPIRED;
    default:
        return WORD_SUCCESS;
    }
}

/* What comes before the last word, or after it when the order is broken. */
static void plan_progress(struct reports *reports, uint32_t index, int64_t now_ms, int64_t due_ms)
{
    struct faults *faults = reports->faults;

    if (fault_hits(faults, FAULT_REPORT_PROGRESS)) {
        plan_at(reports, index, now_ms + (due_ms - now_ms) / 3, WORD_SENT, 0);
        plan_at(reports, index, now_ms + (due_ms - now_ms) * 2 / 3,
                (index & 1) != 0 ? WORD_SUBMITTED : WORD_BUFFERED, 0);
    }
    if (fault_hits(faults, FAULT_REPORT_UNKNOWN)) {
        plan_at(reports, index, now_ms + (due_ms - now_ms) / 2, WORD_UNKNOWN, 0);
    }
    if (fault_hits(faults, FAULT_REPORT_REORDERED)) {
        plan_at(reports, index,
                due_ms + fault_between(faults, FAULT_REPORT_REORDERED, STEP_MS, REORDER_MAX_MS),
                WORD_SENT, 0);
    }
}

void reports_plan(struct reports *reports, uint32_t index, bool early)
{
    struct faults *faults = reports->faults;
    enum fault fate = (enum fault)book_entry(reports->book, index)->fate;
    enum word word = final_word(fate);
    int64_t now_ms = reports->loop->now_ms;
    int64_t due_ms = now_ms;
    int64_t copies = 1;
    uint8_t reason = 0;

    if (reports->poster.line_count == 0 || fate == FAULT_NO_REPORT ||
        fault_hits(faults, FAULT_REPORT_LOST)) {
        return;
    }
    if (!early) {
        due_ms += fault_between(faults, FAULT_NONE, reports->settings->report_delay_min_ms,
                                reports->settings->report_delay_max_ms);
    }
    if (fault_hits(faults, FAULT_REPORT_LATE)) {
        due_ms += faults->numbers[NUMBER_REPORT_LATE_MS];
    }
    plan_progress(reports, index, now_ms, due_ms);
    if (word == WORD_FAILED || word == WORD_REJECTED) {
        reason = (uint8_t)fault_between(faults, FAULT_FAILED, 0, REASON_COUNT - 1);
    }
    if (fault_hits(faults, FAULT_REPORT_DOUBLED)) {
        copies = faults->numbers[NUMBER_REPORT_COPIES];
    }
    for (int64_t i = 0; i < copies; i++) {
        plan_at(reports, index, due_ms, word, reason);
    }
    if (word == WORD_ABSENT) {
        plan_at(reports, index, due_ms + faults->numbers[NUMBER_ABSENT_MS], WORD_SUCCESS, 0);
    }
}

void reports_fire(struct reports *reports, const struct timer *timer)
{
    if (reports->due_count == reports->due_size) {
        uint32_t size = reports->due_size;
        struct timer *due = pages_map((size_t)size * 2 * sizeof(*due));

        for (uint32_t i = 0; i < size; i++) {
            due[i] = reports->due[(reports->due_first + i) % size];
        }
        pages_unmap(reports->due, size * sizeof(*due));
        reports->due = due;
        reports->due_first = 0;
        reports->due_size = size * 2;
    }
    reports->due[(reports->due_first + reports->due_count) % reports->due_size] = *timer;
    reports->due_count++;
}

uint64_t reports_pending(const struct reports *reports)
{
    return reports->planned - reports->answered - reports->given_up;
}

void reports_clear(struct reports *reports)
{
    /* done() of the requests in flight may plan repetitions: so the wheel comes second. */
    poster_break(&reports->poster);
    wheel_drop(reports->wheel, TIMER_REPORT);
    reports->stopped = false;
    reports->due_first = 0;
    reports->due_count = 0;
    reports->planned = reports->posted = reports->answered = reports->retried = 0;
    reports->given_up = reports->refused = reports->broken = 0;
    reports->first_answered_ms = reports->last_answered_ms = 0;
}
