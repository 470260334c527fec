/*
 * simulator - the provider's simulator, as a child of the test
 */
#include "simulator.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/panic.h"
#include "http/http.h"

#define ARENA_BYTES (64u << 20)
#define CONTROL_TIMEOUT_MS 10000

static struct {
    pid_t pid;
    char address[64];
    char url[100];
    struct http *http;
    struct arena *arena;
} sim;

static void run(int output, const char *senders)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setenv("SIM_LISTEN", "127.0.0.1:0", 1);
    setenv("SIM_SENDERS", senders, 1);
    dup2(output, STDOUT_FILENO);
    execl(SIMULATOR, SIMULATOR, (char *)NULL);
    panic("%s does not start", SIMULATOR);
}

void simulator_start(const char *senders)
{
    struct err err;
    int ends[2];
    FILE *output;

    if (pipe(ends) != 0 || (sim.pid = fork()) < 0) {
        panic("no process for the simulator");
    }
    if (sim.pid == 0) {
        run(ends[1], senders);
    }
    close(ends[1]);
    output = fdopen(ends[0], "r");
    if (output == NULL || fscanf(output, "listening %63s", sim.address) != 1) {
        panic("the simulator does not say where it listens");
    }
    fclose(output);
    snprintf(sim.url, sizeof sim.url, "http://%s/version1", sim.address);
    sim.arena = arena_create(ARENA_BYTES);
    if (!http_create(&(struct http_conf){ 0 }, &sim.http, &err)) {
        panic("http: %s", err.detail);
    }
}

void simulator_stop(void)
{
    if (sim.pid > 0) {
        kill(sim.pid, SIGTERM);
        waitpid(sim.pid, NULL, 0);
        http_destroy(sim.http);
        arena_destroy(sim.arena);
        memset(&sim, 0, sizeof sim);
    }
}

const char *simulator_url(void)
{
    return sim.url;
}

const char *simulator_root(void)
{
    static char root[100];

    snprintf(root, sizeof root, "http://%s", sim.address);
    return root;
}

/* The answer's body; valid until the next call. */
static const char *ask(const char *method, const char *path, const char *body)
{
    static const char *const headers[] = { "Content-Type: application/json", NULL };
    struct http_reply reply;

    arena_reset(sim.arena);
    http_run(sim.http,
             &(struct http_call){
                 .method = method,
                 .url = arena_printf(sim.arena, "http://%s/_sim/%s", sim.address, path),
                 .headers = headers,
                 .body = body,
                 .body_len = strlen(body),
                 .timeout_ms = CONTROL_TIMEOUT_MS,
             },
             &reply, 1, sim.arena);
    if (reply.sent != HTTP_ANSWERED || reply.status != 200) {
        panic("%s /_sim/%s %s: %d %s", method, path, body, reply.status,
              reply.sent == HTTP_ANSWERED ? reply.body : reply.err.detail);
    }
    return reply.body;
}

const char *simulator_get(const char *path)
{
    return ask("GET", path, "");
}

const char *simulator_post(const char *path, const char *json)
{
    return ask("POST", path, json);
}

void simulator_reset(void)
{
    ask("POST", "reset", "");
}

void simulator_faults(const char *json)
{
    ask("POST", "faults", json);
}

int64_t simulator_count(const char *name)
{
    char member[60];
    const char *at;

    snprintf(member, sizeof member, "\"%s\":", name);
    at = strstr(ask("GET", "stats", ""), member);
    return at != NULL ? strtoll(at + strlen(member), NULL, 10) : 0;
}

int simulator_messages(int64_t msisdn, const char *text)
{
    char path[60];
    char member[300] = "\"text\":";
    int count = 0;

    snprintf(path, sizeof path, "messages?number=%%2B%lld", (long long)msisdn);
    if (text != NULL) {
        snprintf(member, sizeof member, "\"text\":\"%s\"}", text);
    }
    for (const char *at = ask("GET", path, ""); (at = strstr(at, member)) != NULL; at++) {
        count++;
    }
    return count;
}
