/* hold.c: a process that holds a heap: hold NAME LEN. Makes it and an object for each 4096 bytes of half of it,
 * says "ready", and stays until its standard input ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <shmheap.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    size_t len = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    shmheap_memory_handle mem = shmheap_create(argc == 3 ? argv[1] : NULL, len);
    if (!shmheap_valid(mem)) {
        perror("hold");
        return 1;
    }
    for (size_t i = 0; i < len / 2 / 4096; i++)
        if (!shmheap_alloc(mem, 4000))
            return 1;
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    shmheap_disconnect(mem);
    return 0;
}
