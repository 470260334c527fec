/*
 * plan - what is sold, who bought it until when, and what that lets an account do
 *
 *     plan_list(db, PLANS_ON_SALE, arena, &plans, &count, &err);
 *     plan_subscribe(db, account, "business", "PAY-4711", NULL, now, arena, &bought, &err);
 *     plan_features(db, account, now, &features, &err);
 *     if (!(features & PLAN_BIT(PLAN_SCHEDULED_SENDING)))
 *         plan_fail(db, PLAN_SCHEDULED_SENDING, "", arena, &err);   // says which plans have it
 *
 * A subscription grants its tokens as one lot that expires when the subscription ends. Renewed
 * before that, it ends so many days later than the one before would have; if the new plan carries
 * over, the lots of the subscriptions that still run live as long as the new one. Features add up
 * over all that run. An account that never had a plan is a customer by agreement: it may do all.
 *
 * Money is in minor units of its currency, times in milliseconds.
 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "db/db.h"

enum plan_feature {
    PLAN_BASIC_SENDING,
    PLAN_DELIVERY_REPORTS,
    PLAN_ANALYTICS,
    PLAN_API_ACCESS,
    PLAN_SCHEDULED_SENDING,
    PLAN_PRIORITY_SENDING,
    PLAN_DEDICATED_SUPPORT,
    PLAN_FEATURE_COUNT,
};
#define PLAN_BIT(feature) (1u << (feature))
#define PLAN_EVERYTHING (PLAN_BIT(PLAN_FEATURE_COUNT) - 1)

/* Limits of a plan's numbers, as the database has them. */
#define PLAN_TOKENS_MAX INT64_C(1000000000)
#define PLAN_PRICE_MAX INT64_C(100000000000)
#define PLAN_DAYS_MAX 3660
#define PLAN_TOKENS_PER_MINUTE_MAX 100

struct plan {
    const char *code, *name;
    int64_t price_minor;
    const char *currency;
    int64_t tokens;
    int64_t valid_days;
    int64_t tokens_per_minute; /* of calls, each that began; at least 1 */
    unsigned features;         /* PLAN_BITs */
    bool once, carries_over, on_sale;
    int64_t position;
};

const char *plan_feature_word(enum plan_feature feature);

/* "a,b" to bits. Words of a newer database that mean nothing here are skipped. */
unsigned plan_features_known(const char *words);

/* The same for what a person wrote: false for a word that is no feature, at which *out_bad points.
 */
bool plan_features_parse(const char *words, unsigned *out_features, const char **out_bad);

/* The words, in order, each between quote and quote, with separator between them. */
void plan_features_write(unsigned features, const char *quote, const char *separator,
                         struct str *out);

enum plans_wanted { PLANS_ALL, PLANS_ON_SALE };

/* In their order. Texts live in the arena. */
bool plan_list(struct db *db, enum plans_wanted wanted, struct arena *arena,
               struct plan **out_plans, size_t *out_count, struct err *err);

/* Permanent: plan_unknown, whose detail names those there are. */
bool plan_find(struct db *db, const char *code, struct arena *arena, struct plan *out_plan,
               struct err *err);

/* A new plan, or all of an old one's columns. Its numbers must be within the limits above. */
bool plan_save(struct db *db, const struct plan *plan, struct err *err);

/* What an account may do at a time. */
bool plan_features(struct db *db, int64_t account, int64_t now_ms, unsigned *out_features,
                   struct err *err);

/*
 * Fills err, permanent, feature_not_in_plan; its detail begins with `field` ("scheduled_at: " or
 * "") and says which plans on sale have the feature. Returns false; with another error when the
 * database did not say.
 */
bool plan_fail(struct db *db, enum plan_feature feature, const char *field, struct arena *arena,
               struct err *err);

struct subscription {
    int64_t id;
    const char *plan;
    const char *reference;
    int64_t tokens;
    int64_t starts_ms, ends_ms;
    bool is_new; /* false: the reference had bought this before, and nothing changed */
};

/* What was agreed when it was ordered: it holds however the plan was edited since. */
struct plan_terms {
    int64_t price_minor;
    const char *currency;
    int64_t tokens;
    int64_t valid_days;
};

/*
 * Inside the caller's transaction. agreed NULL: as the plan is sold now. Permanent: plan_unknown,
 * plan_not_on_sale (unless it was agreed before), plan_only_once, reference_used (tokens were
 * granted under it without a plan). The reference is the account's own name for what it bought: the
 * same again is the same subscription.
 */
bool plan_subscribe(struct db *db, int64_t account, const char *code, const char *reference,
                    const struct plan_terms *agreed, int64_t now_ms, struct arena *arena,
                    struct subscription *out_bought, struct err *err);

/* Those that run, the last to end first, at most `most`. */
bool plan_subscriptions(struct db *db, int64_t account, int64_t now_ms, size_t most,
                        struct arena *arena, struct subscription **out_list, size_t *out_count,
                        struct err *err);

#endif
