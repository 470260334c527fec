/*
 * servers - private PostgreSQL and RabbitMQ for a test program
 */
#include "servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLES_MAX 16
#define VARIABLE_BYTES 300

static char dir[] = "/tmp/tuma-test.XXXXXX";
static char variables[VARIABLES_MAX][VARIABLE_BYTES];

static void give_up(const char *what)
{
    fprintf(stderr, "servers: %s\n", what);
    exit(1);
}

static void shell(const char *command)
{
    int status;

    fflush(NULL);
    status = system(command); /* test code: the command is ours */
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        give_up(command);
    }
}

static void read_variables(void)
{
    char path[sizeof(dir) + 8];
    FILE *file;

    snprintf(path, sizeof(path), "%s/env", dir);
    file = fopen(path, "re");
    if (file == NULL) {
        give_up(path);
    }
    memset(variables, 0, sizeof(variables));
    for (int i = 0; i < VARIABLES_MAX && fgets(variables[i], VARIABLE_BYTES, file); i++) {
        variables[i][strcspn(variables[i], "\n")] = '\0';
    }
    fclose(file);
}

void servers_start(const char *names)
{
    char command[300];

    if (mkdtemp(dir) == NULL) {
        give_up("mkdtemp");
    }
    snprintf(command, sizeof(command), "SERVERS_OWNER=%d %s start %s %s", (int)getpid(),
             SERVERS_COMMAND, dir, names);
    shell(command);
    read_variables();
}

void servers_stop(void)
{
    char command[300];

    snprintf(command, sizeof(command), "%s discard %s", SERVERS_COMMAND, dir);
    shell(command);
}

const char *servers_get(const char *key)
{
    size_t len = strlen(key);

    for (int i = 0; i < VARIABLES_MAX; i++) {
        if (strncmp(variables[i], key, len) == 0 && variables[i][len] == '=') {
            return variables[i] + len + 1;
        }
    }
    give_up(key);
    return NULL;
}

void servers_do(const char *command, const char *name)
{
    char line[300];

    snprintf(line, sizeof(line), "%s %s %s %s", SERVERS_COMMAND, command, dir, name);
    shell(line);
    read_variables();
}

int servers_free_port(void)
{
    FILE *answer = popen(PORTS_COMMAND " 1", "re"); /* test code: the command is ours */
    int port = 0;

    if (answer == NULL || fscanf(answer, "%d", &port) != 1 || pclose(answer) != 0) {
        give_up(PORTS_COMMAND);
    }
    return port;
}

void servers_ctl(const char *arguments)
{
    char line[1000];

    snprintf(line, sizeof(line), "%s %s >/dev/null", servers_get("RABBITMQCTL"), arguments);
    shell(line);
}
