/* ownership.h: hands an object from one process to another.
 *
 * The header names the slot that owns the object, or says that the object is in transit and owned
 * by none. Each step of a transfer is one compare-and-swap of the header, without the lock. A death
 * before it leaves the old state, a death after it the new one.
 *
 *  used, shared: slot s --send--> sent: no slot --receive--> used: slot t
 *                                      <--put back--
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_OWNERSHIP_H
#define SHMHEAP_OWNERSHIP_H

#include "../segment/connection.h"

/* ownership_send puts the object at granule, which this connection owns, in transit. Returns its
 * header, or 0 with errno EINVAL (no live object) or EPERM (another slot owns it). */
uint64_t ownership_send(const struct shmheap *heap, uint64_t granule);

/* ownership_send_labelled first writes count words at the object's end, then acts as
 * ownership_send. errno EBADMSG too: the object is shorter, or its header is damaged. A death
 * between words and header leaves an object that the dead process owns. */
uint64_t ownership_send_labelled(const struct shmheap *heap, uint64_t granule,
                                 const uint64_t *words, size_t count);

/* ownership_receive_labelled acts as ownership_receive, but first checks, without a claim, the
 * last word (errno ENOMSG: not label), the length (ERANGE: fewer than least bytes) and the
 * header (EBADMSG: damaged). It compares the label again after the claim. Where another object
 * has come to lie there under an equal header, it puts that back in transit (ESTALE). */
uint64_t ownership_receive_labelled(struct shmheap *heap, uint64_t granule, unsigned generation,
                                    uint64_t label, size_t least);

/* ownership_put_back undoes ownership_receive, with the generation that was received: the object
 * is in transit again under that generation. The caller has left the object unchanged. Returns
 * 0, or -1 with errno ESTALE (the connection does not own it under that generation). */
int ownership_put_back(const struct shmheap *heap, uint64_t granule, unsigned generation);

/* ownership_receive gives the object in transit with this generation to this connection. Returns
 * its header, or 0 with errno ESTALE. Of several concurrent receivers one succeeds. */
uint64_t ownership_receive(struct shmheap *heap, uint64_t granule, unsigned generation);

/* struct ownership_part is a range of an object's bytes, and where to copy them.
 * from_end: offset counts back from the end. */
struct ownership_part {
    uint64_t offset;
    int from_end;
    uint64_t bytes;
    unsigned char *buffer;
};

/* ownership_peek copies a part of the object in transit with this generation. Returns the length
 * of its payload, or 0 with errno ESTALE (it is not in transit, or no longer), ERANGE (the part
 * lies outside) or EBADMSG (its header is damaged). Changes nothing. */
uint64_t ownership_peek(const struct shmheap *heap, uint64_t granule, unsigned generation,
                        const struct ownership_part *part);

#endif
