/*
 * ctl - what every command of tumactl gets: its options, its settings, its connections
 *
 *     static bool check_tokens(struct ctl *ctl, struct err *err)
 *     {
 *         struct db *db;
 *         if (!ctl_db(ctl, &db, err) || …) { return false; }
 *         printf("available %lld\n", …);
 *         return true;
 *     }
 *
 *     const struct command tokens_check = {
 *         .name = "tokens check", .summary = "show what an account has",
 *         .options = options, .run = check_tokens };
 *
 * A command prints its result to stdout and returns whether it worked; main() prints the error, one
 * line, and turns its `what` into the exit status: 64 for "usage", 78 for "settings", else 1.
 * Settings are read when they are first needed, so that `topology` needs no database.
 */
#ifndef TUMACTL_CTL_H
#define TUMACTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "broker/broker.h"
#include "campaign/store.h"
#include "db/db.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 64, EXIT_SETTINGS = 78 };

enum option_kind { OPTION_END, OPTION_FLAG, OPTION_TEXT, OPTION_REQUIRED, OPTION_MANY };

struct option_def {
    enum option_kind kind;
    const char *name;  /* without the dashes */
    const char *value; /* its name in the help; NULL for flags */
    const char *help;
};

struct ctl;

struct command {
    const char *name;      /* "campaign send" */
    const char *arguments; /* in the help: "CAMPAIGN"; "" none */
    int arguments_min, arguments_max;
    const char *summary;
    const struct option_def *options; /* or NULL; ends with OPTION_END */
    const char *notes;                /* or NULL: lines below the options, as they are printed */
    bool (*run)(struct ctl *ctl, struct err *err);
};

#define CTL_OPTIONS_MAX 64

struct ctl {
    const struct command *command;
    const char *arguments[16];
    int argument_count;
    struct {
        const struct option_def *def;
        const char *value;
    } options[CTL_OPTIONS_MAX];
    int option_count;
    struct arena *arena;                /* for the life of the process */
    struct db *db;                      /* NULL until ctl_db() */
    struct broker_publisher *publisher; /* publish.c's; NULL until something is published */
    const char *amqp_url;
    const char *amqp_prefix;
};

/* Splits the words after the command's name; fails with "usage". */
bool ctl_parse(struct ctl *ctl, int argc, char **argv, struct err *err);

/* The last value given, or NULL. Flags have the value "". */
const char *ctl_option(const struct ctl *ctl, const char *name);

/* The index-th value of an option that may be repeated, or NULL. */
const char *ctl_option_at(const struct ctl *ctl, const char *name, int index);

/* A whole number within bounds; fallback when the option is absent. */
bool ctl_option_int(const struct ctl *ctl, const char *name, int64_t min, int64_t max,
                    int64_t fallback, int64_t *out_value, struct err *err);

/* RFC 3339, or from now: +90s, +15m, +2h, +30d; "never" and absent are 0. */
bool ctl_option_time(const struct ctl *ctl, const char *name, int64_t *out_ms, struct err *err);

/* The words were wrong: ctl_usage(err, fmt, ...). */
#define ctl_usage(err, ...) err_permanent((err), "usage", __VA_ARGS__)

/* settings.c */

/* Reads .tuma/env below the current folder unless DATABASE_URL is set: what quickstart wrote. */
void ctl_read_environment(struct ctl *ctl);

/* A table of settings; fails with "settings", all problems in one line. */
struct conf_item;
bool ctl_settings(struct ctl *ctl, const struct conf_item *items, void *out, struct err *err);

bool ctl_db(struct ctl *ctl, struct db **out_db, struct err *err);

/* Fills amqp_prefix, which has a default; no broker is needed. */
bool ctl_prefix(struct ctl *ctl, struct err *err);

/* Fills amqp_url and amqp_prefix. */
bool ctl_amqp(struct ctl *ctl, struct broker_conf *out_conf, struct err *err);

/* The virtual host of amqp_url: decoded, "/" when it has none. Empty settings give "/". */
const char *ctl_vhost(struct ctl *ctl);

/* find.c: what the words on the command line name; fail with account_unknown, campaign_unknown. */
bool ctl_account(struct ctl *ctl, struct account *out_account, struct err *err);
bool ctl_campaign(struct ctl *ctl, const char *text, struct campaign_view *out_view,
                  struct err *err);
bool ctl_campaign_id(const char *text, int64_t *out_id, struct err *err);

/* "2026-11-20 09:12:44" in UTC, or "-" for 0. Returned in the arena. */
const char *ctl_time(struct ctl *ctl, int64_t ms);

/* 1234567 as "1,234,567", in the arena. */
const char *ctl_number(struct ctl *ctl, int64_t number);

/* The table of commands ends with a NULL; each is defined in the file of its subject. */
extern const struct command migrate_command, topology_command;
extern const struct command account_create_command, account_list_command, account_set_command,
    sender_add_command, alerts_list_command;
extern const struct command key_create_command, key_list_command, key_revoke_command;
extern const struct command tokens_add_command, tokens_check_command, tokens_expire_command,
    tokens_cleanup_command, tokens_transfer_command, tokens_adjust_command, tokens_history_command,
    tokens_usage_command, tokens_insights_command, tokens_receipt_command, tokens_statement_command,
    statement_key_create_command;
extern const struct command plan_list_command, plan_set_command, plan_subscribe_command;
extern const struct command payments_list_command, payments_show_command, payments_query_command,
    payments_match_command, payments_reverse_command, payments_register_command,
    payments_statement_command;
extern const struct command campaign_send_command, campaign_call_command, campaign_list_command,
    campaign_show_command, campaign_watch_command, campaign_pause_command, campaign_resume_command,
    campaign_cancel_command, campaign_launch_command, campaign_report_command;
extern const struct command at_balance_command, test_sms_command, test_call_command,
    test_webhooks_command, queues_command;
extern const struct command parked_show_command, parked_replay_command, parked_drop_command;
extern const struct command route_list_command, route_hold_command, route_open_command;
extern const struct command verify_command;

#endif
