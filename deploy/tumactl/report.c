/*
 * report - what became of a campaign, counted over its rows
 */
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "ctl.h"
#include "money.h"
#include "provider/africastalking.h"

static const struct db_statement rejects_by_reason = {
    "report_rejects",
    "SELECT reason, count(*) FROM campaign_rejects WHERE campaign_id = $1"
    " GROUP BY reason ORDER BY count(*) DESC, reason",
    1,
};
/* The provider spells some of its words in two ways. */
static const struct db_statement failures_by_reason = {
    "report_failures",
    "SELECT min(coalesce(reason, 'unknown')), count(*) FROM recipients"
    " WHERE campaign_id = $1 AND state = 5 GROUP BY lower(reason) ORDER BY 2 DESC, 1",
    1,
};
static const struct db_statement doubts_by_reason = {
    "report_doubts",
    "SELECT coalesce(reason, 'unknown'), count(*) FROM recipients"
    " WHERE campaign_id = $1 AND state = 2 GROUP BY 1 ORDER BY 2 DESC, 1",
    1,
};
static const struct db_statement by_network = {
    "report_networks",
    "SELECT network, count(*), count(*) FILTER (WHERE state = 4),"
    "       coalesce(sum(cost_e4), 0)::bigint"
    "  FROM recipients WHERE campaign_id = $1 AND network IS NOT NULL"
    " GROUP BY network ORDER BY count(*) DESC",
    1
};

static const struct db_statement calls_by_word = {
    "report_calls",
    "SELECT word, count(*), sum((duration_s + 59) / 60)::bigint FROM calls"
    " WHERE campaign_id = $1 GROUP BY word ORDER BY count(*) DESC, word",
    1
};
/* A recipient who presses several is counted for each. */
static const struct db_statement keys_by_label = {
    "report_keys",
    "SELECT left(k.keys, 1) || coalesce(' ' || (v.answers ->> left(k.keys, 1)),"
    "                                   CASE left(k.keys, 1) WHEN v.repeat_key THEN ' again'"
    "                                                        WHEN v.stop_key THEN ' stop' END, ''),"
    "       count(DISTINCT k.seq)"
    "  FROM call_keys k JOIN voice_campaigns v ON v.campaign_id = k.campaign_id"
    " WHERE k.campaign_id = $1 AND k.keys <> '' GROUP BY 1 ORDER BY 2 DESC, 1",
    1
};
static const struct db_statement find_hold = {
    "report_hold",
    "SELECT captured - refunded, released + refunded, amount - captured - released"
    "  FROM token_holds WHERE id = $1",
    1,
};

static void put(const char *label, const char *value)
{
    printf("  %-28s %s\n", label, value);
}

static void put_count(struct ctl *ctl, const char *label, int64_t count)
{
    printf("  %-28s %12s\n", label, ctl_number(ctl, count));
}

/* "    invalid_number   12", one line per reason. */
static bool put_reasons(struct ctl *ctl, const struct db_statement *question, int64_t campaign,
                        struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(ctl->db, question, (struct db_value[]){ db_int8(campaign) }, &found, err)) {
        return false;
    }
    for (int i = 0; i < db_rows(found); i++) {
        printf("      %-24s %12s\n", db_get_text(found, i, 0),
               ctl_number(ctl, db_get_int(found, i, 1)));
    }
    return true;
}

static bool put_recipients(struct ctl *ctl, const struct campaign_view *view, struct err *err)
{
    printf("Rows\n");
    put_count(ctl, "received", view->rows_received);
    put_count(ctl, "invalid or duplicate", view->invalid + view->duplicates);
    if (!put_reasons(ctl, &rejects_by_reason, view->id, err)) {
        return false;
    }
    put_count(ctl, "planned", view->planned);
    printf("Recipients\n");
    put_count(ctl, "delivered", view->delivered);
    put_count(ctl, view->voice ? "called, not ended" : "sent, no report", view->sent);
    put_count(ctl, "failed", view->failed);
    if (!put_reasons(ctl, &failures_by_reason, view->id, err)) {
        return false;
    }
    put_count(ctl, "in doubt", view->in_doubt);
    if (!put_reasons(ctl, &doubts_by_reason, view->id, err)) {
        return false;
    }
    put_count(ctl, "expired", view->expired);
    put_count(ctl, "suppressed", view->suppressed);
    put_count(ctl, "cancelled", view->cancelled);
    put_count(ctl, "pending or sending", view->pending + view->sending);
    return true;
}

