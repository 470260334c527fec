/*
 * topology - the broker's exchanges, queues, bindings and policies as an importable file
 */
#include <stdio.h>

#include "base/str.h"
#include "ctl.h"
#include "msg/topic.h"

static bool print_topology(struct ctl *ctl, struct err *err)
{
    const char *vhost = ctl_option(ctl, "vhost");
    struct str out = { 0 };

    if (!ctl_prefix(ctl, err)) {
        return false;
    }
    topic_definitions(ctl->amqp_prefix, vhost ? vhost : ctl_vhost(ctl), &out);
    fwrite(out.bytes, 1, out.len, stdout);
    str_free(&out);
    return true;
}

const struct command topology_command = {
    .name = "topology",
    .arguments = "",
    .summary = "Print the broker's definitions, for rabbitmqctl import_definitions",
    .options =
        (const struct option_def[]){
            { OPTION_TEXT, "vhost", "NAME", "virtual host; else that of AMQP_URL, else /" },
            { OPTION_END, NULL, NULL, NULL },
        },
    .run = print_topology,
};
