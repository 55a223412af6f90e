/* Objects with a label at their end: the label is written before a process can claim the object,
 * and a receiver that names another label changes nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 65536 };

static const uint64_t OURS = UINT64_C(0x0123456789abcdef), OTHER = UINT64_C(0xfedcba9876543210);

static void *filled(shmheap_memory_handle mem, size_t len)
{
    void *ptr = shmheap_alloc(mem, len);
    CHECK(ptr != NULL);
    test_fill(ptr, shmheap_usable_size(mem, ptr), 7);
    return ptr;
}

static void the_last_words_and_no_other_bytes(size_t alignment)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, alignment), there;
    CHECK_EQ(shmheap_open_fd(&there, shmheap_fd_writable(mem), NULL), 0);
    for (size_t len = 0; len < 80; len += 5)
        for (size_t count = 1; count <= 3; count++) {
            unsigned char expected[256];
            uint64_t words[3] = {OTHER, 1, 2};
            words[count - 1] = OURS;
            unsigned char *ptr = filled(mem, len);
            size_t room = shmheap_usable_size(mem, ptr);
            memcpy(expected, ptr, room);
            if (room < 8 * count) {
                CHECK_REFUSED(shmheap_send_labelled(mem, ptr, words, count).bits == 0, EBADMSG);
                CHECK(memcmp(ptr, expected, room) == 0);
                shmheap_free(mem, ptr);
                continue;
            }
            memcpy(expected + room - 8 * count, words, 8 * count);
            shmheap_object_handle handle = shmheap_send_labelled(mem, ptr, words, count);
            CHECK(handle.bits != 0);
            CHECK_REFUSED(shmheap_receive_labelled(there, handle, OURS, room + 1) == NULL, ERANGE);
            CHECK_REFUSED(shmheap_receive_labelled(there, handle, OURS, SIZE_MAX) == NULL, ERANGE);
            unsigned char *got = shmheap_receive_labelled(there, handle, OURS, room);
            CHECK(got != NULL && memcmp(got, expected, room) == 0);
            shmheap_free(there, got);
        }
    CHECK_SOUND(mem);
    shmheap_disconnect(there);
    shmheap_disconnect(mem);
}

static void another_label_changes_nothing(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16);
    shmheap_object_handle handle = shmheap_send_labelled(mem, filled(mem, 64), &OURS, 1);
    shmheap_stats before, after;
    CHECK_EQ(shmheap_stat(mem, &before), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_REFUSED(shmheap_receive_labelled(mem, handle, OTHER, 0) == NULL, ENOMSG);
        CHECK_REFUSED(shmheap_receive_labelled(mem, handle, OURS ^ 1, 0) == NULL, ENOMSG);
    }
    CHECK_EQ(shmheap_stat(mem, &after), 0);
    CHECK_EQ(before.used_blocks, after.used_blocks);
    void *ptr = shmheap_receive_labelled(mem, handle, OURS, 0);
    CHECK(ptr != NULL);
    CHECK_REFUSED(shmheap_receive_labelled(mem, handle, OURS, 0) == NULL, ESTALE);
    shmheap_free(mem, ptr);
    shmheap_disconnect(mem);
}

static void what_is_refused(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16), reads, none = {NULL};
    const shmheap_object_handle null = {0};
    shmheap_options options = {0};
    options.flags = SHMHEAP_READ_ONLY;
    CHECK_EQ(shmheap_open_fd(&reads, shmheap_fd(mem), &options), 0);
    unsigned char *ptr = filled(mem, 64);
    CHECK_REFUSED(shmheap_send_labelled(mem, ptr, NULL, 1).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send_labelled(mem, ptr, &OURS, 0).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send_labelled(mem, ptr + 8, &OURS, 1).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send_labelled(mem, NULL, &OURS, 1).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send_labelled(none, ptr, &OURS, 1).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send_labelled(mem, ptr, &OURS, SIZE_MAX).bits == 0, EBADMSG);
    CHECK_REFUSED(shmheap_send_labelled(reads, ptr, &OURS, 1).bits == 0, EACCES);
    CHECK_REFUSED(shmheap_receive_labelled(mem, null, OURS, 0) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_receive_labelled(none, null, OURS, 0) == NULL, EINVAL);
    shmheap_object_handle handle = shmheap_send_labelled(mem, ptr, &OURS, 1);
    CHECK(handle.bits != 0);
    CHECK_REFUSED(shmheap_send_labelled(mem, ptr, &OURS, 1).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_receive_labelled(reads, handle, OURS, 0) == NULL, EACCES);
    CHECK(shmheap_receive_labelled(mem, handle, OURS, 0) == ptr);
    shmheap_disconnect(reads);
    shmheap_disconnect(mem);
}

/* An object that another connection holds. */
static void of_another(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16), there;
    CHECK_EQ(shmheap_open_fd(&there, shmheap_fd_writable(mem), NULL), 0);
    unsigned char *ptr = filled(mem, 64), before[128];
    size_t room = shmheap_usable_size(mem, ptr);
    memcpy(before, ptr, room);
    unsigned char *same = (unsigned char *)shmheap_underlying(there) +
                          (ptr - (unsigned char *)shmheap_underlying(mem));
    CHECK_REFUSED(shmheap_send_labelled(there, same, &OURS, 1).bits == 0, EPERM);
    CHECK(memcmp(ptr, before, room) == 0);
    shmheap_disconnect(there);
    shmheap_disconnect(mem);
}

