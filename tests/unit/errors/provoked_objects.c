/* provoked_objects.c: failures of calls on objects of an open heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "provoked.h"

#define NO_OBJECT "no live object begins at 0x%llx: it was freed or sent, or lies elsewhere"
#define GONE                                                                                       \
    "the object is not there under this handle: it was freed, moved, sent or received already"
#define NO_SPACE(bytes)                                                                            \
    "no free block has room for " #bytes " bytes, and the region of 65536 bytes cannot grow"

static unsigned long long number_of(const void *ptr) { return (uintptr_t)ptr; }

void allocating(void)
{
    shmheap_memory_handle mem = provoked_heap();
    static void *ptrs[LEN];
    size_t half = (size_t)1 << (sizeof half * 4);
    FAILS(shmheap_alloc(mem, 100000) == NULL, ENOMEM,
          "shmheap_alloc(\"a\"): 100000 bytes never fit: the largest object has %d", LEN - 24);
    FAILS(shmheap_calloc(mem, half, half) == NULL, ENOMEM,
          "shmheap_calloc(\"a\"): %zu times %zu bytes is more than a size_t holds", half, half);
    FAILS(shmheap_calloc(mem, 100, 1000) == NULL, ENOMEM,
          "shmheap_calloc(\"a\"): 100000 bytes never fit: the largest object has %d", LEN - 24);
    FAILS(shmheap_aligned_alloc(mem, 24, 100) == NULL, EINVAL,
          "shmheap_aligned_alloc(\"a\"): the alignment 24 is no power of two up to the page size");
    FAILS(shmheap_aligned_alloc(mem, 8, 100000) == NULL, ENOMEM,
          "shmheap_aligned_alloc(\"a\"): 100000 bytes never fit: the largest object has %d",
          LEN - 24);
    FAILS(shmheap_alloc_many(mem, 10, 1, NULL) == 0, EINVAL,
          "shmheap_alloc_many(\"a\"): the argument ptrs is NULL, 0 or empty");
    CHECK(shmheap_alloc(mem, LEN / 2) != NULL);
    FAILS(shmheap_alloc(mem, 40000) == NULL, ENOMEM, "shmheap_alloc(\"a\"): " NO_SPACE(40000));
    FAILS(shmheap_realloc(mem, NULL, 40000) == NULL, ENOMEM,
          "shmheap_realloc(\"a\"): " NO_SPACE(40000));
    FAILS(shmheap_aligned_alloc(mem, 64, 40000) == NULL, ENOMEM,
          "shmheap_aligned_alloc(\"a\"): " NO_SPACE(40000));
    FAILS(shmheap_alloc_many(mem, 20000, 5, ptrs) == 1, ENOMEM,
          "shmheap_alloc_many(\"a\"): " NO_SPACE(20000));
    FAILS(shmheap_realloc(mem, ptrs[0], 40000) == NULL, ENOMEM,
          "shmheap_realloc(\"a\"): " NO_SPACE(40000));
    FAILS(shmheap_alloc_wait(mem, 40000, 0) == NULL, ENOMEM,
          "shmheap_alloc_wait(\"a\"): " NO_SPACE(40000));
    FAILS(shmheap_alloc_wait(mem, 40000, 3) == NULL, ETIMEDOUT,
          "shmheap_alloc_wait(\"a\"): no free block had room for 40000 bytes within 3 ms");
    FAILS(shmheap_alloc_named(mem, "n", 40000) == NULL, ENOMEM,
          "shmheap_alloc_named(\"a\", \"n\"): " NO_SPACE(40000));
    shmheap_disconnect(mem);
}

void freeing(void)
{
    shmheap_memory_handle mem = provoked_heap();
    char *ptr = shmheap_alloc(mem, 100), *named = shmheap_alloc_named(mem, "n", 10);
    void *ptrs[] = {ptr, ptr, NULL};
    unsigned long long at = (uintptr_t)ptr, at_named = (uintptr_t)named;
    FAILS((shmheap_free(mem, ptr + 16), 1), EINVAL, "shmheap_free(\"a\"): " NO_OBJECT, at + 16);
    FAILS(shmheap_free_many(mem, ptrs, 3) == 2, EINVAL,
          "shmheap_free_many(\"a\"): 1 of 3 entries are no live objects, or occur twice");
    FAILS(shmheap_free_many(mem, NULL, 1) == 0, EINVAL,
          "shmheap_free_many(\"a\"): the argument ptrs is NULL, 0 or empty");
    FAILS(shmheap_try_free(mem, ptr) == -1, EINVAL, "shmheap_free(\"a\"): " NO_OBJECT, at);
    FAILS(shmheap_realloc(mem, ptr, 10) == NULL, EINVAL, "shmheap_realloc(\"a\"): " NO_OBJECT, at);
    FAILS(shmheap_usable_size(mem, ptr) == 0, EINVAL, "shmheap_usable_size(\"a\"): " NO_OBJECT, at);
    FAILS(shmheap_ptr_to_handle(mem, NULL).bits == 0, EINVAL,
          "shmheap_ptr_to_handle(\"a\"): the pointer is NULL");
    FAILS(shmheap_send(mem, NULL).bits == 0, EINVAL, "shmheap_send(\"a\"): the pointer is NULL");
    FAILS(shmheap_realloc(mem, named, 20) == NULL, EINVAL,
          "shmheap_realloc(\"a\"): the object at 0x%llx has a name, and cannot be resized or sent",
          at_named);
    shmheap_memory_handle other = test_connect_again(mem, 0);
    void *there = shmheap_find(other, "n", NULL);
    FAILS(shmheap_try_free(other, there) == -1, EPERM,
          "shmheap_free: the object at 0x%llx has a name, and this process has no use of it to "
          "give back",
          number_of(there));
    shmheap_disconnect(other);
    FAILS(shmheap_reap(mem, 6) == -1, EINVAL,
          "shmheap_reap(\"a\"): the flags have unknown bits: 0x6");
    shmheap_disconnect(mem);
}

void giving_handles(void)
{
    shmheap_memory_handle mem = provoked_heap(),
                          reader = test_connect_again(mem, SHMHEAP_READ_ONLY);
    const shmheap_object_handle null = {0}, foreign = {UINT64_MAX};
    char *ptr = shmheap_alloc(mem, 16),
         *there = (char *)shmheap_underlying(reader) + test_offset(mem, ptr);
    FAILS(shmheap_ptr_to_handle(reader, there).bits == 0, EACCES,
          "shmheap_ptr_to_handle: the connection is read-only, and no handle of the object at "
          "0x%llx was taken yet",
          number_of(there));
    FAILS(shmheap_ptr_to_handle(mem, ptr + 8).bits == 0, EINVAL,
          "shmheap_ptr_to_handle(\"a\"): " NO_OBJECT, number_of(ptr + 8));
    FAILS(shmheap_handle_to_ptr(mem, null) == NULL, EINVAL,
          "shmheap_handle_to_ptr(\"a\"): the handle is null");
    FAILS(shmheap_receive(mem, foreign) == NULL, EINVAL,
          "shmheap_receive(\"a\"): 0xffffffffffffffff is a handle of another heap, or no handle");
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, ptr);
    shmheap_free(mem, ptr);
    FAILS(shmheap_handle_to_ptr(mem, handle) == NULL, ESTALE,
          "shmheap_handle_to_ptr(\"a\"): " GONE);
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

static void check_sending(shmheap_memory_handle mem, shmheap_memory_handle reader, void *ptr)
{
    const uint64_t words[4] = {7};
    shmheap_memory_handle writer = test_connect_again(mem, 0);
    void *there = shmheap_handle_to_ptr(writer, shmheap_ptr_to_handle(mem, ptr));
    FAILS(shmheap_send_labelled(mem, ptr, words, 4).bits == 0, EBADMSG,
          "shmheap_send_labelled(\"a\"): the object is too short for 4 words, or its header is "
          "damaged");
    FAILS(shmheap_send_labelled(mem, ptr, NULL, 1).bits == 0, EINVAL,
          "shmheap_send_labelled(\"a\"): the argument words is NULL, 0 or empty");
    FAILS(shmheap_send_labelled(mem, ptr, words, 0).bits == 0, EINVAL,
          "shmheap_send_labelled(\"a\"): the argument count is NULL, 0 or empty");
    FAILS(shmheap_send(writer, there).bits == 0, EPERM,
          "shmheap_send: another connection holds the object");
    FAILS(shmheap_send_labelled(writer, there, words, 1).bits == 0, EPERM,
          "shmheap_send_labelled: another connection holds the object");
    FAILS(shmheap_send(reader, ptr).bits == 0, EACCES, "shmheap_send: the connection is read-only");
    shmheap_disconnect(writer);
}

void handing_over(void)
{
    shmheap_memory_handle mem = provoked_heap(),
                          reader = test_connect_again(mem, SHMHEAP_READ_ONLY);
    void *ptr = shmheap_alloc(mem, 16);
    const uint64_t label = 7;
    check_sending(mem, reader, ptr);
    shmheap_object_handle sent = shmheap_send_labelled(mem, ptr, &label, 1);
    FAILS(shmheap_receive_labelled(mem, sent, 8, 0) == NULL, ENOMSG,
          "shmheap_receive_labelled(\"a\"): the object in transit has another label");
    FAILS(shmheap_receive_labelled(mem, sent, 7, 1000) == NULL, ERANGE,
          "shmheap_receive_labelled(\"a\"): the object is shorter than the call requires");
    FAILS(shmheap_receive(reader, sent) == NULL, EACCES,
          "shmheap_receive: the connection is read-only");
    FAILS(shmheap_peek(mem, sent, 0, NULL, 1) == 0, EINVAL,
          "shmheap_peek(\"a\"): the argument buffer is NULL, 0 or empty");
    FAILS(shmheap_put_back(mem, sent) == -1, ESTALE, "shmheap_put_back(\"a\"): " GONE);
    CHECK_PTR(shmheap_receive(mem, sent), ptr);
    FAILS(shmheap_receive(mem, sent) == NULL, ESTALE, "shmheap_receive(\"a\"): " GONE);
    FAILS(shmheap_peek(mem, sent, 0, NULL, 0) == 0, ESTALE, "shmheap_peek(\"a\"): " GONE);
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

static int visit_that_disconnects(const shmheap_process_info *process, void *context)
{
    shmheap_disconnect(*(shmheap_memory_handle *)context);
    return process->slot == 0;
}

static int visit_that_stops(const shmheap_block_info *block, void *context)
{
    (void)block;
    errno = *(int *)context;
    return -1;
}

void naming(void)
{
    shmheap_memory_handle mem = provoked_heap(), other = test_connect_again(mem, SHMHEAP_READ_ONLY);
    char long_name[300] = "";
    memset(long_name, 'x', sizeof long_name - 1);
    CHECK(shmheap_alloc_kept(mem, "n", 10) != NULL);
    FAILS(shmheap_alloc_named(mem, "", 10) == NULL, EINVAL,
          "shmheap_alloc_named(\"a\"): the object's name is NULL or empty");
    FAILS(shmheap_alloc_kept(mem, "n", 11) == NULL, EINVAL,
          "shmheap_alloc_kept(\"a\", \"n\"): the object of that name has fewer than 11 bytes");
    FAILS(shmheap_find(mem, "m", NULL) == NULL, ENOENT,
          "shmheap_find(\"a\", \"m\"): no object has that name");
    FAILS(shmheap_name_remove(mem, "m") == -1, ENOENT,
          "shmheap_name_remove(\"a\", \"m\"): no object has that name");
    FAILS(shmheap_name_keep(mem, long_name) == -1, ENAMETOOLONG,
          "shmheap_name_keep(\"a\", \"...%.36s\"): the name is longer than 255 bytes", long_name);
    FAILS(shmheap_name_keep(other, "n") == -1, EACCES,
          "shmheap_name_keep(\"n\"): the connection is read-only");
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

void inspecting(void)
{
    shmheap_memory_handle mem = provoked_heap(), other = test_connect_again(mem, SHMHEAP_READ_ONLY);
    FAILS(shmheap_walk(mem, NULL, NULL) == -1, EINVAL,
          "shmheap_walk(\"a\"): the argument visit is NULL, 0 or empty");
    FAILS(shmheap_stat(mem, NULL) == -1, EINVAL,
          "shmheap_stat(\"a\"): the argument stats is NULL, 0 or empty");
    FAILS(shmheap_copy(mem, NULL) == -1, EINVAL,
          "shmheap_copy(\"a\"): the argument path is NULL, 0 or empty");
    FAILS(shmheap_copy(mem, "") == -1, EINVAL,
          "shmheap_copy(\"a\"): the argument path is NULL, 0 or empty");
    FAILS(shmheap_copy(mem, "/proc") == -1, EEXIST,
          "shmheap_copy(\"a\", \"/proc\"): the path exists");
    /* A writer is in the middle of a change of names. */
    store_u64(&mem.heap->control->names_changes, load_u64(&mem.heap->control->names_changes) | 1);
    FAILS(shmheap_find(other, "n", NULL) == NULL, EAGAIN,
          "shmheap_find(\"n\"): the heap changes too fast, or a process in it is stopped, or died "
          "and no writer came since");
    store_u64(&mem.heap->control->names_changes,
              load_u64(&mem.heap->control->names_changes) & ~UINT64_C(1));
    /* What a visitor returns is not the library's failure. */
    int reason = EIO;
    CHECK_EQ(shmheap_walk(mem, visit_that_stops, &reason), -1);
    CHECK(strncmp(shmheap_error_text(), "shmheap_find(", 13) == 0);
    shmheap_disconnect(other);
    FAILS(shmheap_processes(mem, visit_that_disconnects, &mem) == -1, EINVAL,
          "shmheap_processes: the connection is not open");
}
