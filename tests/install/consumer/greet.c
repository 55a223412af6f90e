/* greet.c: a user's first program: two processes, one object.
 *
 * greet NAME runs itself as the other process: greet NAME HANDLE. That one connects by the name,
 * reads the object and answers in its place. SPDX-License-Identifier: Apache-2.0 */
#include <shmheap.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answer(const char *name, const char *number)
{
    shmheap_memory_handle heap = shmheap_connect(name);
    shmheap_object_handle handle = {strtoull(number, NULL, 10)};
    char *text = shmheap_valid(heap) ? shmheap_handle_to_ptr(heap, handle) : NULL;
    if (text == NULL || strcmp(text, "question") != 0)
        return perror("the other process"), 1;
    strcpy(text, "answer");
    shmheap_disconnect(heap);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return answer(argv[1], argv[2]);
    shmheap_memory_handle heap = shmheap_create(argv[1], 1 << 20);
    char *text = shmheap_valid(heap) ? shmheap_alloc(heap, 100) : NULL;
    if (text == NULL)
        return perror(argv[1]), 1;
    strcpy(text, "question");
    uint64_t number = shmheap_ptr_to_handle(heap, text).bits;
    char command[1000];
    snprintf(command, sizeof command, "'%s' '%s' %" PRIu64, argv[0], argv[1], number);
    if (system(command) != 0 || strcmp(text, "answer") != 0)
        return fprintf(stderr, "no answer\n"), 1;
    printf("two processes\n");
    shmheap_destroy(argv[1], heap);
    return 0;
}