static bool put_networks(struct ctl *ctl, const struct campaign_view *view, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;

    if (!db_query(ctl->db, &by_network, (struct db_value[]){ db_int8(view->id) }, &found, err)) {
        return false;
    }
    if (db_rows(found) > 0) {
        printf("Networks %31s %12s  %s\n", "reported", "delivered", "cost");
    }
    for (int i = 0; i < db_rows(found); i++) {
        const char *code = arena_printf(ctl->arena, "%lld", (long long)db_get_int(found, i, 0));
        const char *name = at_network_name(code);

        printf("  %-28s %9s %12s  %s\n", name ? name : code,
               ctl_number(ctl, db_get_int(found, i, 1)), ctl_number(ctl, db_get_int(found, i, 2)),
               money_format(ctl, db_get_int(found, i, 3), view->currency));
    }
    return true;
}

/* Calls that have ended, by how. Minutes are those that are paid, begun ones. */
static bool put_calls(struct ctl *ctl, const struct campaign_view *view, struct err *err)
{
    AUTO_DB_RESULT struct db_result *words = NULL;
    AUTO_DB_RESULT struct db_result *keys = NULL;
    struct db_value id = db_int8(view->id);

    if (view->voice == NULL) {
        return true;
    }
    if (!db_query(ctl->db, &calls_by_word, &id, &words, err) ||
        !db_query(ctl->db, &keys_by_label, &id, &keys, err)) {
        return false;
    }
    printf("Calls %34s %12s\n", "ended", "minutes");
    for (int i = 0; i < db_rows(words); i++) {
        printf("  %-28s %9s %12s\n", db_get_text(words, i, 0),
               ctl_number(ctl, db_get_int(words, i, 1)), ctl_number(ctl, db_get_int(words, i, 2)));
    }
    if (db_rows(keys) > 0) {
        printf("Keys %35s\n", "recipients");
    }
    for (int i = 0; i < db_rows(keys); i++) {
        printf("  %-28s %9s\n", db_get_text(keys, i, 0), ctl_number(ctl, db_get_int(keys, i, 1)));
    }
    return true;
}

static bool put_tokens(struct ctl *ctl, const struct campaign_view *view, struct err *err)
{
    AUTO_DB_RESULT struct db_result *hold = NULL;

    if (!db_query(ctl->db, &find_hold, (struct db_value[]){ db_int8(view->id) }, &hold, err)) {
        return false;
    }
    printf("Tokens\n");
    put_count(ctl, "quoted", view->segments);
    if (db_rows(hold) > 0) {
        put_count(ctl, "spent", db_get_int(hold, 0, 0));
        put_count(ctl, "given back", db_get_int(hold, 0, 1));
        put_count(ctl, "still reserved", db_get_int(hold, 0, 2));
    }
    printf("Cost\n");
    put("charged by the provider", money_format(ctl, view->cost_e4, view->currency));
    return true;
}

/* One line per part of the chain: the time between two stamps of the campaign's row. */
static void put_times(const struct campaign_view *view)
{
    const struct {
        const char *label;
        int64_t from, to;
    } parts[] = {
        { "received and rendered", view->created_at, view->rendered_at },
        { "tokens reserved", view->rendered_at, view->reserved_at },
        { "waited for its start", view->reserved_at, view->started_at },
        { "paced and sent", view->started_at, view->sent_at },
        { "reports awaited", view->sent_at, view->completed_at },
        { "in all", view->created_at, view->completed_at },
    };

    printf("Time\n");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].from && parts[i].to) {
            printf("  %-28s %11.2fs\n", parts[i].label,
                   (double)(parts[i].to - parts[i].from) / 1000);
        }
    }
    if (view->sent_at > view->started_at && view->started_at) {
        int64_t left = view->pending + view->sending + view->cancelled + view->suppressed;

        printf("  %-28s %10.0f/s\n", "recipients sent",
               (double)(view->planned - left) * 1000 / (double)(view->sent_at - view->started_at));
    }
}

static bool report(struct ctl *ctl, struct err *err)
{
    struct campaign_view view;

    if (!ctl_campaign(ctl, ctl->arguments[0], &view, err)) {
        return false;
    }
    printf("Campaign %s, \"%s\", of %s: %s%s%s\n", ctl->arguments[0], view.title, view.account,
           view.status, *view.detail ? ", " : "", view.detail);
    if (!put_recipients(ctl, &view, err) || !put_calls(ctl, &view, err) ||
        !put_networks(ctl, &view, err) || !put_tokens(ctl, &view, err)) {
        return false;
    }
    put_times(&view);
    return true;
}

const struct command campaign_report_command = {
    .name = "campaign report",
    .arguments = "CAMPAIGN",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Report what became of a campaign, by reason, with tokens, cost and times",
    .run = report,
};
