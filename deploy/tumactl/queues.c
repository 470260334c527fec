/*
 * queues - how much waits where, and who works on it
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "ctl.h"
#include "stages.h"

#define QUEUES_MAX 256

struct queue_list {
    struct ctl *ctl;
    const char *names[QUEUES_MAX];
    size_t count;
};

static void add_queue(void *context, const char *stage, const char *queue)
{
    struct queue_list *list = context;

    (void)stage;
    if (list->count < QUEUES_MAX) {
        list->names[list->count++] = arena_strdup(list->ctl->arena, queue);
    }
}

static bool is_parked(const char *queue)
{
    size_t len = strlen(queue);

    return len > 7 && strcmp(queue + len - 7, ".parked") == 0;
}

static bool is_delay(const struct ctl *ctl, const char *queue)
{
    const char *rest = queue + strlen(ctl->amqp_prefix);

    return strncmp(rest, ".delay.", 7) == 0;
}

static bool print_queues(struct ctl *ctl, struct err *err)
{
    struct queue_list list = { .ctl = ctl };
    struct broker_conf conf;
    int64_t ready, consumers;
    int64_t parked = 0;

    if (!ctl_amqp(ctl, &conf, err)) {
        return false;
    }
    stages_queues(ctl->amqp_prefix, add_queue, &list);
    printf("%-36s %10s %10s\n", "QUEUE", "READY", "CONSUMERS");
    for (size_t i = 0; i < list.count; i++) {
        bool works = !is_parked(list.names[i]) && !is_delay(ctl, list.names[i]);

        if (!broker_queue_depth(&conf, &list.names[i], 1, &ready, &consumers, err)) {
            return false;
        }
        parked += is_parked(list.names[i]) ? ready : 0;
        printf("%-36s %10s %10s%s\n", list.names[i], ctl_number(ctl, ready),
               works ? ctl_number(ctl, consumers) : "-",
               works && consumers == 0 ? "  nobody works here" : "");
    }
    printf("%s parked%s\n", ctl_number(ctl, parked), parked > 0 ? "; see tumactl help parked" : "");
    return true;
}

const struct command queues_command = {
    .name = "queues",
    .arguments = "",
    .summary = "Show each queue's messages and consumers, and what is parked",
    .run = print_queues,
};
