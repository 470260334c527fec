/*
 * kinds - what can go wrong at this provider
 *
 * The table of names in kinds.c is the one of engine/faults.h; README.md explains each.
 */
#ifndef SIM_KINDS_H
#define SIM_KINDS_H

#include "engine/faults.h"

enum fault {
    FAULT_NONE, /* of a number: accepted and delivered */
    /* A whole request, before anything is accepted. */
    FAULT_UNAUTHORIZED,
    FAULT_THROTTLED,
    FAULT_ERROR_500,
    FAULT_UNAVAILABLE_503,
    FAULT_CONFLICT_409,
    FAULT_CLOSE_REUSED,
    /* A whole request, after its recipients were accepted. */
    FAULT_WITHHOLD,
    FAULT_CLOSE_ACCEPTED,
    FAULT_ERROR_500_ACCEPTED,
    FAULT_PARTIAL,
    FAULT_TRUNCATED,
    FAULT_GARBAGE,
    FAULT_REPORT_EARLY,
    /* A recipient refused: the same ones every time ... */
    FAULT_REFUSE_401,
    FAULT_REFUSE_402,
    FAULT_REFUSE_403,
    FAULT_REFUSE_404,
    FAULT_REFUSE_405,
    FAULT_REFUSE_406,
    FAULT_REFUSE_407,
    FAULT_REFUSE_409,
    /* ... and those that may pass the next time. */
    FAULT_REFUSE_500,
    FAULT_REFUSE_501,
    FAULT_REFUSE_502,
    /* An accepted recipient, in the end. */
    FAULT_FAILED,
    FAULT_REJECTED,
    FAULT_ABSENT,
    FAULT_EXPIRED,
    FAULT_NO_REPORT,
    /* The reports of one message. */
    FAULT_REPORT_LATE,
    FAULT_REPORT_LOST,
    FAULT_REPORT_DOUBLED,
    FAULT_REPORT_REORDERED,
    FAULT_REPORT_UNKNOWN,
    FAULT_REPORT_PROGRESS,
    FAULT_COUNT,
};

enum number {
    NUMBER_LATENCY_MIN_MS,
    NUMBER_LATENCY_MAX_MS,
    NUMBER_WITHHOLD_MS,
    NUMBER_RETRY_AFTER_S,
    NUMBER_REPORT_LATE_MS,
    NUMBER_REPORT_COPIES,
    NUMBER_ABSENT_MS,
    NUMBER_EARLY_MS,
    NUMBER_RATE_LIMIT_PER_S,
    NUMBER_COUNT,
};

extern const struct fault_kinds fault_kinds;

#endif
