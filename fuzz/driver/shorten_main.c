/* shorten_main.c: makes kept inputs short: SHORTEN NEW_FOLDER FOLDER...
 *
 * The shorter the kept inputs, the more executions a second. For each edge that no new input covers
 * yet, the shortest input that covers it loses operations, as many as the edge lets go. What
 * remains is a new input. So the new inputs cover every edge that the folders' inputs cover.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/driver/files.h"
#include "fuzz/world/op.h"

enum { INPUTS_MAX = 1 << 16 };

static const char program[] = "shorten";

/* The edges of this file do not count. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)
#endif

/* struct kept is an input with the edges that it covers, one byte for each. */
struct kept {
    uint8_t *bytes, *edges;
    size_t len;
};

/* The compiler's calls: where the counters of all edges lie, and what it wants besides. */
void __sanitizer_cov_8bit_counters_init(uint8_t *begin, uint8_t *end);
void __sanitizer_cov_pcs_init(const uintptr_t *begin, const uintptr_t *end);
extern __thread uintptr_t __sancov_lowest_stack;

__thread uintptr_t __sancov_lowest_stack;
static uint8_t *counters;
static size_t edge_count;
static struct kept inputs[INPUTS_MAX];
static unsigned input_count;

void __sanitizer_cov_8bit_counters_init(uint8_t *begin, uint8_t *end)
{
    counters = begin;
    edge_count = (size_t)(end - begin);
}

void __sanitizer_cov_pcs_init(const uintptr_t *begin, const uintptr_t *end)
{
    (void)begin;
    (void)end;
}

/* The bytes are copied, so that a sanitizer detects a read beyond their end. */
static void run(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = files_room(program, len);
    memcpy(exact, bytes, len);
    memset(counters, 0, edge_count);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void input_keep(const char *path, const uint8_t *bytes, size_t len)
{
    struct kept *input = &inputs[input_count];
    if (++input_count == INPUTS_MAX)
        files_die(program, "have so many inputs:", path);
    input->len = len;
    input->bytes = files_room(program, len);
    input->edges = files_room(program, edge_count);
    memcpy(input->bytes, bytes, len);
    run(input->bytes, len);
    memcpy(input->edges, counters, edge_count);
}

static int by_len(const void *a, const void *b)
{
    const struct kept *one = a, *other = b;
    return (one->len > other->len) - (one->len < other->len);
}

/* Removes operations, halves of the input first, then less, while it covers the edge. */
static size_t shorten(uint8_t *bytes, size_t len, size_t edge)
{
    static uint8_t less[FILES_INPUT_MAX];
    size_t count = len > SHAPE_LEN ? (len - SHAPE_LEN + OP_LEN - 1) / OP_LEN : 0;
    for (size_t chunk = (count + 1) / 2 * OP_LEN; chunk >= OP_LEN;
         chunk = chunk / OP_LEN / 2 * OP_LEN)
        for (size_t end = len; end > SHAPE_LEN;) {
            size_t begin = end > SHAPE_LEN + chunk ? end - chunk : SHAPE_LEN;
            memcpy(less, bytes, begin);
            memcpy(less + begin, bytes + end, len - end);
            run(less, len - (end - begin));
            if (counters[edge]) {
                len -= end - begin;
                memcpy(bytes, less, len);
            }
            end = begin;
        }
    return len;
}

static void input_write(const char *folder, unsigned number, const uint8_t *bytes, size_t len)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%u", folder, number);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        files_die(program, "write", path);
}

static int covers(const uint8_t *bytes, size_t len, size_t edge)
{
    run(bytes, len);
    return counters[edge] != 0;
}

/* Writes the input, shortened to what the edge needs; whole if the edge depends on earlier inputs
 * too, such as on what they left in the memory. */
static void cover(const struct kept *input, size_t edge, uint8_t *covered, const char *folder,
                  unsigned number)
{
    uint8_t *bytes = files_room(program, input->len);
    memcpy(bytes, input->bytes, input->len);
    size_t len = shorten(bytes, input->len, edge);
    run(input->bytes, input->len);
    if (covers(bytes, len, edge))
        input_write(folder, number, bytes, len);
    else {
        run(input->bytes, input->len);
        input_write(folder, number, input->bytes, input->len);
    }
    for (size_t i = 0; i < edge_count; i++)
        covered[i] |= counters[i];
    covered[edge] = 1;
    free(bytes);
}

int main(int argc, char **argv)
{
    unsigned written = 0;
    if (argc < 3 || !counters)
        files_die(program, "run without two folders and counters of edges:", argv[0]);
    for (int i = 2; i < argc; i++)
        files_each(program, argv[i], input_keep);
    qsort(inputs, input_count, sizeof *inputs, by_len);
    uint8_t *covered = files_room(program, edge_count);
    memset(covered, 0, edge_count);
    for (unsigned i = 0; i < input_count; i++)
        for (size_t edge = 0; edge < edge_count; edge++)
            if (inputs[i].edges[edge] && !covered[edge])
                cover(&inputs[i], edge, covered, argv[1], written++);
    free(covered);
    fprintf(stderr, "%u inputs of %u\n", written, input_count);
    return 0;
}

#ifdef __clang__
#pragma clang attribute pop
#endif
