/*
 * faults - what goes wrong, how often, decided by the seed
 *
 *     faults_init(&faults, &kinds, seed);
 *     if (!faults_load(&faults, "{\"throttled\":0.1,\"withhold\":{\"count\":2}}", len, &err)) ...
 *     if (fault_hits(&faults, FAULT_THROTTLED)) ...          // the next draw of this kind
 *     fate = fault_of_number(&faults, FAULT_FAILED, FAULT_NO_REPORT, phone);
 *
 * The k-th draw of a kind is a function of the seed and k, so N requests meet the same faults in
 * every run. What befalls a number for good (its fate) is a function of the seed and the number.
 * Which kinds there are is each simulator's own enum, with the names in a table beside it
 * (kinds.c); the numbers of that enum index everything here. README.md explains the names.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define FAULTS_MAX 96
#define FAULT_NUMBERS_MAX 48

/* A setting that is a number, and what it is when nobody says. */
struct fault_number {
    const char *name;
    int64_t fallback;
};

/* One simulator's kinds; names[0] is what befalls a number when nothing does. */
struct fault_kinds {
    const char *const *names;
    int count;
    const struct fault_number *numbers;
    int number_count;
    int first_outcome, last_outcome; /* what may be forced upon a number, besides names[0] */
    int first_other, last_other;     /* more that may be forced; 0 when there are none */
    const char *outcome_prefix;      /* may be left out before a forced outcome; or NULL */
};

struct fault_share {
    uint32_t ppm;  /* of a million draws */
    int64_t count; /* how often yet; -1 without limit */
};

/* A number whose last digits are these gets this outcome. */
struct fault_force {
    int64_t suffix;
    int64_t modulus;
    int outcome;
};

#define FAULT_FORCE_MAX 32

struct faults {
    const struct fault_kinds *kinds;
    uint64_t seed;
    struct fault_share shares[FAULTS_MAX];
    int64_t numbers[FAULT_NUMBERS_MAX];
    struct fault_force forces[FAULT_FORCE_MAX];
    int force_count;
    uint64_t drawn[FAULTS_MAX];
    uint64_t applied[FAULTS_MAX];
};

/* No faults, numbers at their defaults, counters at zero. */
void faults_init(struct faults *faults, const struct fault_kinds *kinds, uint64_t seed);

/* As the environment has them: forced outcomes as for faults_force(), faults as for faults_load().
 */
bool faults_start(struct faults *faults, const struct fault_kinds *kinds, uint64_t seed,
                  const char *force, const char *json, struct err *err)
    __attribute__((warn_unused_result));

/* Changes what the JSON object names and keeps the rest; all or nothing. */
bool faults_load(struct faults *faults, const char *json, size_t len, struct err *err)
    __attribute__((warn_unused_result));

/* "0406:406,0499:absent" replaces the table of forced outcomes. */
bool faults_force(struct faults *faults, const char *text, struct err *err)
    __attribute__((warn_unused_result));

bool fault_hits(struct faults *faults, int fault);

/* The forced outcome of a number; the count of kinds when none is. */
int fault_forced(const struct faults *faults, int64_t phone);

/* The same, of those from first to last only. */
int fault_forced_within(const struct faults *faults, int64_t phone, int first, int last);

/* One of first..last by their shares, or 0; the same for a number every time. */
int fault_of_number(struct faults *faults, int first, int last, int64_t phone);

/* Uniform in [min, max], the next of its stream. */
int64_t fault_between(struct faults *faults, int stream, int64_t min, int64_t max);

/* The JSON object of how often each was applied. */
void faults_put_applied(const struct faults *faults, struct str *out);

/* The JSON object of the settings, as faults_load() reads it. */
void faults_put_settings(const struct faults *faults, struct str *out);

uint64_t fault_mix(uint64_t value);

#endif
