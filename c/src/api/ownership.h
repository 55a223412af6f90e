/* ownership.h: who holds an object: handing it over, and taking back what only the dead knew.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_OWNERSHIP_H
#define SHMHEAP_OWNERSHIP_H

#include "../segment/connection.h"

/* ownership_send makes the object at granule, which this connection holds, one in transit that nobody
 * holds: its header then, or 0 with errno EINVAL (no live object there) or EPERM (another's). No
 * lock: one compare-and-swap of the header. */
uint64_t ownership_send(const struct shmheap *heap, uint64_t granule);

/* ownership_send_labelled is ownership_send, which first writes count words at the object's end. EBADMSG too: the
 * object is shorter, or its header is damaged. A death between words and header leaves an object
 * that the dead connection held. */
uint64_t ownership_send_labelled(const struct shmheap *heap, uint64_t granule,
                                 const uint64_t *words, size_t count);

/* ownership_receive_labelled is ownership_receive, but refuses, before it claims anything, an object whose last
 * word is not label (ENOMSG), one of fewer than least bytes (ERANGE), and one whose header is
 * damaged (EBADMSG). It compares the label again after the claim. An object with another label that
 * has come to lie there meanwhile, under the same header, goes back in transit as it was (ESTALE). */
uint64_t ownership_receive_labelled(struct shmheap *heap, uint64_t granule, unsigned generation,
                                    uint64_t label, size_t least);

/* ownership_put_back undoes ownership_receive: the object at granule, which this connection received with this
 * stamp and has left as it was, is in transit again with the same stamp. 0, or -1 with errno ESTALE
 * (it is not held so). No lock: one compare-and-swap of the header. */
int ownership_put_back(const struct shmheap *heap, uint64_t granule, unsigned generation);

/* ownership_receive makes the object in transit with this stamp the connection's: its header then, or 0
 * with errno ESTALE. Of several who try, one succeeds. No lock. */
uint64_t ownership_receive(struct shmheap *heap, uint64_t granule, unsigned generation);

/* struct ownership_part is private: which bytes of an object are wanted, and where they go.
 * from_end: offset counts back from the end. */
struct ownership_part {
    uint64_t offset;
    int from_end;
    uint64_t bytes;
    unsigned char *buffer;
};

/* ownership_peek copies a part of the object in transit with this stamp. Returns the length of its
 * payload, or 0 with errno ESTALE (it is not in transit, or no longer), ERANGE (the part does not
 * lie in it) or EBADMSG (its header is damaged). No lock; changes nothing. */
uint64_t ownership_peek(const struct shmheap *heap, uint64_t granule, unsigned generation,
                        const struct ownership_part *part);

/* ownership_reap frees what only dead slots can know, and with shared what they had shared too; then
 * frees the slots. Lock held. The number of blocks freed, or -1 with errno EBADMSG. A death in here
 * leaves the rest to the next. */
long ownership_reap(struct shmheap *heap, int shared);

/* ownership_reap_is_due: ownership_reap may find something, since a process has died after the last one. Costs
 * a system call for each process, and no walk; with more than 16 processes it asks after them at
 * most every n * n * 64 ns. Lock held. */
int ownership_reap_is_due(struct shmheap *heap);

/* ownership_free_lines frees what processes that are gone, by death or in order, had for their caches
 * besides the blocks in them: how many blocks. It asks after each process that has such a line, a
 * system call. Looks that find nothing become fewer: after the 1st, the 3rd and the 7th alloc that
 * fails, and so on up to every 64th and 64 more for each such process. at_once: it looks in any
 * case. Lock held. */
long ownership_free_lines(struct shmheap *heap, int at_once);

#endif
