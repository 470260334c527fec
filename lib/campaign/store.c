/*
 * store - accounts, and making a campaign's row
 *
 * Everything that can be refused without seeing a recipient is refused here, once for REST, AMQP
 * and tumactl.
 */
#include "campaign/store.h"

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "campaign/follow_up.h"
#include "campaign/voice.h"
#include "plan/plan.h"
#include "text/msisdn.h"
#include "text/template.h"

#define ACCOUNT_COLUMNS                                                                            \
    "SELECT id, slug, name, email, country::text, default_sender, status FROM accounts"

static const struct db_statement account_by_slug = {
    "account_by_slug",
    ACCOUNT_COLUMNS " WHERE slug = $1",
    1,
};
static const struct db_statement account_by_email = {
    "account_by_email",
    ACCOUNT_COLUMNS " WHERE email = $1",
    1,
};
static const struct db_statement account_by_id = {
    "account_by_id",
    ACCOUNT_COLUMNS " WHERE id = $1",
    1,
};

static const char *copy_text(const struct db_result *result, int row, int col, struct arena *arena)
{
    const char *text = db_get_text(result, row, col);

    return text ? arena_strdup(arena, text) : "";
}

bool account_find(struct db *db, const char *slug, int64_t id, struct arena *arena,
                  struct account *out_account, bool *out_found, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const struct db_statement *statement = !slug               ? &account_by_id
                                           : strchr(slug, '@') ? &account_by_email
                                                               : &account_by_slug;

    if (!db_query(db, statement, (struct db_value[]){ slug ? db_text(slug) : db_int8(id) }, &found,
                  err)) {
        return false;
    }
    *out_found = db_rows(found) > 0;
    if (*out_found) {
        *out_account = (struct account){
            .id = db_get_int(found, 0, 0),
            .slug = copy_text(found, 0, 1, arena),
            .name = copy_text(found, 0, 2, arena),
            .email = copy_text(found, 0, 3, arena),
            .country = copy_text(found, 0, 4, arena),
            .default_sender = copy_text(found, 0, 5, arena),
            .active = strcmp(db_get_text(found, 0, 6), "active") == 0,
        };
    }
    return true;
}

static const struct db_statement find_senders = { "campaign_find_senders",
                                                  "SELECT sender, sender = $2 AS wanted"
                                                  "  FROM sender_ids"
                                                  " WHERE (account_id = $1 OR account_id IS NULL)"
                                                  "   AND (NOT $3 OR sender LIKE '+%')"
                                                  " ORDER BY sender = $2 DESC, sender"
                                                  " LIMIT 10",
                                                  3 };

/* "+" and 7 to 15 digits, the first not 0. */
static bool is_number(const char *text)
{
    size_t digits = *text == '+' ? strspn(text + 1, "0123456789") : 0;

    return digits >= 7 && digits <= 15 && text[1] != '0' && text[1 + digits] == '\0';
}

/* The sender a campaign will carry; "" leaves it to the route's setting. A call comes from a
 * number. */
static bool check_sender(struct db *db, const struct campaign_new *new, struct arena *arena,
                         const char **out_sender, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    const char *wanted = new->definition->sender_id;
    const bool calls = new->definition->channel == CHANNEL_VOICE;
    char known[120] = "";

    if (!wanted || !*wanted) {
        *out_sender = !calls && new->account->default_sender ? new->account->default_sender : "";
        return true;
    }
    if (calls && !is_number(wanted)) {
        return err_permanent(err, "bad_caller_id",
                             "sender_id: '%.20s' is no number with + and country code, such as "
                             "+254711000000",
                             wanted);
    }
    if (!db_query(db, &find_senders,
                  (struct db_value[]){ db_int8(new->account->id), db_text(wanted), db_bool(calls) },
                  &found, err)) {
        return false;
    }
    if (db_rows(found) > 0 && db_get_bool(found, 0, 1)) {
        *out_sender = arena_strdup(arena, wanted);
        return true;
    }
    for (int i = 0; i < db_rows(found); i++) {
        const char *sender = db_get_text(found, i, 0);

        if (strlen(known) + strlen(sender) + 3 < sizeof known) {
            strcat(strcat(known, i > 0 ? ", " : ""), sender); // NOLINT: bounded just above
        }
    }
    return err_permanent(err, calls ? "caller_id_unknown" : "sender_id_unknown",
                         "sender_id: '%.20s' is not yours; %s%s", wanted,
                         *known ? "use one of " : "register one or leave it out", known);
}

static bool check_times(const struct campaign_new *new, struct err *err)
{
    const struct campaign_submitted *definition = new->definition;
    char text[CLOCK_RFC3339_BYTES];

    /* A minute of grace: the sender's clock and the way here are not exact. */
    if (definition->scheduled_at && definition->scheduled_at < new->now_ms - 60000) {
        clock_format(definition->scheduled_at, text);
        return err_permanent(err, "schedule_in_past",
                             "scheduled_at: %s is in the past; give a later time or none", text);
    }
    if (definition->expires_at &&
        definition->expires_at <=
            (definition->scheduled_at ? definition->scheduled_at : new->now_ms)) {
        clock_format(definition->expires_at, text);
        return err_permanent(err, "expiry_too_early",
                             "expires_at: %s is not after the start; give a later time or none",
                             text);
    }
    return true;
}

