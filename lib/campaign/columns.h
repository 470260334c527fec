/*
 * columns - which column of an upload holds the phone number
 */
#ifndef CAMPAIGN_COLUMNS_H
#define CAMPAIGN_COLUMNS_H

#include <stddef.h>

/*
 * Index of the first column named phone, or like it (phone_number, msisdn, mobile, …, whatever the
 * case, spaces or dashes), or -1. Exactly "phone" wins.
 */
int campaign_phone_column(const char *const *columns, size_t count);

/* "phone, phone_number, …" for messages to people. Static. */
const char *campaign_phone_names(void);

#endif
