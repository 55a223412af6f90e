/* args.h: command-line options and their values, on getopt_long; an error is one line.
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
    const char *help;    /* what --help prints, with examples */
    int (*run)(const struct command *command, int argc, char **argv);
};

/* What args_parse returns, other than 0. */
enum {
    ARGS_STOP = -2, /* --help was printed: exit with 0 */
    ARGS_WRONG = -3 /* the error was printed: exit with 2 */
};

/* struct args_option is a row of a subcommand's table of options; a row of zeros ends the table. A
 * flag sets an int to 1. A text sets a char pointer. A number from least to most sets a
 * uint64_t, and so does a size, which may have a unit K, M, G or T (KiB and KB mean K: all are
 * powers of 1024). A word sets an int to its index among words. */
enum args_kind { ARGS_NONE, ARGS_FLAG, ARGS_TEXT, ARGS_NUMBER, ARGS_SIZE, ARGS_WORD };
struct args_option {
    enum args_kind kind;
    char letter; /* 0: the option has no letter */
    const char *name;
    void *to;
    uint64_t least, most;
    const char *const *words; /* ends with NULL */
};

/* args_parse reads all options, and --help, into the places that the table names. Returns 0, with
 * argv[optind] the first operand, or ARGS_STOP or ARGS_WRONG. With args_parse_program the options
 * end at the first operand: the operands are another program's command line. */
int args_parse(const struct command *command, int argc, char **argv,
               const struct args_option *options);
int args_parse_program(const struct command *command, int argc, char **argv,
                       const struct args_option *options);

/* args_status is the exit status after args_parse returned ARGS_STOP or ARGS_WRONG. */
int args_status(int got);

#endif
