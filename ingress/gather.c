#include "gather.h"

#include <limits.h>

#include "base/clock.h"
#include "msg/message.h"
#include "msg/report.h"
#include "settings.h"

#define WAIT_MS 2
#define ENOUGH 128
#define FLIGHTS_MOST 4

#define BODY_HEAD "{\"provider\":\"africastalking\",\"reports\":["
#define BODY_TAIL "]}"

void gather_init(struct gather *gather)
{
    *gather = (struct gather){ .tail = &gather->head };
}

void gather_add(struct gather *gather, struct report *report)
{
    report->next = NULL;
    *gather->tail = report;
    gather->tail = &report->next;
    gather->count++;
}

int64_t gather_wait_ms(const struct gather *gather)
{
    if (gather->head == NULL) {
        return -1;
    }
    const int64_t came_ms = gather->head->deadline_ms - CONFIRM_MS;
    const int64_t left_ms = came_ms + WAIT_MS - clock_mono_ms();

    return left_ms > 0 ? left_ms : 0;
}

int gather_needed(const struct gather *gather, int flights)
{
    if (flights >= FLIGHTS_MOST) {
        return INT_MAX;
    }
    /* With none there the first one counts: from then on the clock is looked at. */
    if (gather->head == NULL || (flights == 0 && gather_wait_ms(gather) == 0)) {
        return 1;
    }
    return ENOUGH;
}

/* Cuts the list before *end, which is one of its links. */
static struct report *cut(struct gather *gather, struct report **end)
{
    struct report *list = gather->head;

    if (end == &gather->head) {
        return NULL;
    }
    gather->head = *end;
    if (*end == NULL) {
        gather->tail = &gather->head;
    }
    *end = NULL;
    return list;
}

struct report *gather_take(struct gather *gather)
{
    struct report **end = &gather->head;
    size_t len = sizeof(BODY_HEAD) + sizeof(BODY_TAIL);

    for (int i = 0; *end != NULL && i < REPORTS_MAX; i++) {
        len += (*end)->len + 1;
        if (len > MESSAGE_BODY_MAX) {
            break;
        }
        end = &(*end)->next;
        gather->count--;
    }
    return cut(gather, end);
}

struct report *gather_take_overdue(struct gather *gather, int64_t now_ms)
{
    struct report **end = &gather->head;

    while (*end != NULL && (*end)->deadline_ms <= now_ms) {
        end = &(*end)->next;
        gather->count--;
    }
    return cut(gather, end);
}

int64_t gather_write(const struct report *list, struct str *body)
{
    int64_t count = 0;

    str_reset(body);
    str_puts(body, BODY_HEAD);
    for (const struct report *report = list; report != NULL; report = report->next) {
        if (report != list) {
            str_putc(body, ',');
        }
        str_append(body, report->json, report->len);
        count++;
    }
    str_puts(body, BODY_TAIL);
    return count;
}
