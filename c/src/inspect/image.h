/* image.h: the pages that a copy of a heap's file has to have.
 *
 * The image of a heap is its file without what no reader needs: free blocks and blocks in caches
 * have a header and zeros, and the control and the slots are left to the caller. Each page has a
 * sum, by which a page that has changed is found without reading the copy: NH (Black and others,
 * UMAC, 1999) with a random key that other processes do not know. Two pages that differ have the
 * same sum with a probability of at most 2^-64, whatever is in them. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef SHMHEAP_IMAGE_H
#define SHMHEAP_IMAGE_H

#include "../segment/connection.h"

enum { IMAGE_PAGE = 4096, IMAGE_WORDS = IMAGE_PAGE / 8 };

/* struct image_sum is private; 0: a page of zeros. */
struct image_sum {
    uint64_t a, b;
};

/* struct image_page is private: one page, and which. */
struct image_page {
    uint64_t number;
    struct image_sum sum;
    uint64_t words[IMAGE_WORDS];
};

/* struct image is private: what the copy's file holds so far, and how to compare it with the heap.
 *   1  sums[p] is the sum of page p of the copy's file
 *   2  bit p of written is set where the copy's file has page p; the other pages are holes, and
 * their sums 0 */
struct image {
    struct shmheap *heap;
    int source;   /* a description of the heap's file of its own */
    uint64_t len; /* bytes of the file that image_compare looked at last */
    struct image_sum *sums;
    uint64_t *written;
    uint64_t writes;             /* how many pages were written */
    struct image_sum zeros;      /* what NH gives for a page of zeros */
    uint64_t data_from, data_to; /* bytes of the file that have memory, as far as known */
    uint32_t key[2 * IMAGE_WORDS + 2];
    void *memory;
    uint64_t memory_len;
};

/* image_begin prepares for a copy with holes alone: 0, or -1 with errno ENOMEM. image_end gives the
 * memory back. */
int image_begin(struct image *image, struct shmheap *heap);
void image_end(struct image *image);

/* image_compare calls visit with each page that the copy has to have otherwise, until visit returns
 * other than 0. still: the heap does not change meanwhile but by what needs no lock; else pages may
 * be wrong, and a later comparison finds them. 0, what visit returned, or -EBADMSG, the headers do
 * not lead to the end. */
int image_compare(struct image *image, int still,
                  int (*visit)(const struct image_page *page, void *context), void *context);

/* image_written takes note that the copy's file has a page of this sum there now. */
void image_written(struct image *image, uint64_t number, struct image_sum sum);

#endif
