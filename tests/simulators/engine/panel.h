/*
 * panel - /_sim: answers to those who test, and what every simulator can be asked
 *
 *     static const struct control controls[] = {
 *         { "GET", "/_sim/faults", get_faults }, ...
 *     };
 *     if (!panel_handle(controls, COUNT, sim, conn, request)) {
 *         panel_complain(conn, 404, "...");
 *     }
 *
 * Control requests are no traffic: their answers are neither counted nor delayed.
 */
#ifndef SIM_PANEL_H
#define SIM_PANEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "engine/faults.h"
#include "engine/server.h"

struct sim; /* each simulator has its own */

struct control {
    const char *method;
    const char *path;
    void (*handle)(struct sim *sim, struct conn *conn, struct request *request);
};

/* False when none of the controls is meant. */
bool panel_handle(const struct control *controls, size_t count, struct sim *sim, struct conn *conn,
                  struct request *request) __attribute__((warn_unused_result));

/* 200 with the JSON in reply, or with {}. */
void panel_show(struct conn *conn, const struct str *reply);
void panel_show_ok(struct conn *conn);

/* Another status with a line of text. */
void panel_complain(struct conn *conn, int status, const char *text);

/* The faults in force; reply is room for the answer. */
void panel_show_faults(struct conn *conn, const struct faults *faults, struct str *reply);

/* The request's faults from now on; shows what is in force, or complains. */
void panel_set_faults(struct conn *conn, struct faults *faults, const struct request *request,
                      struct str *reply);

#endif
