/*
 * entry_view - entries of the ledger as callers see them
 */
#ifndef INGRESS_ENTRY_VIEW_H
#define INGRESS_ENTRY_VIEW_H

#include "ledger/history.h"
#include "request.h"

/* {"position":…}: all of it. */
void entry_view_put(struct request *req, struct str *out, const struct ledger_entry *entry);

#endif
