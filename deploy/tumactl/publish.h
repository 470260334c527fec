/*
 * publish - give the broker a message and wait until it has it
 *
 * One at a time: an operator's command is not in a hurry, and what returns true is confirmed.
 */
#ifndef TUMACTL_PUBLISH_H
#define TUMACTL_PUBLISH_H

#include "ctl.h"
#include "msg/topic.h"

/* A message as it is. A queue that is full is tried again for a while. */
bool publish_message(struct ctl *ctl, const struct broker_message *message, struct err *err);

/* A body of this type to where the type travels. number tells messages of one campaign apart: the
 * same campaign, type and number always have the same id. */
struct publish_fact {
    const struct shape *shape;
    enum lane lane;
    const char *campaign; /* text id */
    const char *account;  /* slug */
    int64_t number;       /* -1: an id of its own, for facts that may be told again */
    const struct str *body;
};
bool publish_fact(struct ctl *ctl, const struct publish_fact *fact, struct err *err);

/* Ends the connection, if there is one. */
void publish_close(struct ctl *ctl);

#endif
