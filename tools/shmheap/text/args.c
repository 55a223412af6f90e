/* args.c: command-line options and their values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/text/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/shmheap/text/say.h"

enum { MOST_OPTIONS = 24, OPTION_HELP = 0x7fff };

static int refuse(char **argv, int got)
{
    const char *word = argv[optind > 1 ? optind - 1 : 1];
    if (got == ':')
        wrong_usage("%s needs a value", word);
    else if (optopt && optopt < 256 && strncmp(word, "--", 2) != 0)
        wrong_usage("there is no option -%c", optopt);
    else
        wrong_usage("%s is not an option, is ambiguous, or takes no value", word);
    return ARGS_WRONG;
}

int args_next(const struct command *command, int argc, char **argv, const char *letters,
              const struct option *options)
{
    struct option all[MOST_OPTIONS] = {{0}};
    size_t n = 0;
    for (; options[n].name; n++)
        all[n] = options[n];
    all[n] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    /* With the leading colon getopt_long returns ':', not '?', for a missing value. */
    char colon[MOST_OPTIONS + 3];
    int plus = *letters == '+';
    snprintf(colon, sizeof colon, "%s:%s", plus ? "+" : "", letters + plus);
    opterr = 0;
    int got = getopt_long(argc, argv, colon, all, NULL);
    if (got == '?' || got == ':')
        return refuse(argv, got);
    if (got != OPTION_HELP)
        return got;
    fputs(command->help, stdout);
    return ARGS_STOP;
}

int args_status(int got) { return got == ARGS_STOP ? 0 : STATUS_USAGE; }

int args_number(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > most)
        return wrong_usage("%s needs a number from %llu to %llu, not '%s'", option,
                           (unsigned long long)least, (unsigned long long)most, text);
    *out = value;
    return 0;
}

static int unit_shift(const char *unit)
{
    static const char letters[] = "KMGT";
    if (!*unit || !strcasecmp(unit, "B"))
        return 0;
    const char *found = strchr(letters, toupper((unsigned char)*unit));
    if (found && (!unit[1] || !strcasecmp(unit + 1, "B") || !strcasecmp(unit + 1, "iB")))
        return 10 * (int)(found - letters + 1);
    return -1;
}

int args_size(const char *option, const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    int shift = unit_shift(end);
    if (!isdigit((unsigned char)*text) || errno || shift < 0 || value > UINT64_MAX >> shift)
        return wrong_usage("%s needs a size such as 65536, 64K, 1M or 2G, not '%s'", option, text);
    *out = (uint64_t)value << shift;
    return 0;
}
