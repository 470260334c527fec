/*
 * alerts - the stage's look at every account's tokens, and the telling of alerts
 */
#include "alerts.h"

#include "alert/alert.h"
#include "base/id.h"
#include "msg/event.h"
#include "wait.h"

#define ALERT_ACCOUNTS_A_TICK 100
#define ROUND_MS (60 * 1000)
#define TOLD_A_TICK 100

struct alert_round {
    int64_t after;    /* the last account looked at; 0 between two rounds */
    int64_t began_ms; /* 0: none so far */
};

struct alert_round *alerts_begin(struct stage *stage)
{
    return arena_alloc(stage_memory(stage), sizeof(struct alert_round));
}

/* Out of turn the next accounts are not looked at. */
static bool look(struct stage *stage, struct alert_round *round, struct err *err)
{
    const struct reserve_conf *conf = stage_conf(stage);
    const struct alert_rules rules = { .low_balance = conf->low_balance,
                                       .expiring_ms = conf->expiring_ms,
                                       .spend_factor = conf->spend_factor,
                                       .spend_floor = conf->spend_floor };
    int64_t now_ms = stage_now_ms(stage);
    struct alert_page page;

    if (round->after == 0) {
        if (round->began_ms && now_ms - round->began_ms < ROUND_MS) {
            return true;
        }
        round->began_ms = now_ms;
    }
    if (!alert_raise(stage_db(stage), &rules, round->after, ALERT_ACCOUNTS_A_TICK, now_ms, &page,
                     err)) {
        return false;
    }
    round->after = page.last;
    return page.raised == 0 || stage_commit(stage, err);
}

bool alerts_tick(struct stage *stage, struct alert_round *round, struct err *err)
{
    struct arena *arena = stage_arena(stage);
    struct alert *alerts;
    size_t count;

    if (!look(stage, round, err) ||
        !alert_untold(stage_db(stage), TOLD_A_TICK, arena, &alerts, &count, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct alert *alert = &alerts[i];
        char *id = arena_alloc(arena, ID_TEXT_BYTES);

        id_format("alr", alert->id, id);
        stage_emit_as(stage, &account_alerted_v1,
                      &(struct alert_event){ .alert = id,
                                             .account = alert->slug,
                                             .kind = alert->kind,
                                             .day = alert->day,
                                             .detail = alert->detail,
                                             .value = alert->value,
                                             .threshold = alert->threshold,
                                             .expires_ms = alert->expires_ms,
                                             .currency = alert->currency,
                                             .at_ms = alert->created_ms },
                      &(struct emission){ .key = id, .account = alert->slug });
    }
    return alert_told(stage_db(stage), alerts, count, arena, err);
}
