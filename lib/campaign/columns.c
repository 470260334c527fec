/*
 * columns - which column of an upload holds the phone number
 */
#include "campaign/columns.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static const char *const names[] = { "phone",  "phone_number", "phonenumber", "msisdn",
                                     "mobile", "number",       "telephone",   "tel" };

/* Equal but for case, and with spaces and dashes for underscores. */
static bool is_like(const char *column, const char *name)
{
    for (; *column && *name; column++, name++) {
        int c = tolower((unsigned char)*column);

        if ((c == ' ' || c == '-' ? '_' : c) != *name) {
            return false;
        }
    }
    return *column == *name;
}

int campaign_phone_column(const char *const *columns, size_t count)
{
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        for (size_t i = 0; i < count; i++) {
            if (is_like(columns[i], names[n])) {
                return (int)i;
            }
        }
    }
    return -1;
}

const char *campaign_phone_names(void)
{
    return "phone, phone_number, msisdn, mobile, number, telephone or tel";
}
