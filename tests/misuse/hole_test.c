/* A heap that may still grow has holes in its file: no call comes into one, whatever a peer writes.
 * A store to a hole would take memory that no process has reserved: SIGBUS, where there is none
 * left. The test takes all access from the holes' pages, so that each access is a SIGSEGV.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/segment/parts.h"
#include "tests/misuse/victim/victim.h"

enum { LEN = 65536, MAX_LEN = 16 << 20, SPARSE_LEN = 4 << 20, OBJECTS = 400, CALLS = 12 };

/* struct holey is a heap with holes, and its bytes before the peer wrote. */
struct holey {
    struct victim *victim;
    shmheap_memory_handle mem;
    struct part parts[PARTS_MAX];
    unsigned count;
    unsigned char *before;
    const char *name;
    unsigned core; /* test_choose_core */
};

static void protect(const struct holey *holey, uint64_t from, uint64_t to)
{
    if (from < to)
        CHECK_EQ(mprotect(holey->mem.heap->base + from, to - from, PROT_NONE), 0);
}

/* A file cannot become longer than this one is: the heap does not grow. */
static void growth_forbid(const char *name)
{
    struct stat status;
    CHECK_EQ(stat(test_shm_path(name), &status), 0);
    struct rlimit limit = {(rlim_t)status.st_size, (rlim_t)status.st_size};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A heap with so many free blocks that size bins and tree have them. */
static void holey_begin(struct holey *holey)
{
    shmheap_options options = {.len = LEN, .max_len = MAX_LEN, .flags = SHMHEAP_CREATE};
    void *objects[OBJECTS];
    uint64_t from = 0;
    CHECK_EQ(shmheap_open(&holey->mem, holey->name, &options), 0);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((objects[i] = shmheap_alloc(holey->mem, i % 100 == 50 ? 2000 : i * 37 % 120)) !=
              NULL);
    for (unsigned i = 0; i < OBJECTS; i += 2)
        shmheap_free(holey->mem, objects[i]);
    holey->count = parts_pages(holey->mem.heap, LEN, holey->parts);
    holey->before = malloc(parts_len(holey->parts, holey->count));
    CHECK(holey->before != NULL);
    for (unsigned i = 0, put = 0; i < holey->count; i++) {
        const struct part *part = &holey->parts[i];
        if (part->from >= part->to)
            continue;
        protect(holey, from, part->from);
        from = part->to;
        memcpy(holey->before + put, holey->mem.heap->base + part->from, part->to - part->from);
        put += (unsigned)(part->to - part->from);
    }
    protect(holey, from, parts_map_len(holey->mem.heap) & ~UINT64_C(4095));
}

static void holey_restore(const struct holey *holey)
{
    for (unsigned i = 0, taken = 0; i < holey->count; i++) {
        const struct part *part = &holey->parts[i];
        if (part->from >= part->to)
            continue;
        memcpy(holey->mem.heap->base + part->from, holey->before + taken, part->to - part->from);
        taken += (unsigned)(part->to - part->from);
    }
}

/* Writes a word, makes some calls, and writes all back. */
static void round_with(struct holey *holey, struct test_random *random, uint64_t off, uint32_t word)
{
    uint32_t *place = (uint32_t *)(void *)(holey->mem.heap->base + off);
    victim_round(holey->victim, holey->victim->round + 1, "byte %#llx: %#x becomes %#x",
                 (unsigned long long)off, *place, word);
    *place = word;
    victim_calls(holey->victim, holey->mem, random, CALLS);
    holey_restore(holey);
}

/* Each word of the index, so that it leads to what is not there; each core has a third of them. */
static void index_rounds(void *context)
{
    struct holey *holey = context;
    struct test_random random = test_random_begin(1);
    holey_begin(holey);
    growth_forbid(holey->name);
    const struct layout *layout = &holey->mem.heap->layout;
    const uint64_t ends[][2] = {
        {offsetof(struct control, first), offsetof(struct control, first) + 4 * (BINS + 1)},
        {layout->bin_off[0], layout->region_off}};
    for (unsigned area = 0; area < 2; area++)
        for (unsigned i = 0; i < holey->count; i++)
            for (uint64_t off = holey->parts[i].from; off < holey->parts[i].to; off += 4) {
                if (off < ends[area][0] || off >= ends[area][1] || (off / 4 + holey->core) % 3 != 0)
                    continue;
                uint32_t old = *(uint32_t *)(void *)(holey->mem.heap->base + off);
                uint32_t bit = UINT32_C(1) << test_random_below(&random, 31);
                round_with(holey, &random, off, old | bit);
                round_with(holey, &random, off, area == 0 ? (old - bit) & 0x7fffffff : 0x7fffffff);
            }
}

/* A longer region than there is memory for, in a file that is long enough. */
static void length_rounds(void *context)
{
    struct holey *holey = context;
    struct test_random random = test_random_begin(2);
    holey_begin(holey);
    CHECK_EQ(truncate(test_shm_path(holey->name), (off_t)holey->mem.heap->layout.map_len), 0);
    growth_forbid(holey->name);
    for (uint32_t len = LEN + 4096; len <= MAX_LEN; len += len / 2 / 4096 * 4096) {
        round_with(holey, &random, offsetof(struct control, len), len);
        CHECK_EQ(holey->victim->accepted, 0);
        CHECK_EQ(holey->mem.heap->len_known, LEN);
    }
}

static int process_visit(const shmheap_process_info *process, void *context)
{
    (void)process;
    ++*(unsigned *)context;
    return 0;
}

/* A file that a peer has made longer: it has no memory for more slots. */
static void longer_file(void *context)
{
    struct holey *holey = context;
    shmheap_stats stats;
    unsigned processes = 0;
    holey_begin(holey);
    CHECK_EQ(truncate(test_shm_path(holey->name), (off_t)holey->mem.heap->layout.map_len), 0);
    victim_round(holey->victim, 1, "a longer file");
    CHECK_EQ(shmheap_stat(holey->mem, &stats), 0);
    CHECK_EQ(shmheap_reap(holey->mem, 0), 0);
    CHECK_EQ(shmheap_processes(holey->mem, process_visit, &processes), 0);
    CHECK_EQ(processes, 1);
    CHECK_SOUND(holey->mem);
    CHECK_REFUSED(shmheap_name_remove(holey->mem, "a") == -1, ENOENT);
}

/* Takes the access from all pages behind the slots that have no memory. */
static void holes_protect(shmheap_memory_handle mem)
{
    const int fd = shmheap_fd(mem);
    const struct layout *layout = &mem.heap->layout;
    for (uint64_t off = parts_page_up(mem.heap, layout->bits_off); off < layout->segment_len;) {
        off_t data = lseek(fd, (off_t)off, SEEK_DATA);
        uint64_t hole_end = data >= 0 ? (uint64_t)data : layout->segment_len & ~UINT64_C(4095);
        if (off < hole_end)
            CHECK_EQ(mprotect(mem.heap->base + off, hole_end - off, PROT_NONE), 0);
        if (data < 0)
            break;
        off = (uint64_t)lseek(fd, data, SEEK_HOLE);
    }
}

static int block_visit(const shmheap_block_info *block, void *context)
{
    (void)block;
    ++*(unsigned *)context;
    return 0;
}

/* A sparse heap in a full file system can be inspected: by `shmheap ls`, for example. */
static void sparse_heap(void *context)
{
    struct holey *holey = context;
    shmheap_options options = {.len = SPARSE_LEN, .flags = SHMHEAP_CREATE | SHMHEAP_SPARSE};
    unsigned processes = 0, blocks = 0;
    shmheap_stats stats;
    CHECK_EQ(shmheap_open(&holey->mem, holey->name, &options), 0);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK(shmheap_alloc(holey->mem, 50) != NULL);
    holes_protect(holey->mem);
    victim_round(holey->victim, 1, "nothing");
    CHECK_EQ(shmheap_stat(holey->mem, &stats), 0);
    CHECK_EQ(stats.used_blocks, OBJECTS);
    CHECK_EQ(shmheap_processes(holey->mem, process_visit, &processes), 0);
    CHECK_EQ(processes, 1);
    CHECK_EQ(shmheap_walk(holey->mem, block_visit, &blocks), 0);
    CHECK_EQ(blocks, OBJECTS + 1);
    CHECK_SOUND(holey->mem);
    CHECK_EQ(shmheap_reap(holey->mem, 0), 0);
    CHECK_EQ(shmheap_copy(holey->mem, test_path()), 0);
}

static void run(void (*rounds)(void *))
{
    struct victim *victim = test_shared(sizeof *victim);
    for (unsigned core = 0; core < TEST_CORES; core++) {
        struct holey holey = {.victim = victim, .name = test_name(), .core = core};
        const char *name = test_choose_core(core);
        victim_run(victim, rounds, &holey);
        printf("  %s: %llu words so far, %llu calls accepted, %llu refused\n", name,
               (unsigned long long)victim->round, (unsigned long long)victim->accepted,
               (unsigned long long)victim->refused);
    }
    test_choose_core(0);
    test_unshare(victim, sizeof *victim);
}

static void no_word_of_the_index_leads_into_a_hole(void) { run(index_rounds); }
static void no_length_reaches_over_a_hole(void) { run(length_rounds); }
static void a_longer_file_has_no_more_slots(void) { run(longer_file); }
static void inspections_need_no_memory_for_holes(void) { run(sparse_heap); }

static const struct test tests[] = {
    TEST(no_word_of_the_index_leads_into_a_hole), TEST(no_length_reaches_over_a_hole),
    TEST(a_longer_file_has_no_more_slots), TEST(inspections_need_no_memory_for_holes)};
TEST_MAIN(tests)
