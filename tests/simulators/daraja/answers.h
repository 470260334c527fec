/*
 * answers - the shapes in which M-Pesa answers and refuses
 *
 * Each counts the answer and adds the latency in force.
 */
#ifndef SIM_ANSWERS_H
#define SIM_ANSWERS_H

#include "sim.h"

/* Any answer; what it carries is copied. */
void answer_send(struct sim *sim, struct conn *conn, struct answer answer);

/* sim->reply as JSON. */
void answer_json(struct sim *sim, struct conn *conn, int status);

/* {"requestId":...,"errorCode":...,"errorMessage":...} */
void answer_error(struct sim *sim, struct conn *conn, int status, const char *code,
                  const char *message);

/* 400.002.02 "Bad Request - Invalid <field>" */
void answer_invalid(struct sim *sim, struct conn *conn, const char *field);

/* 429 in the gateway's own shape. */
void answer_spike(struct sim *sim, struct conn *conn, int64_t per_period, int64_t period_ms);

/* 503 with the firewall's page; 200 with the same page; 200 with no body. */
void answer_unavailable(struct sim *sim, struct conn *conn);
void answer_html(struct sim *sim, struct conn *conn);
void answer_empty(struct sim *sim, struct conn *conn);

/* Closes the connection instead. */
void answer_drop(struct sim *sim, struct conn *conn);

#endif
