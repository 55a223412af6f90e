/* image.h: the pages that a copy of a heap's file needs.
 *
 * The image of a heap is its file without the bytes that no reader needs: a free or cached block is
 * its header and zeros. The caller copies control and slots. Each page has a sum, so that a changed
 * page is found without reading the copy: NH (Black and others, UMAC, 1999) with a random key that
 * peers do not know. Two different pages have equal sums with a probability of at most 2^-64,
 * whatever a peer writes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_IMAGE_H
#define SHMHEAP_IMAGE_H

#include "../os/file.h"
#include "../segment/connection.h"

enum { IMAGE_PAGE = 4096, IMAGE_WORDS = IMAGE_PAGE / 8 };

/* struct image_sum is a checksum of a page; 0: of a page of zeros. */
struct image_sum {
    uint64_t a, b;
};

/* struct image_page is a page and its number. */
struct image_page {
    uint64_t number;
    struct image_sum sum;
    uint64_t words[IMAGE_WORDS];
};

/* struct image is what the copy's file holds so far, and how to compare it with the heap.
 * 1  sums[p] is the sum of page p of the copy's file
 * 2  bit p of written is set where the copy's file has page p; the other pages are holes, their
 *    sums 0 */
struct image {
    struct shmheap *heap;
    int source;   /* an open file description of the heap's file of its own */
    uint64_t len; /* bytes of the file at the last image_compare */
    struct image_sum *sums;
    uint64_t *written;
    uint64_t writes;        /* pages written so far */
    struct image_sum zeros; /* NH of a page of zeros */
    uint64_t hole;          /* [hole, data.from) of the file has no memory, as last seen */
    struct file_data data;  /* and this part has */
    uint32_t key[2 * IMAGE_WORDS + 2];
    void *memory;
    uint64_t memory_len;
};

/* image_begin prepares for a copy that is all holes: 0, or -1 with errno ENOMEM. image_end frees
 * the memory. */
int image_begin(struct image *image, struct shmheap *heap);
void image_end(struct image *image);

/* image_compare calls visit with each page that differs in the copy, until visit returns other
 * than 0. still: the heap changes only by calls that need no lock. Else pages may be wrong, and
 * a later comparison finds them. Returns 0, what visit returned, or -EBADMSG: the headers do not
 * lead to the end. */
int image_compare(struct image *image, int still,
                  int (*visit)(const struct image_page *page, void *context), void *context);

/* image_written notes that the copy's file has a page of this sum. */
void image_written(struct image *image, uint64_t number, struct image_sum sum);

#endif
