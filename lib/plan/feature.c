/*
 * feature - the words for what a plan lets an account do
 */
#include <string.h>

#include "base/panic.h"
#include "plan/plan.h"

/* The words of plans.features. */
static const char *const feature_words[PLAN_FEATURE_COUNT] = {
    [PLAN_BASIC_SENDING] = "basic_sending",
    [PLAN_DELIVERY_REPORTS] = "delivery_reports",
    [PLAN_ANALYTICS] = "analytics",
    [PLAN_API_ACCESS] = "api_access",
    [PLAN_SCHEDULED_SENDING] = "scheduled_sending",
    [PLAN_PRIORITY_SENDING] = "priority_sending",
    [PLAN_DEDICATED_SUPPORT] = "dedicated_support",
};

const char *plan_feature_word(enum plan_feature feature)
{
    if ((unsigned)feature >= PLAN_FEATURE_COUNT) {
        panic("plan feature %d", (int)feature);
    }
    return feature_words[feature];
}

/* PLAN_FEATURE_COUNT when there is none. */
static unsigned find(const char *word, size_t len)
{
    unsigned i = 0;

    while (i < PLAN_FEATURE_COUNT &&
           (strlen(feature_words[i]) != len || memcmp(feature_words[i], word, len) != 0)) {
        i++;
    }
    return i;
}

/* NULL, or the first word that is unknown. */
static const char *read_words(const char *text, unsigned *out_features)
{
    const char *bad = NULL;

    *out_features = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        unsigned feature = find(text, len);

        if (feature < PLAN_FEATURE_COUNT) {
            *out_features |= PLAN_BIT(feature);
        } else if (bad == NULL) {
            bad = text;
        }
        text += len + (text[len] == ',');
    }
    return bad;
}

unsigned plan_features_known(const char *words)
{
    unsigned features;

    (void)read_words(words, &features);
    return features;
}

bool plan_features_parse(const char *words, unsigned *out_features, const char **out_bad)
{
    *out_bad = read_words(words, out_features);
    return *out_bad == NULL;
}

void plan_features_write(unsigned features, const char *quote, const char *separator,
                         struct str *out)
{
    const char *before = "";

    for (unsigned i = 0; i < PLAN_FEATURE_COUNT; i++) {
        if ((features & PLAN_BIT(i)) != 0) {
            str_printf(out, "%s%s%s%s", before, quote, feature_words[i], quote);
            before = separator;
        }
    }
}
