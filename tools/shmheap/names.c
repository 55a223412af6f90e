/* names.c: shmheap names, the objects of a heap that have names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmheap.h>

#include "commands.h"
#include "heap.h"
#include "json.h"
#include "say.h"

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

static int look(const struct heap_ref *ref, struct names *names)
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

static int show_json(const struct names *names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names->count; i++) {
        json_t *object = json_object();
        json_set_text(object, "name", names->found[i].name);
        json_set_count(object, "len", names->found[i].len);
        json_set_count(object, "users", names->found[i].users);
        json_set_count(object, "offset", names->found[i].offset);
        json_array_append_new(list, object);
    }
    return json_show(list);
}

/* A name may hold any bytes: what could steer a terminal is shown as \x... */
static void put_name(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 127 || *name == '\\')
            printf("\\x%02x", (unsigned char)*name);
        else
            putchar(*name);
}

static int show_text(const struct heap_ref *ref, const struct names *names)
{
    if (!names->count)
        return printf("%s: no object has a name\n", ref->text) < 0;
    printf("%12s %8s %14s  NAME\n", "LENGTH", "USERS", "OFFSET");
    for (size_t i = 0; i < names->count; i++) {
        const shmheap_name_info *name = &names->found[i];
        printf("%12s %8s %14s  ", size_text(name->len), count_text(name->users), count_text(name->offset));
        put_name(name->name);
        putchar('\n');
    }
    return 0;
}

static int names_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"file", no_argument, NULL, 'f'}, {0}};
    struct heap_ref ref;
    struct names names = {NULL, 0, 0};
    int json = 0, is_file = 0, got;
    while ((got = args_next(command, argc, argv, "jf", options)) > ARGS_END) {
        json |= got == 'j';
        is_file |= got == 'f';
    }
    if (got < ARGS_END)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("names wants the name of one heap");
    int status = heap_ref_set(&ref, argv[optind], is_file);
    if (status)
        return status;
    status = look(&ref, &names) ? heap_fail(&ref) : json ? show_json(&names) : show_text(&ref, &names);
    free(names.found);
    return status;
}

const struct command command_names = {
    "names",
    "the objects of a heap that have names, and how often each is in use",
    "usage: shmheap names [--json] [--file] NAME\n"
    "\n"
    "USERS counts shmheap_alloc_named less what was given back by shmheap_free; of processes that died it counts until\n"
    "'shmheap reap NAME'.\n"
    "\n"
    "  -j, --json  an array of objects: name, len, users, offset (bytes from the start of the region)\n"
    "  -f, --file  NAME is the path of a file, not a name in shared memory\n"
    "      --help  this text\n"
    "\n"
    "Exit status: 0; 1 the heap could not be opened or is damaged; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap names orders\n"
    "  shmheap names --json orders | jq '.[].name'\n",
    names_run,
};
