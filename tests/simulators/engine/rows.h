/*
 * rows - the settings that every simulator has, as rows of its table
 *
 *     static const struct conf_item items[] = {
 *         SIM_ROW_LISTEN(struct settings), ..., SIM_ROW_FAULTS(struct settings), CONF_END,
 *     };
 *
 * The struct has the members listen, faults and seed.
 */
#ifndef SIM_ROWS_H
#define SIM_ROWS_H

#include "base/conf.h"

#define SIM_ROW_LISTEN(type)                                                                       \
    CONF_STR(type, listen, "SIM_LISTEN", "127.0.0.1:0",                                            \
             "Address and port; port 0 takes a free one. The line 'listening <address>' tells.")

#define SIM_ROW_FAULTS(type)                                                                       \
    CONF_STR(type, faults, "SIM_FAULTS", "{}",                                                     \
             "Faults in force from the start: the JSON of POST /_sim/faults.")

#define SIM_ROW_SEED(type)                                                                         \
    CONF_INT(type, seed, "SIM_SEED", "1", 0, 1000000000, "Seed of every choice.")

#endif
