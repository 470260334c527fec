/*
 * send_sms - what the files of this stage share
 */
#ifndef SEND_SMS_SEND_SMS_H
#define SEND_SMS_SEND_SMS_H

#include "dispatch/dispatch.h"
#include "provider/africastalking.h"

struct send_conf {
    struct dispatch_conf dispatch; /* first: see dispatch.h */
    struct at_conf at;
    long claim_window;
    long credit_low; /* whole units of the provider's currency; 0: not asked for */
};

/* Asks the provider about a claimed window, equal texts in one request; outcomes in its order. */
struct at_outcome *requests_send(struct run *run, const struct window *window);

#endif
