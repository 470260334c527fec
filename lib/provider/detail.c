/*
 * detail - a provider's own words, made fit for a log line
 */
#include "provider/detail.h"

#include <string.h>

#define MASKED_RUN 7 /* digits in a row that may be a phone number */
#define MASK_KEEPS 3

void detail_set(char *out, size_t size, const char *text)
{
    size_t len = 0;
    size_t run = 0;

    for (; *text != '\0' && len + 1 < size; text++) {
        char c = *text >= ' ' && *text <= '~' ? *text : '?';
        out[len++] = c;
        run = c >= '0' && c <= '9' ? run + 1 : 0;
        if (run == MASKED_RUN) {
            memset(&out[len - run], '*', run - MASK_KEEPS);
        } else if (run > MASKED_RUN) {
            out[len - 1 - MASK_KEEPS] = '*';
        }
    }
    out[len] = '\0';
}
