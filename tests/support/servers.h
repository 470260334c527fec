/*
 * servers - private PostgreSQL and RabbitMQ for a test program
 *
 *     static int start(void **state) { servers_start("postgres rabbitmq"); return 0; }
 *     db_open(servers_get("DATABASE_URL"), "test", &db, &err);
 *     servers_do("kill", "postgres");
 *     servers_ctl("list_queues");
 *     static int stop(void **state) { servers_stop(); return 0; }
 *
 * A thin wrapper around the command tests/support/servers, which documents the variables. Prints
 * and exits when the command fails. Servers end with the process even when it crashes.
 */
#ifndef SUPPORT_SERVERS_H
#define SUPPORT_SERVERS_H

/* Starts "postgres", "rabbitmq" or both. */
void servers_start(const char *names);
void servers_stop(void);

/* A variable of DIR/env; exits when there is none. */
const char *servers_get(const char *key);

/* `servers COMMAND DIR NAME`: restart, kill, halt, start. */
void servers_do(const char *command, const char *name);

/* A free port for a program that must be told one; see the command tests/support/ports. */
int servers_free_port(void);

/* rabbitmqctl with arguments split by the shell. */
void servers_ctl(const char *arguments);

#endif
