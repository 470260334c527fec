/*
 * send - a campaign from rows, on the same way as one that comes in over HTTP
 */
#ifndef TUMACTL_SEND_H
#define TUMACTL_SEND_H

#include "ctl.h"

/* A campaign of one recipient; *out_id is its id. */
bool send_one(struct ctl *ctl, const struct account *account, const char *phone, const char *text,
              const char *sender, int64_t *out_id, struct err *err);

#endif
