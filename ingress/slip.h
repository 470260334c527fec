/*
 * slip - a page to print: a receipt
 *
 *     slip_begin(out);
 *     slip_row(out, "Customer", name);
 *     slip_end(out);
 *     req->type_out = slip_type;
 *
 * It holds no script and fetches nothing.
 */
#ifndef INGRESS_SLIP_H
#define INGRESS_SLIP_H

#include "request.h"

extern const char slip_type[];

/* Whoever asks for text/html before application/json, as browsers do, gets the page. */
bool slip_wanted(const struct request *req);

void slip_begin(struct str *out);
void slip_row(struct str *out, const char *name, const char *text); /* text is escaped */
void slip_time_row(struct str *out, const char *name, int64_t ms);
void slip_end(struct str *out);

#endif
