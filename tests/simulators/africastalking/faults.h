/*
 * faults - what goes wrong, how often, decided by the seed
 *
 *     faults_init(&faults, seed);
 *     if (!faults_load(&faults, "{\"throttled\":0.1,\"withhold\":{\"count\":2}}", len, &err)) ...
 *     if (fault_hits(&faults, FAULT_THROTTLED)) ...          // the next draw of this kind
 *     fate = fault_of_number(&faults, FAULT_FAILED, FAULT_NO_REPORT, phone);
 *
 * The k-th draw of a kind is a function of the seed and k, so N requests meet the same faults in
 * every run. What befalls a number for good (its fate) is a function of the seed and the number.
 * The names, their meaning and their JSON are in one table, faults.c; README.md explains them.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

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

enum fault_number {
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

struct fault_share {
    uint32_t ppm;  /* of a million draws */
    int64_t count; /* how often yet; -1 without limit */
};

/* A number whose last digits are these gets this outcome. */
struct fault_force {
    int64_t suffix;
    int64_t modulus;
    enum fault outcome;
};

#define FAULT_FORCE_MAX 32

struct faults {
    uint64_t seed;
    struct fault_share shares[FAULT_COUNT];
    int64_t numbers[NUMBER_COUNT];
    struct fault_force forces[FAULT_FORCE_MAX];
    int force_count;
    uint64_t drawn[FAULT_COUNT];
    uint64_t applied[FAULT_COUNT];
};

/* No faults, numbers at their defaults, counters at zero. */
void faults_init(struct faults *faults, uint64_t seed);

/* Changes what the JSON object names and keeps the rest; all or nothing. */
bool faults_load(struct faults *faults, const char *json, size_t len, struct err *err)
    __attribute__((warn_unused_result));

/* "0406:406,0499:absent" replaces the table of forced outcomes. */
bool faults_force(struct faults *faults, const char *text, struct err *err)
    __attribute__((warn_unused_result));

bool fault_hits(struct faults *faults, enum fault fault);

/* The forced outcome of a number, FAULT_COUNT when none is. */
enum fault fault_forced(const struct faults *faults, int64_t phone);

/* One of first..last by their shares, or FAULT_NONE; the same for a number every time. */
enum fault fault_of_number(struct faults *faults, enum fault first, enum fault last, int64_t phone);

/* Uniform in [min, max], the next of its stream. */
int64_t fault_between(struct faults *faults, enum fault stream, int64_t min, int64_t max);

/* The JSON object of how often each was applied. */
void faults_put_applied(const struct faults *faults, struct str *out);

/* The JSON object of the settings, as faults_load() reads it. */
void faults_put_settings(const struct faults *faults, struct str *out);

uint64_t fault_mix(uint64_t value);

#endif
