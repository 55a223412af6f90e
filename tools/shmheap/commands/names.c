/* names.c: shmheap names lists, keeps and removes the names of a heap's objects.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmheap.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/text/json.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"
#include "tools/shmheap/text/table.h"

struct names {
    shmheap_name_info *found;
    size_t count, room;
};

static int add_name(const shmheap_name_info *name, void *context)
{
    struct names *names = context;
    if (names->count == names->room) {
        size_t room = names->room ? 2 * names->room : 64;
        void *grown = realloc(names->found, room * sizeof *names->found);
        if (!grown)
            return ENOMEM;
        names->found = grown;
        names->room = room;
    }
    names->found[names->count++] = *name;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const shmheap_name_info *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int read_names(const struct heap_ref *ref, struct names *names)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, SHMHEAP_READ_ONLY, &mem))
        return -1;
    int stopped = shmheap_names(mem, add_name, names), error = stopped > 0 ? stopped : errno;
    shmheap_disconnect(mem);
    errno = error;
    if (stopped)
        return -1;
    if (names->count)
        qsort(names->found, names->count, sizeof *names->found, by_name);
    return 0;
}

/* struct change is a name to keep or to remove. */
struct change {
    const char *keep, *remove;
};

static int change_fail(const struct heap_ref *ref, const char *name)
{
    if (errno == EINVAL || errno == ENAMETOOLONG)
        return fail("'%s' is no name; a name has 1 to 255 bytes", name);
    return errno == ENOENT ? fail("no object of '%s' has the name '%s'; 'shmheap names %s%s' lists "
                                  "the names",
                                  ref->text, name, ref->is_file ? "--file " : "", ref->text)
                           : heap_fail(ref);
}

static int change(const struct heap_ref *ref, const struct change *change)
{
    const char *name = change->keep ? change->keep : change->remove;
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, 0, &mem))
        return heap_fail(ref);
    int result = (change->keep ? shmheap_name_keep : shmheap_name_remove)(mem, name), error = errno;
    shmheap_disconnect(mem);
    errno = error;
    if (result < 0)
        return change_fail(ref, name);
    if (result > 0)
        printf("%s: living processes use '%s'; it goes when the last of them frees it\n", ref->text,
               name);
    return 0;
}

static int show_json(const struct names *names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names->count; i++) {
        json_t *object = json_object();
        json_set_text(object, "name", names->found[i].name);
        json_set_count(object, "len", names->found[i].len);
        json_set_count(object, "users", names->found[i].users);
        json_set_flag(object, "kept", names->found[i].kept != 0);
        json_set_count(object, "offset", names->found[i].offset);
        json_array_append_new(list, object);
    }
    return json_show(list);
}

/* The name is the last column and is never cut: it may be the argument of the next command. A name
 * may hold any bytes; control characters are printed as \x.., so they cannot steer the terminal. */
static const struct column columns[] = {
    {"LENGTH", 12, 0, 0},
    {"USERS", 8, 1, 0},
    {"KEPT", 4, 2, 0},
    {"OFFSET", 14, 3, 0},
};

enum { COLUMNS_COUNT = sizeof columns / sizeof *columns };

static void show_name(const struct table *table, const shmheap_name_info *name)
{
    char text[4 * sizeof name->name + 1], line[TABLE_ROOM];
    const char *const cells[COLUMNS_COUNT] = {size_text(name->len), count_text(name->users),
                                              name->kept ? "yes" : "no", count_text(name->offset)};
    printf("%s  %s\n", table_line(table, cells, line),
           escape_printable(text, sizeof text, name->name));
}

static int show_text(const struct heap_ref *ref, const struct names *names)
{
    struct table table;
    char text[4 * sizeof names->found->name + 1], line[TABLE_ROOM];
    int width = 4;
    if (!names->count)
        return printf("%s: no object has a name\n", ref->text) < 0;
    for (size_t i = 0; i < names->count; i++) {
        int own = text_width(escape_printable(text, sizeof text, names->found[i].name));
        width = own > width ? own : width;
    }
    table_fit(&table, columns, COLUMNS_COUNT, 0, screen_table_width() - width - 2,
              columns[0].width);
    printf("%s  NAME\n", table_title(&table, line));
    for (size_t i = 0; i < names->count; i++)
        show_name(&table, &names->found[i]);
    return 0;
}

static int names_run(const struct command *command, int argc, char **argv)
{
    struct heap_ref ref;
    struct names names = {NULL, 0, 0};
    struct change to_do = {NULL, NULL};
    int json = 0, is_file = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &json},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &is_file},
        {.kind = ARGS_TEXT, .name = "keep", .to = &to_do.keep},
        {.kind = ARGS_TEXT, .name = "remove", .to = &to_do.remove},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("names needs the name of one heap");
    if ((to_do.keep != NULL) + (to_do.remove != NULL) + json > 1)
        return wrong_usage("--keep, --remove and --json exclude each other; use one of them");
    int status = heap_ref_set(&ref, argv[optind], is_file);
    if (status)
        return status;
    if (to_do.keep || to_do.remove)
        return change(&ref, &to_do);
    status = read_names(&ref, &names) ? heap_fail(&ref)
             : json                   ? show_json(&names)
                                      : show_text(&ref, &names);
    free(names.found);
    return status;
}

const struct command command_names = {
    "names",
    "list the named objects of a heap and how many users each has",
    "usage: shmheap names [--json] [--file] NAME\n"
    "       shmheap names --keep OBJECT [--file] NAME\n"
    "       shmheap names --remove OBJECT [--file] NAME\n"
    "\n"
    "USERS is the number of shmheap_alloc_named calls minus the number of\n"
    "shmheap_free calls for the object. The uses of a dead process count until\n"
    "'shmheap reap NAME'. A KEPT name stays without users until it is removed.\n"
    "\n"
    "      --keep OBJECT    keep the name OBJECT\n"
    "      --remove OBJECT  remove the name OBJECT, kept or not, and its object. If\n"
    "                       living processes use the object, both go after that use\n"
    "  -j, --json           print an array of objects: name, len, users, kept, offset\n"
    "                       (bytes from the start of the region)\n"
    "  -f, --file           NAME is the path of a file, not a name in shared memory\n"
    "      --help           print this text\n"
    "\n"
    "Exit status: 0; 1 the heap could not be opened, is damaged, or has no such name;\n"
    "2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap names orders\n"
    "  shmheap names --remove settings orders\n"
    "  shmheap names --json orders | jq '.[].name'\n",
    names_run,
};
