/*
 * partner - an account's own way in over AMQP
 *
 * The exchange a message came through is its account, so the account's login may write to that
 * exchange, read its own events and do nothing else. Users are the broker's business: they are made
 * by rabbitmqctl, which needs the broker's cookie; only who can run it gets that far.
 */
#include "partner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "msg/topic.h"

#define PASSWORD_BYTES 24

/* Bindings of each type that partners may publish, in both lanes, and of the events. */
static size_t list_bindings(struct ctl *ctl, const char *exchange, const char *events,
                            const char *slug, struct broker_binding *out)
{
    size_t count = 0;

    for (const struct topic *topic = topics; topic->shape; topic++) {
        for (int lane = 0; topic->partner && lane < LANE_COUNT; lane++) {
            struct str queue = { 0 };
            struct str key = { 0 };

            topic_queue(ctl->amqp_prefix, topic->stage, NULL, (enum lane)lane, &queue);
            topic_key(topic, NULL, (enum lane)lane, &key);
            out[count++] = (struct broker_binding){ .queue = arena_strdup(ctl->arena, queue.bytes),
                                                    .exchange = exchange,
                                                    .key = arena_strdup(ctl->arena, key.bytes) };
            str_free(&queue);
            str_free(&key);
        }
    }
    out[count++] = (struct broker_binding){ .queue = events,
                                            .exchange = arena_printf(ctl->arena, "%s.events",
                                                                     ctl->amqp_prefix),
                                            .key = arena_printf(ctl->arena, "#.%s", slug) };
    return count;
}

#define CTL_WORDS_MAX 16

/* Runs RABBITMQCTL with these words and a line on its standard input. */
static bool run_ctl(struct ctl *ctl, const char *program, const char *const words[],
                    const char *input, int *out_status, struct err *err)
{
    char *argv[CTL_WORDS_MAX] = { arena_strdup(ctl->arena, program), NULL };
    int pipes[2];
    pid_t child;
    int status;

    for (size_t i = 0; words[i] && i + 2 < CTL_WORDS_MAX; i++) {
        argv[i + 1] = arena_strdup(ctl->arena, words[i]);
    }
    if (pipe(pipes) != 0) {
        return err_temporary(err, "no_pipe", "pipe: %s", strerror(errno));
    }
    fflush(NULL);
    child = fork();
    if (child == 0) {
        dup2(pipes[0], STDIN_FILENO);
        dup2(STDERR_FILENO, STDOUT_FILENO); /* our result is not its chatter */
        close(pipes[0]);
        close(pipes[1]);
        execvp(program, argv);
        _exit(127);
    }
    close(pipes[0]);
    if (child > 0 && *input && write(pipes[1], input, strlen(input)) < 0) {
        child = -1;
    }
    close(pipes[1]);
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        return err_temporary(err, "no_rabbitmqctl", "%.100s: %s", program, strerror(errno));
    }
    *out_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    return true;
}

struct login {
    const char *program;
    const char *vhost, *slug, *write, *read;
    char password[CRYPTO_TOKEN_BYTES(PASSWORD_BYTES)];
};

static bool make_login(struct ctl *ctl, const struct login *login, struct err *err)
{
    char input[sizeof login->password + 1];
    int status;

    snprintf(input, sizeof input, "%s\n", login->password);
    if (!run_ctl(ctl, login->program, (const char *const[]){ "-q", "add_user", login->slug, NULL },
                 input, &status, err)) {
        return false;
    }
    if (status != 0) {
        /* Its password stays what it was: somebody uses it. */
        printf(
            "amqp user %s was there already; rabbitmqctl change_password %s sets a new password\n",
            login->slug, login->slug);
    } else {
        printf("amqp user %s, password %s (not shown again)\n", login->slug, login->password);
    }
    if (!run_ctl(ctl, login->program,
                 (const char *const[]){ "-q", "set_permissions", "-p", login->vhost, login->slug,
                                        "^$", login->write, login->read, NULL },
                 "", &status, err)) {
        return false;
    }
    return status == 0 ||
           err_temporary(err, "no_permissions", "%.100s set_permissions failed", login->program);
}

/* An anchored pattern for one name: its dots are plain. */
static const char *exactly(struct ctl *ctl, const char *name)
{
    struct str out = { 0 };
    const char *kept;

    str_putc(&out, '^');
    for (const char *at = name; *at; at++) {
        if (strchr(".+*?()[]{}|^$\\", *at)) {
            str_putc(&out, '\\');
        }
        str_putc(&out, *at);
    }
    str_putc(&out, '$');
    kept = arena_strdup(ctl->arena, out.bytes);
    str_free(&out);
    return kept;
}

bool partner_open(struct ctl *ctl, const char *slug, struct err *err)
{
    struct broker_binding bindings[64];
    struct broker_conf conf;
    struct login login;
    const char *exchange, *events;

    if (!ctl_amqp(ctl, &conf, err)) {
        return false;
    }
    exchange = arena_printf(ctl->arena, "%s.in.%s", ctl->amqp_prefix, slug);
    events = arena_printf(ctl->arena, "%s.events.%s", ctl->amqp_prefix, slug);
    if (!broker_declare(&conf, exchange, "direct", events, bindings,
                        list_bindings(ctl, exchange, events, slug, bindings), err)) {
        return false;
    }
    printf("amqp exchange %s, queue %s\n", exchange, events);
    login = (struct login){ .program = conf_get("RABBITMQCTL", ctl->arena),
                            .vhost = ctl_vhost(ctl),
                            .slug = slug,
                            .write = exactly(ctl, exchange),
                            .read = exactly(ctl, events) };
    if (!login.program) {
        printf("as the broker's administrator run:\n"
               "  rabbitmqctl add_user %s\n"
               "  rabbitmqctl set_permissions -p '%s' %s '^$' '%s' '%s'\n",
               slug, login.vhost, slug, login.write, login.read);
        return true;
    }
    crypto_token(login.password, PASSWORD_BYTES);
    return make_login(ctl, &login, err);
}
