/* image.c: builds the pages of a copy's file one after the other, along a walk over the blocks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "../free_set/index.h"
#include "../os/process.h"

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* UMAC's NH with a Toeplitz key: two sums of products of halves of words, the second with the
 * key shifted by one word. */
static struct image_sum words_sum(const struct image *image, const uint64_t *words)
{
    const uint32_t *key = image->key;
    uint64_t a = 0, b = 0;
    for (unsigned i = 0; i < IMAGE_WORDS; i++) {
        uint32_t low = (uint32_t)words[i], high = (uint32_t)(words[i] >> 32);
        a += (uint64_t)(low + key[2 * i]) * (high + key[2 * i + 1]);
        b += (uint64_t)(low + key[2 * i + 2]) * (high + key[2 * i + 3]);
    }
    struct image_sum sum = {a - image->zeros.a, b - image->zeros.b};
    return sum;
}

static int sum_is(const struct image_sum *sum, struct image_sum other)
{
    return sum->a == other.a && sum->b == other.b;
}

static uint64_t pages_max(const struct shmheap *heap)
{
    return heap->layout.segment_len / IMAGE_PAGE + 1;
}

int image_begin(struct image *image, struct shmheap *heap)
{
    static const uint64_t nothing[IMAGE_WORDS];
    uint64_t pages = pages_max(heap), sums = pages * sizeof *image->sums,
             written = pages / 8 + sizeof *image->written;
    memset(image, 0, sizeof *image);
    image->heap = heap;
    image->source = -1;
    image->memory_len = sums + written;
    for (size_t got = 0; got < sizeof image->key; got += 256) /* as much as no signal interrupts */
        if (getrandom((unsigned char *)image->key + got,
                      (size_t)least(256, sizeof image->key - got), 0) < 0)
            return -1;
    image->memory = process_map(NULL, (size_t)image->memory_len, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    if (image->memory == MAP_FAILED)
        return -1;
    image->sums = image->memory;
    image->written = (uint64_t *)(void *)((unsigned char *)image->memory + sums);
    image->zeros = words_sum(image, nothing);
    return 0;
}

void image_end(struct image *image) { munmap(image->memory, (size_t)image->memory_len); }

void image_written(struct image *image, uint64_t number, struct image_sum sum)
{
    image->sums[number] = sum;
    image->writes++;
    image->written[number / 64] |= UINT64_C(1) << number % 64;
}

/* The first page from there on that the copy's file has; else until. */
static uint64_t written_next(const struct image *image, uint64_t page, uint64_t until)
{
    for (; page < until; page = (page | 63) + 1) {
        uint64_t bits = image->written[page / 64] >> page % 64;
        if (bits != 0)
            return page + bit_lowest(bits) < until ? page + bit_lowest(bits) : until;
    }
    return until;
}

/* The first byte of the heap's file from off on that has memory: off, or the end of a hole. */
static uint64_t data_next(struct image *image, uint64_t off)
{
    if (off < image->hole || off >= image->data.to) {
        image->hole = off;
        image->data = file_data_next(image->source, off);
    }
    return most(off, image->data.from);
}

/* Copies the words of the heap's file in [from, to), multiples of 8 in one page. Leaves out holes:
 * sparse heaps have them, and so has the index of a heap that may grow. */
static void words_copy(struct image *image, struct image_page *page, uint64_t from, uint64_t to)
{
    const shared_u64 *words = (const shared_u64 *)(const void *)image->heap->base;
    while (from < to) {
        uint64_t first = data_next(image, from), last = least(to, image->data.to);
        for (uint64_t at = first / 8; at < last / 8; at++)
            page->words[at % IMAGE_WORDS] = load_u64(&words[at]);
        from = last;
    }
}

/* The offset of the block's header in the file. */
static uint64_t header_off(const struct shmheap *heap, uint64_t granule)
{
    return heap->layout.region_off + REGION_LEAD + (granule << heap->shift);
}

/* Copies the block's part of the page: all of it, or the header where the block is empty. */
static void block_copy(struct image *image, struct image_page *page, const struct block_step *step)
{
    uint64_t from = page->number * IMAGE_PAGE, at = header_off(image->heap, step->granule),
             payload = at + HEADER_SIZE;
    unsigned state = header_state(step->header);
    if (at >= from)
        page->words[at / 8 % IMAGE_WORDS] = step->header;
    if (state != SHMHEAP_STATE_FREE && state != SHMHEAP_STATE_CACHED)
        words_copy(image, page, most(payload, from),
                   least(at + (step->size << image->heap->shift), from + IMAGE_PAGE));
}

/* The heap may have changed since the page before: the block there may have been merged. Takes
 * the bytes before the next start as they are. */
static void walk_again(struct image *image, struct image_page *page, struct block_step *step)
{
    struct shmheap *heap = image->heap;
    uint64_t from = most(page->number * IMAGE_PAGE, header_off(heap, 0));
    if (bits_is_start(heap, step->granule))
        return;
    step->size = 0;
    step->granule = index_next_start(
        heap, (from - header_off(heap, 0) + (UINT64_C(1) << heap->shift) - 1) >> heap->shift);
    words_copy(
        image, page, from,
        least(least(header_off(heap, step->granule), (page->number + 1) * IMAGE_PAGE), image->len));
}

/* Builds the page; sets step to the block that continues behind it, or begins there. 0, or
 * -EBADMSG. */
static int page_build(struct image *image, int still, struct image_page *page,
                      struct block_step *step)
{
    const struct shmheap *heap = image->heap;
    uint64_t from = page->number * IMAGE_PAGE, to = from + IMAGE_PAGE;
    memset(page->words, 0, sizeof page->words);
    words_copy(image, page, most(from, heap->layout.bits_off), least(to, heap->layout.region_off));
    if (!still && to > header_off(heap, 0) && step->granule < heap->end)
        walk_again(image, page, step);
    while (step->granule < heap->end && header_off(heap, step->granule) < to) {
        if (block_walk_at(heap, step, heap->end) != BLOCK_WALK_BLOCK) {
            step->granule = heap->end; /* under the lock nothing can continue */
            return still ? -EBADMSG : 0;
        }
        block_copy(image, page, step);
        if (header_off(heap, step->granule + step->size) >= to)
            break;
        block_walk_next(step);
    }
    return 0;
}

/* An empty block holds zeros, and so do holes of the index and of an object. Visits the later pages
 * inside them that differ in the copy. Returns the next page to build; *stopped is what visit
 * returned. */
static uint64_t pages_skip(struct image *image, const struct block_step *step,
                           struct image_page *page, int (*visit)(const struct image_page *, void *),
                           void *context, int *stopped)
{
    const struct shmheap *heap = image->heap;
    uint64_t next = page->number + 1, off = next * IMAGE_PAGE, index_end = heap->layout.region_off,
             state = header_state(step->header);
    int empty = step->size != 0 && (state == SHMHEAP_STATE_FREE || state == SHMHEAP_STATE_CACHED);
    uint64_t block_end = step->size != 0 && step->granule < heap->end
                             ? header_off(heap, step->granule + step->size)
                             : off;
    static const struct image_sum none;
    if (off < index_end)
        block_end = index_end;
    uint64_t zeros_end =
        empty && off >= index_end ? block_end : least(data_next(image, off), block_end);
    uint64_t until = least(zeros_end / IMAGE_PAGE, pages_max(heap));
    memset(page->words, 0, sizeof page->words);
    page->sum = none;
    for (uint64_t at = written_next(image, next, until); at < until && *stopped == 0;
         at = written_next(image, at + 1, until)) {
        page->number = at;
        if (!sum_is(&image->sums[at], none))
            *stopped = visit(page, context);
    }
    return most(next, until);
}

int image_compare(struct image *image, int still, int (*visit)(const struct image_page *, void *),
                  void *context)
{
    struct shmheap *heap = image->heap;
    struct block_step step = {0, 0, 0};
    struct image_page page;
    int stopped = 0;
    image->len = heap->layout.region_off + load_u64(&heap->len_known);
    image->hole = image->data.from = image->data.to = 0;
    for (uint64_t number = heap->layout.bits_off / IMAGE_PAGE;
         number * IMAGE_PAGE < image->len && stopped == 0;) {
        page.number = number;
        stopped = page_build(image, still, &page, &step);
        page.sum = words_sum(image, page.words);
        if (stopped == 0 && !sum_is(&image->sums[number], page.sum))
            stopped = visit(&page, context);
        number = pages_skip(image, &step, &page, visit, context, &stopped);
    }
    int at_end = step.granule == heap->end || step.granule + step.size == heap->end;
    return stopped != 0 || !still || at_end ? stopped : -EBADMSG;
}
