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
    /* What a number does when it is called: the same every time. */
    FAULT_CALL_ANSWERS,
    FAULT_CALL_NO_ANSWER,
    FAULT_CALL_BUSY,
    FAULT_CALL_REJECTED,
    FAULT_CALL_UNREACHABLE,
    FAULT_CALL_VOICEMAIL,
    FAULT_CALL_HANGS_UP_EARLY,
    FAULT_CALL_UNSUPPORTED,
    /* Which key it presses when asked: the same every time. */
    FAULT_PRESS_0,
    FAULT_PRESS_1,
    FAULT_PRESS_2,
    FAULT_PRESS_3,
    FAULT_PRESS_4,
    FAULT_PRESS_5,
    FAULT_PRESS_6,
    FAULT_PRESS_7,
    FAULT_PRESS_8,
    FAULT_PRESS_9,
    FAULT_PRESS_UNDEFINED,
    FAULT_PRESS_NOTHING,
    /* The callbacks of one call, and what else may go wrong with calls. */
    FAULT_CALL_BAD_CALLBACK,
    FAULT_CALL_EARLY,
    FAULT_CALL_LATE,
    FAULT_CALL_LOST,
    FAULT_CALL_ACTION_LOST,
    FAULT_CALL_DOUBLED,
    FAULT_CALL_REORDERED,
    FAULT_CALL_PROGRESS,
    FAULT_MEDIA_EACH,
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
    NUMBER_RING_MIN_MS,
    NUMBER_RING_MAX_MS,
    NUMBER_NO_ANSWER_MS,
    NUMBER_HANG_UP_MS,
    NUMBER_HANG_UP_EARLY_MS,
    NUMBER_PLAY_MS,
    NUMBER_SAY_CHAR_MS,
    NUMBER_PRESS_MS,
    NUMBER_PRESS_TIMES,
    NUMBER_SPEED,
    NUMBER_CALL_LATE_MS,
    NUMBER_CALL_COPIES,
    NUMBER_CALL_FATE_TIMES,
    NUMBER_COUNT,
};

extern const struct fault_kinds fault_kinds;

#endif
