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

#endif
