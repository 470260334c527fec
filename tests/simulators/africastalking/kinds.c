/*
 * kinds - what can go wrong at this provider
 */
#include "kinds.h"

static const char *const fault_names[FAULT_COUNT] = {
    [FAULT_NONE] = "delivered",
    [FAULT_UNAUTHORIZED] = "unauthorized",
    [FAULT_THROTTLED] = "throttled",
    [FAULT_ERROR_500] = "error_500",
    [FAULT_UNAVAILABLE_503] = "unavailable_503",
    [FAULT_CONFLICT_409] = "conflict_409",
    [FAULT_CLOSE_REUSED] = "close_reused",
    [FAULT_WITHHOLD] = "withhold",
    [FAULT_CLOSE_ACCEPTED] = "close_accepted",
    [FAULT_ERROR_500_ACCEPTED] = "error_500_accepted",
    [FAULT_PARTIAL] = "partial",
    [FAULT_TRUNCATED] = "truncated",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_REPORT_EARLY] = "report_early",
    [FAULT_REFUSE_401] = "refuse_401",
    [FAULT_REFUSE_402] = "refuse_402",
    [FAULT_REFUSE_403] = "refuse_403",
    [FAULT_REFUSE_404] = "refuse_404",
    [FAULT_REFUSE_405] = "refuse_405",
    [FAULT_REFUSE_406] = "refuse_406",
    [FAULT_REFUSE_407] = "refuse_407",
    [FAULT_REFUSE_409] = "refuse_409",
    [FAULT_REFUSE_500] = "refuse_500",
    [FAULT_REFUSE_501] = "refuse_501",
    [FAULT_REFUSE_502] = "refuse_502",
    [FAULT_FAILED] = "failed",
    [FAULT_REJECTED] = "rejected",
    [FAULT_ABSENT] = "absent",
    [FAULT_EXPIRED] = "expired",
    [FAULT_NO_REPORT] = "no_report",
    [FAULT_REPORT_LATE] = "report_late",
    [FAULT_REPORT_LOST] = "report_lost",
    [FAULT_REPORT_DOUBLED] = "report_doubled",
    [FAULT_REPORT_REORDERED] = "report_reordered",
    [FAULT_REPORT_UNKNOWN] = "report_unknown",
    [FAULT_REPORT_PROGRESS] = "report_progress",
};

static const struct fault_number numbers[NUMBER_COUNT] = {
    [NUMBER_LATENCY_MIN_MS] = { "latency_min_ms", 0 },
    [NUMBER_LATENCY_MAX_MS] = { "latency_max_ms", 0 },
    [NUMBER_WITHHOLD_MS] = { "withhold_ms", 60000 },
    [NUMBER_RETRY_AFTER_S] = { "retry_after_s", 0 },
    [NUMBER_REPORT_LATE_MS] = { "report_late_ms", 30000 },
    [NUMBER_REPORT_COPIES] = { "report_copies", 2 },
    [NUMBER_ABSENT_MS] = { "absent_ms", 2000 },
    [NUMBER_EARLY_MS] = { "early_ms", 300 },
    [NUMBER_RATE_LIMIT_PER_S] = { "rate_limit_per_s", 0 },
};

const struct fault_kinds fault_kinds = {
    .names = fault_names,
    .count = FAULT_COUNT,
    .numbers = numbers,
    .number_count = NUMBER_COUNT,
    .first_outcome = FAULT_REFUSE_401,
    .last_outcome = FAULT_NO_REPORT,
    .outcome_prefix = "refuse_",
};

_Static_assert(FAULT_COUNT <= FAULTS_MAX && NUMBER_COUNT <= FAULT_NUMBERS_MAX, "tables too small");
