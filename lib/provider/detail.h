/*
 * detail - a provider's own words, made fit for a log line
 *
 *     detail_set(verdict->detail, sizeof(verdict->detail), reply->body);
 *
 * Printable ASCII, all else as '?', cut to what fits; runs of seven and more digits, which may be
 * phone numbers, keep their last three.
 */
#ifndef PROVIDER_DETAIL_H
#define PROVIDER_DETAIL_H

#include <stddef.h>

void detail_set(char *out, size_t size, const char *text);

#endif
