/*
 * alerts - the stage's look at every account's tokens, a few at a time, and the telling of alerts
 *
 * A tick looks at ALERT_ACCOUNTS_A_TICK accounts, so its work is bounded however many there are;
 * a round begins at most once a minute. Rows are committed before they are told, so that one alert
 * has one id however often it is told; whoever raised them, all are told here.
 */
#ifndef RESERVE_TOKENS_ALERTS_H
#define RESERVE_TOKENS_ALERTS_H

#include <stdbool.h>

#include "base/err.h"
#include "stage/stage.h"

/* What start() is to keep. */
struct alert_round;

struct alert_round *alerts_begin(struct stage *stage);

/* One turn; commits, and then emits account.alerted. */
bool alerts_tick(struct stage *stage, struct alert_round *round, struct err *err);

#endif
