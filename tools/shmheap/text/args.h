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

/* What args_next returns, other than the val of an option. */
enum {
    ARGS_END = -1,  /* no more options: argv[optind] is the first operand */
    ARGS_STOP = -2, /* --help was printed: exit with 0 */
    ARGS_WRONG = -3 /* the error was printed: exit with 2 */
};

/* args_next returns the next option. options ends with zeros; args_next adds --help. If letters
 * begins with '+', the options end at the first operand. */
int args_next(const struct command *command, int argc, char **argv, const char *letters,
              const struct option *options);

/* struct args_option is a row of a subcommand's table of options; a row of zeros ends the table. A
 * flag sets an int to 1. A text sets a char pointer. A number from least to most and a size set a
 * uint64_t. A word sets an int to its index among words. */
enum args_kind { ARGS_NONE, ARGS_FLAG, ARGS_TEXT, ARGS_NUMBER, ARGS_SIZE, ARGS_WORD };
struct args_option {
    enum args_kind kind;
    char letter; /* 0: the option has no letter */
    const char *name;
    void *to;
    uint64_t least, most;
    const char *const *words; /* ends with NULL */
};

/* args_parse reads all options into the places that the table names. Returns 0, with argv[optind]
 * the first operand, or ARGS_STOP or ARGS_WRONG. With args_parse_program the options end at the
 * first operand: the operands are another program's command line. */
int args_parse(const struct command *command, int argc, char **argv,
               const struct args_option *options);
int args_parse_program(const struct command *command, int argc, char **argv,
                       const struct args_option *options);

/* args_number reads a number from least to most. args_size reads a size with an optional unit K, M,
 * G or T (KiB and KB mean K: all are powers of 1024). Both return 0, or STATUS_USAGE after printing
 * which option is wrong. */
int args_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out);
int args_size(const char *option, const char *text, uint64_t *out);

/* args_status is the exit status after args_next returned ARGS_STOP or ARGS_WRONG. */
int args_status(int got);

#endif