/* An object that lies where the region has grown since this connection looked. */
static void behind_the_known_end(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 1 << 20, 16), there;
    CHECK_EQ(shmheap_open_fd(&there, shmheap_fd_writable(mem), NULL), 0);
    shmheap_object_handle handle = shmheap_send_labelled(mem, filled(mem, 100000), &OURS, 1);
    CHECK(handle.bits != 0);
    CHECK_REFUSED(shmheap_receive_labelled(there, handle, OTHER, 0) == NULL, ENOMSG);
    void *ptr = shmheap_receive_labelled(there, handle, OURS, 100000);
    CHECK(ptr != NULL);
    CHECK(shmheap_send_labelled(there, ptr, &OURS, 1).bits != 0);
    shmheap_disconnect(there);
    shmheap_disconnect(mem);
}

/* A peer has written over the header. */
static void damaged_headers(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16);
    const uint64_t sizes = (UINT64_C(1) << 36) - 1;
    for (int sent = 0; sent < 2; sent++) {
        unsigned char *ptr = filled(mem, 64);
        shmheap_object_handle handle = {0};
        if (sent)
            handle = shmheap_send_labelled(mem, ptr, &OURS, 1);
        uint64_t *header = (uint64_t *)(void *)(ptr - 8), good = *header;
        for (int i = 0; i < 3; i++) {
            const uint64_t bad[] = {0, sizes, LEN};
            *header = (good & ~sizes) | bad[i];
            if (sent)
                CHECK_REFUSED(shmheap_receive_labelled(mem, handle, OURS, 0) == NULL, EBADMSG);
            else
                CHECK(shmheap_send_labelled(mem, ptr, &OURS, 1).bits == 0);
        }
        *header = good;
        CHECK(!sent || shmheap_receive_labelled(mem, handle, OURS, 0) == ptr);
        shmheap_free(mem, ptr);
    }
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* The memory of one block cannot be written until the claim writes its header; then another object
 * lies there with the same header, as after 32,768 allocations. */
static struct {
    void *page;
    size_t len;
    volatile uint64_t *label;
} swapped;

static void swap_label(int number)
{
    (void)number;
    if (mprotect(swapped.page, swapped.len, PROT_READ | PROT_WRITE) != 0)
        _exit(3);
    *swapped.label = OTHER;
}

static void another_object_comes_to_lie_there(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16);
    unsigned char *ptr = filled(mem, 64);
    size_t room = shmheap_usable_size(mem, ptr), page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t *header = (uint64_t *)(void *)(ptr - 8);
    shmheap_object_handle handle = shmheap_send_labelled(mem, ptr, &OURS, 1);
    uint64_t before = *header;
    struct sigaction catch = {0}, old;
    catch.sa_handler = swap_label;
    CHECK_EQ(sigaction(SIGSEGV, &catch, &old), 0);
    swapped.page = (void *)((uintptr_t)header & ~(uintptr_t)(page - 1));
    swapped.len = page;
    swapped.label = (uint64_t *)(void *)(ptr + room - 8);
    CHECK_EQ(mprotect(swapped.page, page, PROT_READ), 0);
    CHECK_REFUSED(shmheap_receive_labelled(mem, handle, OURS, 0) == NULL, ESTALE);
    CHECK_EQ(sigaction(SIGSEGV, &old, NULL), 0);
    CHECK(*swapped.label == OTHER); /* it came to the claim */
    CHECK(*header == before);
    CHECK(shmheap_receive_labelled(mem, handle, OTHER, room) == ptr);
    shmheap_free(mem, ptr);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void put_back(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16), there, reads, none = {NULL};
    const shmheap_object_handle null = {0};
    shmheap_options options = {0};
    options.flags = SHMHEAP_READ_ONLY;
    CHECK_EQ(shmheap_open_fd(&there, shmheap_fd_writable(mem), NULL), 0);
    CHECK_EQ(shmheap_open_fd(&reads, shmheap_fd(mem), &options), 0);
    unsigned char *ptr = filled(mem, 64);
    shmheap_object_handle handle = shmheap_send_labelled(mem, ptr, &OURS, 1);
    CHECK_REFUSED(shmheap_put_back(mem, handle) == -1, ESTALE); /* in transit */
    for (int i = 0; i < 3; i++) {
        CHECK(shmheap_receive(mem, handle) == ptr);
        CHECK_REFUSED(shmheap_put_back(there, handle) == -1, ESTALE); /* another holds it */
        CHECK_REFUSED(shmheap_put_back(reads, handle) == -1, EACCES);
        CHECK_EQ(shmheap_put_back(mem, handle), 0);
        CHECK_REFUSED(shmheap_put_back(mem, handle) == -1, ESTALE);
    }
    CHECK(shmheap_receive_labelled(mem, handle, OURS, 64) == ptr);
    shmheap_object_handle next = shmheap_send(mem, ptr);
    CHECK(shmheap_receive(mem, next) == ptr);
    CHECK_REFUSED(shmheap_put_back(mem, handle) == -1, ESTALE); /* another claim */
    shmheap_free(mem, ptr);
    CHECK_REFUSED(shmheap_put_back(mem, next) == -1, ESTALE);
    CHECK_REFUSED(shmheap_put_back(mem, null) == -1, EINVAL);
    CHECK_REFUSED(shmheap_put_back(none, handle) == -1, EINVAL);
    CHECK_SOUND(mem);
    shmheap_disconnect(reads);
    shmheap_disconnect(there);
    shmheap_disconnect(mem);
}

int main(void)
{
    the_last_words_and_no_other_bytes(8);
    the_last_words_and_no_other_bytes(16);
    another_label_changes_nothing();
    what_is_refused();
    of_another();
    behind_the_known_end();
    damaged_headers();
    another_object_comes_to_lie_there();
    put_back();
    return 0;
}