/* Whether the account's plan lets it do this. */
static bool check_plan(struct db *db, const struct campaign_new *new, struct arena *arena,
                       struct err *err)
{
    const struct {
        enum plan_feature feature;
        bool wanted;
        const char *field;
    } wants[] = {
        { PLAN_BASIC_SENDING, true, "account: " },
        { PLAN_API_ACCESS, new->by_api, "account: " },
        { PLAN_SCHEDULED_SENDING, new->definition->scheduled_at != 0, "scheduled_at: " },
        { PLAN_PRIORITY_SENDING, new->lane == LANE_HIGH, "priority: " },
    };
    unsigned features;

    if (!plan_features(db, new->account->id, new->now_ms, &features, err)) {
        return false;
    }
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        if (wants[i].wanted && (features & PLAN_BIT(wants[i].feature)) == 0) {
            return plan_fail(db, wants[i].feature, wants[i].field, arena, err);
        }
    }
    return true;
}

static const struct db_statement insert_campaign = {
    "campaign_create",
    "INSERT INTO campaigns (id, account_id, reference, kind, status, title, message_template,"
    "                       sender_id, lane, missing, missing_default, keep_whitespace, country,"
    "                       hold, scheduled_at, expires_at, created_at, channel, parent_id,"
    "                       follow_words)"
    " VALUES ($1, $2, $3, $4, 'receiving', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
    "         $17, nullif($18::bigint, 0), $19::text[])"
    " ON CONFLICT ON CONSTRAINT campaigns_reference_key DO NOTHING",
    19
};

static const struct db_statement find_reference = {
    "campaign_by_reference",
    "SELECT id FROM campaigns WHERE account_id = $1 AND reference = $2",
    2,
};

bool campaign_by_reference(struct db *db, int64_t account_id, const char *reference,
                           int64_t *out_id, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(db, &find_reference,
                  (struct db_value[]){ db_int8(account_id), db_text(reference) }, &found, err)) {
        return false;
    }
    *out_id = db_rows(found) > 0 ? db_get_int(found, 0, 0) : 0;
    return true;
}

/* The template compiles and the country is one we serve. With a file of sound there is no text. */
static bool check_text(const struct campaign_new *new, const char *country, struct arena *arena,
                       struct err *err)
{
    const char *source = new->definition->message_template;
    const bool wanted = new->definition->channel == CHANNEL_SMS || (source && *source);
    const struct text_template *compiled;
    struct err inner;

    if (wanted &&
        (!source || !text_template_compile(source, strlen(source), arena, &compiled, &inner))) {
        return err_permanent(err, source ? inner.what : "template_empty",
                             "message_template: %.170s", source ? inner.detail : "is missing");
    }
    if (!text_country_find(country)) {
        return err_permanent(err, "country_unknown", "country: '%.8s' is not served; use one of %s",
                             country, text_country_list());
    }
    return true;
}

/* What is heard and asked in its calls; of an SMS there is nothing. */
static bool check_voice(struct db *db, const struct campaign_new *new, struct voice *out_voice,
                        struct err *err)
{
    if (new->definition->channel == CHANNEL_SMS) {
        return voice_check_none(new->definition, err);
    }
    return voice_check(db, new->account->id, new->now_ms, new->definition, out_voice, err);
}

bool campaign_create(struct db *db, const struct campaign_new *new, struct arena *arena,
                     struct campaign_made *out_made, struct err *err)
{
    const struct campaign_submitted *definition = new->definition;
    const char *country =
        definition->country && *definition->country ? definition->country : new->account->country;
    struct campaign_made made = { 0 };
    const char *sender = "";
    struct voice voice;
    int64_t rows;

    if (!campaign_by_reference(db, new->account->id, new->reference, &made.id, err)) {
        return false;
    }
    if (made.id) {
        *out_made = (struct campaign_made){ made.id, true };
        return true;
    }
    if (!new->account->active) {
        return err_permanent(err, "account_not_active", "account: '%s' is suspended or closed",
                             new->account->slug);
    }
    if (!check_plan(db, new, arena, err) || !check_times(new, err) ||
        !check_text(new, country, arena, err) || !check_voice(db, new, &voice, err) ||
        !check_sender(db, new, arena, &sender, err)) {
        return false;
    }
    made.id = id_create(new->now_ms);
    if (!db_run(db, &insert_campaign,
                (struct db_value[]){
                    db_int8(made.id), db_int8(new->account->id), db_text(new->reference),
                    db_text(new->kind), db_text(definition->title ? definition->title : ""),
                    db_text(definition->message_template ? definition->message_template : ""),
                    db_text(sender), db_text(lane_words[new->lane]),
                    db_text(missing_words[definition->missing]),
                    db_text(definition->missing_default ? definition->missing_default : ""),
                    db_bool(definition->keep_whitespace), db_text(country),
                    db_bool(definition->hold), db_time(definition->scheduled_at),
                    db_time(definition->expires_at), db_time(new->now_ms),
                    db_text(channel_words[definition->channel]), db_int8(new->parent),
                    new->parent ? db_texts(new->words.items, new->words.count) : db_null() },
                &rows, err)) {
        return false;
    }
    if (rows == 0) { /* the same reference, at the same moment, elsewhere */
        made.existed = true;
        if (!campaign_by_reference(db, new->account->id, new->reference, &made.id, err)) {
            return false;
        }
    } else if ((definition->channel == CHANNEL_VOICE && !voice_insert(db, made.id, &voice, err)) ||
               (follow_up_is_wanted(definition) &&
                !follow_up_create(db, new, made.id, arena, err))) {
        return false;
    }
    *out_made = made;
    return true;
}
