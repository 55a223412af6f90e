/* hold.c: a process that holds a heap: hold NAME LEN [CONNECTIONS [cached|named|kept]]. Makes it
 * and an object for each 4096 bytes of half of it, connects CONNECTIONS - 1 times more, says
 * "ready", and stays until its standard input ends. Where it may not open so many files it says
 * "few" instead. cached: its connection has caches, and one object more lies in them. named: there
 * are two objects with names; kept: the name of one is kept as well.
 *
 * SPDX-License-Identifier: Apache-2.0
 * */
#include <shmheap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { CONNECTIONS_MAX = 1022, OTHER_FILES = 20 };

static shmheap_memory_handle more[CONNECTIONS_MAX];

static int files_allow(size_t connections)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return 0;
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur >= connections + OTHER_FILES;
}

static int fill(shmheap_memory_handle mem, size_t len)
{
    for (size_t i = 0; i < len / 2 / 4096; i++)
        if (!shmheap_alloc(mem, 4000))
            return -1;
    shmheap_free(mem, shmheap_alloc(mem, 4000));
    return 0;
}

static shmheap_memory_handle create(const char *name, size_t len, const char *how)
{
    const shmheap_options options = {.len = len,
                                     .flags =
                                         SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE |
                                         (!strcmp(how, "cached") ? (unsigned)SHMHEAP_CACHED : 0u)};
    shmheap_memory_handle mem;
    shmheap_open(&mem, name, &options);
    if (!strcmp(how, "kept") &&
        (!shmheap_alloc_kept(mem, "root", 1000) || !shmheap_alloc_named(mem, "other", 5)))
        shmheap_disconnect(mem);
    if (!strcmp(how, "named") &&
        (!shmheap_alloc_named(mem, "matrix", 1000) || !shmheap_alloc_named(mem, "a\tb", 5) ||
         !shmheap_alloc_named(mem, "a\tb", 5)))
        shmheap_disconnect(mem);
    return mem;
}

static int connect_more(const char *name, size_t connections)
{
    for (size_t i = 1; i < connections && i < CONNECTIONS_MAX; i++) {
        more[i] = shmheap_connect(name);
        if (!shmheap_valid(more[i]))
            return -1;
    }
    return 0;
}

static void stay(const char *word)
{
    puts(word);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
}

int main(int argc, char **argv)
{
    size_t len = argc >= 3 ? strtoul(argv[2], NULL, 10) : 0;
    size_t connections = argc >= 4 ? strtoul(argv[3], NULL, 10) : 1;
    shmheap_memory_handle mem = create(argc >= 3 ? argv[1] : NULL, len, argc == 5 ? argv[4] : "");
    int enough = files_allow(connections);
    if (!shmheap_valid(mem) || fill(mem, len) || (enough && connect_more(argv[1], connections))) {
        perror("hold");
        return 1;
    }
    stay(enough ? "ready" : "few");
    for (size_t i = 1; i < CONNECTIONS_MAX; i++)
        shmheap_disconnect(more[i]);
    shmheap_disconnect(mem);
    return 0;
}
