/* commands.h: the subcommands; each is a module.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_COMMANDS_H
#define SHMHEAP_TOOL_COMMANDS_H

#include "tools/shmheap/command_line/args.h"

extern const struct command command_ls;
extern const struct command command_stat;
extern const struct command command_check;
extern const struct command command_map;
extern const struct command command_top;
extern const struct command command_watch;
extern const struct command command_serve;
extern const struct command command_names;
extern const struct command command_copy;
extern const struct command command_reap;
extern const struct command command_rm;
extern const struct command command_run;
extern const struct command command_record;
extern const struct command command_replay;

#endif
