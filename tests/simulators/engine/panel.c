/*
 * panel - /_sim: answers to those who test, and what every simulator can be asked
 */
#include "engine/panel.h"

#include <string.h>

bool panel_handle(const struct control *controls, size_t count, struct sim *sim, struct conn *conn,
                  struct request *request)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(request->path, controls[i].path) == 0 &&
            strcmp(request->method, controls[i].method) == 0) {
            controls[i].handle(sim, conn, request);
            return true;
        }
    }
    return false;
}

static void show(struct conn *conn, const char *json, size_t len)
{
    server_answer(conn, &(struct answer){
                            .status = 200, .type = "application/json", .body = json, .len = len });
}

void panel_show(struct conn *conn, const struct str *reply)
{
    show(conn, reply->bytes, reply->len);
}

void panel_show_ok(struct conn *conn)
{
    show(conn, "{}", 2);
}

void panel_complain(struct conn *conn, int status, const char *text)
{
    server_answer(conn, &(struct answer){ .status = status,
                                          .type = "text/plain; charset=UTF-8",
                                          .body = text,
                                          .len = strlen(text) });
}

void panel_show_faults(struct conn *conn, const struct faults *faults, struct str *reply)
{
    str_reset(reply);
    faults_put_settings(faults, reply);
    panel_show(conn, reply);
}

void panel_set_faults(struct conn *conn, struct faults *faults, const struct request *request,
                      struct str *reply)
{
    struct err err;

    if (faults_load(faults, request->body, request->body_len, &err)) {
        panel_show_faults(conn, faults, reply);
    } else {
        panel_complain(conn, 400, err.detail);
    }
}
