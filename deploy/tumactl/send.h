/*
 * send - a campaign from rows, on the same way as one that comes in over HTTP
 */
#ifndef TUMACTL_SEND_H
#define TUMACTL_SEND_H

#include "ctl.h"

/* What every campaign from a file may be told, in a command's table of options. */
#define SEND_OPTIONS                                                                               \
    { OPTION_TEXT, "account", "SLUG", "whose; may be left out while there is one account" },       \
        { OPTION_REQUIRED, "title", "TEXT", "what it is called" },                                 \
        { OPTION_REQUIRED, "csv", "FILE", "with a heading; one column is called phone" },          \
        { OPTION_TEXT, "priority", "WORD", "high or normal" },                                     \
        { OPTION_TEXT, "schedule", "TIME", "RFC 3339 or +2h; default now" },                       \
        { OPTION_TEXT, "expires", "TIME", "after it nothing more is sent" },                       \
        { OPTION_FLAG, "hold", NULL, "stop at the quote; see campaign launch" },                   \
        { OPTION_TEXT, "missing", "WORD", "an empty field: block, skip or default" },              \
        { OPTION_TEXT, "missing-default", "TEXT", "what --missing default says instead" },         \
        { OPTION_TEXT, "country", "KE", "of numbers written without a country code" },             \
        { OPTION_TEXT, "reference", "TEXT", "your own name; the same one is sent once" },          \
        { OPTION_FLAG, "skip-bad", NULL, "leave out rows that cannot be read" },                   \
    {                                                                                              \
        OPTION_FLAG, "watch", NULL, "show its progress until it is done"                           \
    }

/* Adds what those options say to the definition, and sends it to the rows of --csv. */
bool send_campaign(struct ctl *ctl, struct campaign_submitted *definition, struct err *err);

/* The text of an option, or of the file that another one names; NULL when neither is there. */
bool send_read_text(struct ctl *ctl, const char *option, const char *file_option,
                    const char **out_text, struct err *err);

/* A campaign of one recipient; *out_id is its id. */
bool send_one(struct ctl *ctl, const struct account *account, const char *phone, const char *text,
              const char *sender, int64_t *out_id, struct err *err);

#endif
