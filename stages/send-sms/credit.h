/*
 * credit - watches the credit at the provider, when the operator wants to know
 *
 * With AT_CREDIT_LOW set, one of all workers asks for the balance every five minutes: who asks is
 * claimed and committed first. Below it an alert is raised, once a day; reserve-tokens tells it.
 */
#ifndef SEND_SMS_CREDIT_H
#define SEND_SMS_CREDIT_H

#include <stdbool.h>

#include "base/err.h"
#include "stage/stage.h"

/* One turn; commits. A provider that does not answer is asked again in its time. */
bool credit_watch(struct stage *stage, struct err *err);

#endif
