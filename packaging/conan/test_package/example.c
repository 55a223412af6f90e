/* example.c NAME: a child process answers in the parent's object.
 * SPDX-License-Identifier: Apache-2.0 */
#include <shmheap.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    shmheap_memory_handle heap = shmheap_create(argv[argc - 1], 1 << 20);
    char *text = shmheap_valid(heap) ? shmheap_alloc(heap, 100) : NULL;
    if (text == NULL)
        return perror(argv[argc - 1]), 1;
    text[0] = '\0';
    if (fork() == 0) {
        strcpy(text, "answer");
        _exit(0);
    }
    wait(NULL);
    if (strcmp(text, "answer") != 0)
        return fprintf(stderr, "no answer\n"), 1;
    shmheap_destroy(argv[argc - 1], heap);
    printf("two processes\n");
    return 0;
}
