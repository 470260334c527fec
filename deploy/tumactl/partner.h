/*
 * partner - an account's own way in over AMQP
 */
#ifndef TUMACTL_PARTNER_H
#define TUMACTL_PARTNER_H

#include "ctl.h"

/*
 * Declares <prefix>.in.<slug> and <prefix>.events.<slug>, then makes the account's login: with the
 * command in RABBITMQCTL, which prints its password once, or by printing what to run.
 */
bool partner_open(struct ctl *ctl, const char *slug, struct err *err);

#endif
