/*
 * tumactl - the operator's command
 *
 * One file per subject; the table below is the list of commands and the source of the help.
 * Exit status: 0 done, 1 failed (one line on stderr says why), 64 wrong usage, 78 wrong settings.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "publish.h"

#define MEMORY_BYTES ((size_t)1 << 30)

/* clang-format off */
static const struct command *const commands[] = {
    &migrate_command,
    &topology_command,
    &account_create_command,
    &account_list_command,
    &account_set_command,
    &alerts_list_command,
    &sender_add_command,
    &key_create_command,
    &key_list_command,
    &key_revoke_command,
    &tokens_add_command,
    &tokens_check_command,
    &tokens_history_command,
    &tokens_usage_command,
    &tokens_insights_command,
    &tokens_receipt_command,
    &tokens_transfer_command,
    &tokens_adjust_command,
    &tokens_expire_command,
    &tokens_cleanup_command,
    &tokens_statement_command,
    &statement_key_create_command,
    &plan_list_command,
    &plan_set_command,
    &plan_subscribe_command,
    &payments_list_command,
    &payments_show_command,
    &payments_query_command,
    &payments_match_command,
    &payments_reverse_command,
    &payments_register_command,
    &payments_statement_command,
    &campaign_send_command,
    &campaign_call_command,
    &campaign_list_command,
    &campaign_show_command,
    &campaign_watch_command,
    &campaign_report_command,
    &campaign_launch_command,
    &campaign_pause_command,
    &campaign_resume_command,
    &campaign_cancel_command,
    &test_sms_command,
    &test_call_command,
    &test_webhooks_command,
    &at_balance_command,
    &queues_command,
    &parked_show_command,
    &parked_replay_command,
    &parked_drop_command,
    &route_list_command,
    &route_hold_command,
    &route_open_command,
    &verify_command,
    NULL,
};
/* clang-format on */

/* The command that the first words name; *out_words is how many words that is. */
static const struct command *find_command(int argc, char **argv, int *out_words)
{
    for (const struct command *const *at = commands; *at; at++) {
        const char *blank = strchr((*at)->name, ' ');
        size_t first = blank ? (size_t)(blank - (*at)->name) : strlen((*at)->name);

        if (argc < 1 || strlen(argv[0]) != first || strncmp((*at)->name, argv[0], first) != 0) {
            continue;
        }
        if (!blank) {
            *out_words = 1;
            return *at;
        }
        if (argc > 1 && strcmp(blank + 1, argv[1]) == 0) {
            *out_words = 2;
            return *at;
        }
    }
    return NULL;
}

static void print_usage(FILE *out, const struct command *command)
{
    fprintf(out, "usage: tumactl %s%s%s%s\n%s.\n", command->name, *command->arguments ? " " : "",
            command->arguments, command->options ? " [OPTION…]" : "", command->summary);
    for (const struct option_def *def = command->options; def && def->kind != OPTION_END; def++) {
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s%s", def->name, def->value ? " " : "",
                 def->value ? def->value : "", def->kind == OPTION_MANY ? " …" : "");
        fprintf(out, "  %-26s %s%s\n", left, def->help,
                def->kind == OPTION_REQUIRED ? " (required)" : "");
    }
    if (command->notes) {
        fprintf(out, "\n%s\n", command->notes);
    }
}

/* All commands, or those of one group: "campaign". */
static void print_help(FILE *out, const char *group)
{
    size_t len = group ? strlen(group) : 0;

    fprintf(out, "usage: tumactl COMMAND [ARGUMENT…] [OPTION…]\n\n");
    for (const struct command *const *at = commands; *at; at++) {
        char left[64];

        if (len > 0 && strncmp((*at)->name, group, len) != 0) {
            continue;
        }
        snprintf(left, sizeof left, "%s%s%s", (*at)->name, *(*at)->arguments ? " " : "",
                 (*at)->arguments);
        fprintf(out, "  %-28s %s\n", left, (*at)->summary);
    }
    fprintf(out,
            "\ntumactl help COMMAND shows a command's options. Settings come from the environment "
            "(DATABASE_URL,\nAMQP_URL, AMQP_PREFIX), or from .tuma/env if DATABASE_URL is not "
            "set.\n");
}

static bool is_group(const char *word)
{
    for (const struct command *const *at = commands; *at; at++) {
        size_t len = strcspn((*at)->name, " ");

        if ((*at)->name[len] == ' ' && strlen(word) == len &&
            strncmp((*at)->name, word, len) == 0) {
            return true;
        }
    }
    return false;
}

/* "help", "help campaign", "help campaign send". */
static int help(int argc, char **argv)
{
    int words;
    const struct command *command = find_command(argc, argv, &words);

    if (command) {
        print_usage(stdout, command);
        return EXIT_OK;
    }
    if (argc > 0 && !is_group(argv[0])) {
        fprintf(stderr, "tumactl: there is no command '%.40s'; see tumactl help\n", argv[0]);
        return EXIT_USAGE;
    }
    print_help(stdout, argc > 0 ? argv[0] : NULL);
    return EXIT_OK;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            return false;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int exit_status(const struct err *err)
{
    fprintf(stderr, "tumactl: %s\n", err->detail);
    return strcmp(err->what, "usage") == 0      ? EXIT_USAGE
           : strcmp(err->what, "settings") == 0 ? EXIT_SETTINGS
                                                : EXIT_FAILED;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct ctl ctl = { .command = command, .arena = arena_create(MEMORY_BYTES) };
    struct err err;
    int status = EXIT_OK;

    if (!ctl_parse(&ctl, argc, argv, &err)) {
        status = exit_status(&err);
    } else {
        ctl_read_environment(&ctl);
        if (!command->run(&ctl, &err)) {
            fflush(stdout); /* its lines come before the error's */
            status = exit_status(&err);
        }
    }
    publish_close(&ctl);
    db_close(ctl.db);
    arena_destroy(ctl.arena);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "tumactl: cannot write to standard output\n");
        return EXIT_FAILED;
    }
    return status;
}

int main(int argc, char **argv)
{
    const struct command *command;
    int words;

    (void)signal(SIGPIPE, SIG_IGN); /* a broken connection is an error like others */
    argc--;
    argv++;
    if (argc == 0) {
        print_help(stderr, NULL);
        return EXIT_USAGE;
    }
    if (strcmp(argv[0], "help") == 0) {
        return help(argc - 1, argv + 1);
    }
    if (strcmp(argv[0], "--version") == 0) {
        printf("tumactl %s\n", TUMA_VERSION);
        return EXIT_OK;
    }
    if (asks_for_help(argc, argv)) {
        return help(*argv[0] == '-' ? 0 : argc > 1 && *argv[1] != '-' ? 2 : 1, argv);
    }
    command = find_command(argc, argv, &words);
    if (!command) {
        fprintf(stderr, "tumactl: there is no command '%.40s%s%.40s'; see tumactl help\n", argv[0],
                argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
        return EXIT_USAGE;
    }
    return run(command, argc - words, argv + words);
}
