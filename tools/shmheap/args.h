/* args.h: the words of a command line, by getopt_long, with errors of one line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_ARGS_H
#define SHMHEAP_TOOL_ARGS_H

#include <getopt.h>
#include <stdint.h>

/* struct command is a subcommand: `shmheap NAME ...` calls run with argv[0] = NAME. */
struct command {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* all of it, with examples */
    int (*run)(const struct command *command, int argc, char **argv);
};

/* What args_next returns besides the val of a long option. */
enum {
    ARGS_END = -1,  /* what is left are operands, from argv[optind] on */
    ARGS_STOP = -2, /* --help was printed: exit with 0 */
    ARGS_WRONG = -3 /* said what: exit with 2 */
};

/* args_next gives the next option. options ends with zeros and holds no --help, which is always understood. Where
 * letters begins with '+', options end at the first operand. */
int args_next(const struct command *command, int argc, char **argv, const char *letters,
              const struct option *options);

/* A number from least to most; a size with K, M, G, T behind it (KiB and KB too: all are powers of 1024). 0, or
 * STATUS_USAGE after saying which option is wrong. */
int args_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out);
int args_size(const char *option, const char *text, uint64_t *out);

/* The status that ends a command after args_next gave something below ARGS_END. */
int args_status(int got);

#endif
