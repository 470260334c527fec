/*
 * reports - delivery reports: planned when a message is accepted, posted when due
 *
 *     reports_plan(&reports, index, false);  // after book_add()
 *     reports_fire(&reports, timer);           // a TIMER_REPORT is due
 *     poster_pump(&reports.poster);
 *
 * Each report is posted until it is answered 2xx or its repetitions are used up. What each message
 * gets follows from its fate and from the report faults.
 */
#ifndef SIM_REPORTS_H
#define SIM_REPORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "book.h"
#include "engine/poster.h"
#include "engine/wheel.h"
#include "kinds.h"
#include "settings.h"

/* subject: index of the accepted message */
#define TIMER_REPORT TIMER_OWN

struct reports {
    const struct settings *settings;
    struct wheel *wheel;
    struct faults *faults;
    struct book *book;
    struct loop *loop;
    struct poster poster;

    /* Due and waiting for a connection: a ring. */
    struct timer *due;
    uint32_t due_size, due_first, due_count;
    struct timer *in_flight; /* by the poster's slot */
    bool stopped;

    uint64_t planned, posted, answered, retried, given_up;
    uint64_t refused; /* answers that were not 2xx */
    uint64_t broken;  /* connections that broke or timed out */
    int64_t first_answered_ms, last_answered_ms;
};

/* The other members are set by the caller before. */
bool reports_open(struct reports *reports, struct arena *arena, struct err *err)
    __attribute__((warn_unused_result));

/* early: the report is due at once. */
void reports_plan(struct reports *reports, uint32_t index, bool early);
void reports_fire(struct reports *reports, const struct timer *timer);
uint64_t reports_pending(const struct reports *reports);

/* Forgets every report and the counters. */
void reports_clear(struct reports *reports);

/* "63902" for a number, guessed from its prefix. */
const char *reports_network(int64_t phone);

#endif
