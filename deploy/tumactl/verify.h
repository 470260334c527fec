/*
 * verify - what the files of `tumactl verify` share
 */
#ifndef TUMACTL_VERIFY_H
#define TUMACTL_VERIFY_H

#include <stddef.h>

#include "db/db.h"

/* Questions about calls, as those in verify.c: $1 is one campaign's id, or 0 for all. */
extern const struct db_statement verify_calls[];
extern const size_t verify_calls_count;

/*
 * Questions about payments, as those in verify.c: the name is what is claimed, no row is found when
 * it is true, and a row's columns are 0 and how it differs. They take no parameters.
 */
extern const struct db_statement verify_payments[];
extern const size_t verify_payments_count;

#endif
