/*
 * route - ways to a provider: a held one sends nothing
 *
 * send-sms tells the events: see untold_at.
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static const struct db_statement list_routes = {
    "ctl_list_routes",
    "SELECT name, provider, status, coalesce(why, ''), coalesce(detail, ''), held_at, held_until"
    "  FROM routes ORDER BY name",
    0,
};

static bool list(struct ctl *ctl, struct err *err)
{
    AUTO_DB_RESULT struct db_result *found = NULL;
    struct db *db;

    if (!ctl_db(ctl, &db, err) || !db_query(db, &list_routes, NULL, &found, err)) {
        return false;
    }
    printf("%-8s %-16s %-6s %-19s %-19s  %s\n", "ROUTE", "PROVIDER", "STATUS", "HELD SINCE",
           "UNTIL", "WHY");
    for (int i = 0; i < db_rows(found); i++) {
        bool is_held = strcmp(db_get_text(found, i, 2), "held") == 0;
        const char *until =
            db_is_null(found, i, 6) ? "it is opened" : ctl_time(ctl, db_get_time(found, i, 6));

        printf("%-8s %-16s %-6s %-19s %-19s  %s %s\n", db_get_text(found, i, 0),
               db_get_text(found, i, 1), db_get_text(found, i, 2),
               is_held ? ctl_time(ctl, db_get_time(found, i, 5)) : "-", is_held ? until : "-",
               is_held ? db_get_text(found, i, 3) : "", is_held ? db_get_text(found, i, 4) : "");
    }
    return true;
}

const struct command route_list_command = {
    .name = "route list",
    .arguments = "",
    .summary = "List the routes, and why one is held",
    .run = list,
};

static const struct db_statement hold_route = {
    "ctl_hold_route",
    "UPDATE routes SET status = 'held', why = 'operator', detail = $2, held_at = now(),"
    "       held_until = $3, untold_at = now()"
    " WHERE name = $1",
    3,
};

static const struct db_statement open_route = {
    "ctl_open_route",
    "UPDATE routes SET status = 'open', why = 'operator', detail = NULL, held_at = NULL,"
    "       held_until = NULL, failures = 0, untold_at = now()"
    " WHERE name = $1",
    1,
};

static bool change(struct ctl *ctl, const struct db_statement *statement,
                   const struct db_value *values, const char *state, struct err *err)
{
    const char *route = ctl->arguments[0];
    struct db *db;
    int64_t rows;

    if (!ctl_db(ctl, &db, err) || !db_run(db, statement, values, &rows, err)) {
        return false;
    }
    if (rows == 0) {
        return err_permanent(err, "route_unknown", "there is no route '%.40s'", route);
    }
    printf("route %s is %s\n", route, state);
    return true;
}

static bool hold(struct ctl *ctl, struct err *err)
{
    const char *why = ctl_option(ctl, "why");
    int64_t until_ms;

    return ctl_option_time(ctl, "until", &until_ms, err) &&
           change(ctl, &hold_route,
                  (struct db_value[]){ db_text(ctl->arguments[0]), db_text(why ? why : ""),
                                       db_time(until_ms) },
                  "held", err);
}

const struct command route_hold_command = {
    .name = "route hold",
    .arguments = "ROUTE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Send nothing over a route for now; nothing is lost",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "why", "TEXT", "for whoever looks" },
            { OPTION_TEXT, "until", "TIME", "then batches try again; default until it is opened" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = hold,
};

static bool open_again(struct ctl *ctl, struct err *err)
{
    return change(ctl, &open_route, (struct db_value[]){ db_text(ctl->arguments[0]) }, "open", err);
}

const struct command route_open_command = {
    .name = "route open",
    .arguments = "ROUTE",
    .arguments_min = 1,
    .arguments_max = 1,
    .summary = "Send over a held route again",
    .run = open_again,
};
