/* args.c: command-line options and their values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/command_line/args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/command_line/similar.h"

/* What getopt_long returns: a letter, FIRST_OPTION plus the index of a row, or OPTION_HELP. */
enum { MOST_OPTIONS = 24, FIRST_OPTION = 1000, OPTION_HELP = 0x7fff, NO_MORE = -1 };

/* The option that a mistyped "--word" may mean, or NULL. */
static const char *suggestion(const char *word, const struct option *options)
{
    const char *best = NULL;
    char name[32];
    int best_distance = 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    for (; options->name; options++) {
        int distance = similar_distance(name, options->name);
        if (similar_is_near(name, distance) && (!best || distance < best_distance)) {
            best = options->name;
            best_distance = distance;
        }
    }
    return best_distance ? best : NULL;
}

/* How many options begin with a "--word". *exact: one is the word. */
static int begins(const char *word, const struct option *options, int *exact)
{
    size_t len = strcspn(word, "=");
    int count = 0;
    *exact = 0;
    for (; options->name; options++)
        if (strncmp(options->name, word, len) == 0) {
            *exact |= options->name[len] == '\0';
            count++;
        }
    return count;
}

static int refuse(char **argv, int got, const struct option *options)
{
    const char *word = argv[optind > 1 ? optind - 1 : 1];
    const char *meant = strncmp(word, "--", 2) == 0 ? suggestion(word + 2, options) : NULL;
    int exact, count = begins(word + (strncmp(word, "--", 2) == 0 ? 2 : 0), options, &exact);
    if (got == ':')
        wrong_usage("%s needs a value", word);
    else if (optopt && optopt < 256 && strncmp(word, "--", 2) != 0)
        wrong_usage("there is no option -%c", optopt);
    else if (meant)
        wrong_usage("%s is not an option; did you mean --%s?", word, meant);
    else if (count > 1 && !exact)
        wrong_usage("%s is not an option: more than one begins so", word);
    else if (count && strchr(word, '='))
        wrong_usage("%.*s takes no value", (int)strcspn(word, "="), word);
    else
        wrong_usage("%s is not an option", word);
    return ARGS_WRONG;
}

static int next(const struct command *command, int argc, char **argv, const char *letters,
                const struct option *options)
{
    struct option all[MOST_OPTIONS] = {{0}};
    size_t n = 0;
    for (; options[n].name; n++)
        all[n] = options[n];
    all[n] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    /* With the leading colon getopt_long returns ':', not '?', for a missing value. */
    char colon[2 * MOST_OPTIONS + 4];
    int plus = *letters == '+';
    snprintf(colon, sizeof colon, "%s:%s", plus ? "+" : "", letters + plus);
    opterr = 0;
    int got = getopt_long(argc, argv, colon, all, NULL);
    if (got == '?' || got == ':')
        return refuse(argv, got, all);
    if (got != OPTION_HELP)
        return got;
    fputs(command->help, stdout);
    return ARGS_STOP;
}

static int number_set(const char *option, const char *text, uint64_t least, uint64_t most,
                      uint64_t *out)
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

static int size_set(const char *option, const char *text, uint64_t *out)
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

static void join_words(char *text, size_t room, const char *const *words)
{
    size_t len = 0;
    for (size_t i = 0; words[i] && len < room; i++) {
        const char *before = i == 0 ? "" : words[i + 1] ? ", " : " or ";
        len += (size_t)snprintf(text + len, room - len, "%s%s", before, words[i]);
    }
}

static int word_set(const struct args_option *option, const char *shown, const char *text)
{
    char list[128];
    for (int i = 0; option->words[i]; i++)
        if (!strcmp(option->words[i], text)) {
            *(int *)option->to = i;
            return 0;
        }
    join_words(list, sizeof list, option->words);
    return wrong_usage("%s needs %s, not '%s'", shown, list, text);
}

static int option_set(const struct args_option *option)
{
    char shown[64];
    snprintf(shown, sizeof shown, "--%s", option->name);
    switch (option->kind) {
        case ARGS_TEXT:
            *(const char **)option->to = optarg;
            return 0;
        case ARGS_NUMBER:
            return number_set(shown, optarg, option->least, option->most, option->to);
        case ARGS_SIZE:
            return size_set(shown, optarg, option->to);
        case ARGS_WORD:
            return word_set(option, shown, optarg);
        default:
            *(int *)option->to = 1;
            return 0;
    }
}

/* Translates the table for getopt_long. The val of a row is its index. */
static void translate(const struct args_option *options, struct option *all, char *letters)
{
    for (int i = 0; options[i].kind; i++) {
        int value = options[i].kind == ARGS_FLAG ? no_argument : required_argument;
        all[i] = (struct option){options[i].name, value, NULL, FIRST_OPTION + i};
        if (!options[i].letter)
            continue;
        *letters++ = options[i].letter;
        if (value == required_argument)
            *letters++ = ':';
    }
    *letters = '\0';
}

static const struct args_option *option_find(const struct args_option *options, int got)
{
    if (got >= FIRST_OPTION)
        return &options[got - FIRST_OPTION];
    while (options->letter != got)
        options++;
    return options;
}

static int parse(const struct command *command, int argc, char **argv,
                 const struct args_option *options, int is_program)
{
    struct option all[MOST_OPTIONS] = {{0}};
    char letters[2 * MOST_OPTIONS + 2] = "+";
    int got;
    translate(options, all, letters + is_program);
    while ((got = next(command, argc, argv, letters, all)) > NO_MORE)
        if (option_set(option_find(options, got)))
            return ARGS_WRONG;
    return got == NO_MORE ? 0 : got;
}

int args_parse(const struct command *command, int argc, char **argv,
               const struct args_option *options)
{
    return parse(command, argc, argv, options, 0);
}

int args_parse_program(const struct command *command, int argc, char **argv,
                       const struct args_option *options)
{
    return parse(command, argc, argv, options, 1);
}

int args_status(int got) { return got == ARGS_STOP ? 0 : STATUS_USAGE; }
