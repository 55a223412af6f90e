/* Every parameter of shmheap.h that is a size, a length, a count or an offset, with values at the
 * ends of its range, on heaps of each kind and with each combination of flags: an errno that the
 * header lists, nothing changed, and never a crash.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

#define SSIZE_END ((size_t)SSIZE_MAX + 1)
enum { BYTES = 1 << 16, FLAGS_END = 1 << 12, PTRS = BYTES / 16, SMALL = 4096 };

static const size_t values[] = {0, 1, SIZE_MAX, SIZE_MAX - 4096, SSIZE_END};
enum { VALUES = sizeof values / sizeof *values };
static const size_t impossible[] = {SIZE_MAX,        SIZE_MAX - 7, SIZE_MAX - 15,
                                    SIZE_MAX - 4096, SSIZE_END,    SSIZE_END - 16};
enum { IMPOSSIBLE = sizeof impossible / sizeof *impossible };

static int is_one_of(int error, const int *errors)
{
    while (*errors != 0 && *errors != error)
        errors++;
    return *errors != 0;
}

/* Opening --------------------------------------------------------------- */

/* A field of shmheap_options, and what each of `values` in it leads to in a call that makes a heap:
 * 0, or the errno (E2BIG: any that says that there is not that much). */
struct field {
    const char *name;
    size_t off;
    int is_unsigned;
    int errors[VALUES];
};
#define FIELD(name, is_unsigned, ...)                                                              \
    {                                                                                              \
#name, offsetof(shmheap_options, name), is_unsigned, { __VA_ARGS__ }                       \
    }
static const struct field fields[] = {
    FIELD(len, 0, 0, EINVAL, E2BIG, E2BIG, E2BIG),
    FIELD(max_len, 0, 0, EINVAL, E2BIG, E2BIG, E2BIG),
    FIELD(alignment, 0, 0, EINVAL, EINVAL, EINVAL, EINVAL),
    FIELD(mode, 1, 0, 0, EINVAL, EINVAL, 0),
    FIELD(timeout_ms, 1, 0, 0, 0, 0, 0),
};
enum { FIELDS = sizeof fields / sizeof *fields };

static void field_set(shmheap_options *options, const struct field *field, size_t value)
{
    unsigned low = (unsigned)value;
    memcpy((char *)options + field->off,
           field->is_unsigned ? (const void *)&low : (const void *)&value,
           field->is_unsigned ? sizeof low : sizeof value);
}

static int flags_contradict(unsigned flags)
{
    int makes = (flags & SHMHEAP_CREATE) != 0;
    return (!makes && (flags & (SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER | SHMHEAP_ANONYMOUS))) ||
           (makes && (flags & SHMHEAP_READ_ONLY)) ||
           ((flags & SHMHEAP_ANONYMOUS) &&
            (flags & (SHMHEAP_FILE | SHMHEAP_TAKE_OVER | SHMHEAP_SOCKET)));
}

static void check_refused(int failed, int error, const char *what, unsigned flags, size_t value)
{
    static const int too_much[] = {ENOMEM, EFBIG, ENOSPC, 0}, no_socket[] = {EXDEV, ENOTSUP, 0};
    const int one[] = {error, 0};
    int reason = errno;
    if (!failed || (!is_one_of(reason, error == E2BIG ? too_much : one) &&
                    !((flags & SHMHEAP_SOCKET) && error != EINVAL && is_one_of(reason, no_socket))))
        test_fail(__FILE__, __LINE__,
                  "%s with flags %#x and %#zx: failed %d, errno %d, expected %d", what, flags,
                  value, failed, reason, error);
}

static void check_works(shmheap_memory_handle mem)
{
    void *ptr = shmheap_alloc(mem, 40);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_SOUND(mem);
}

/* Whether this call finds no socket depends on where the thread runs. */
static int socket_missing(unsigned flags, int error)
{
    return (flags & SHMHEAP_SOCKET) && (error == EXDEV || error == ENOTSUP);
}

static unsigned check_opening(const char *name, const char *path, const struct field *field,
                              unsigned index, unsigned flags)
{
    shmheap_options options = {.len = SMALL, .flags = flags};
    shmheap_memory_handle mem;
    int error = flags_contradict(flags) ? EINVAL : field->errors[index];
    const char *its = flags & SHMHEAP_FILE ? path : name;
    field_set(&options, field, values[index]);
    if (error != EINVAL && !(flags & SHMHEAP_CREATE))
        error = ENOENT; /* sizes are those of a heap to be made */
    errno = 0;
    int failed = shmheap_open(&mem, its, &options) != 0;
    CHECK_EQ(shmheap_valid(mem), !failed);
    if (error != 0 || (failed && socket_missing(flags, errno))) {
        check_refused(failed, error, field->name, flags, values[index]);
    } else {
        if (failed)
            test_fail(__FILE__, __LINE__, "%s with flags %#x and %#zx: errno %d", field->name,
                      flags, values[index], errno);
        check_works(mem);
        shmheap_destroy(flags & SHMHEAP_ANONYMOUS ? NULL : its, mem);
    }
    CHECK(access(path, F_OK) != 0 && access(test_shm_path(name), F_OK) != 0); /* nothing is left */
    return error == 0;
}

static void opening(void)
{
    const char *name = test_name();
    char *path = strdup(test_shm_path(test_name())); /* thousands of files: none on a disk */
    unsigned made = 0;
    for (unsigned flags = 0; flags < FLAGS_END; flags++)
        for (unsigned field = 0; field < FIELDS; field++)
            for (unsigned i = field == 0 ? 0 : 1; i < VALUES; i++) /* 0 is the default of all */
                made += check_opening(name, path, &fields[field], i, flags);
    free(path);
    printf("  %u heaps made\n", made);
    CHECK_LE(FLAGS_END / 8, made);
}

static void unknown_flags_are_refused(void)
{
    shmheap_memory_handle mem;
    for (unsigned bit = 12; bit < 8 * sizeof(unsigned); bit++) {
        shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | 1u << bit};
        CHECK_REFUSED(shmheap_open(&mem, NULL, &options) == -1, EINVAL);
    }
}

static void making_by_length(void)
{
    const char *name = test_name();
    static const int errors[VALUES] = {EINVAL, EINVAL, E2BIG, E2BIG, E2BIG};
    for (unsigned i = 0; i < VALUES; i++) {
        errno = 0;
        check_refused(!shmheap_valid(shmheap_create(name, values[i])), errors[i], "shmheap_create",
                      0, values[i]);
    }
}

static void descriptors_that_are_none(void)
{
    static const int fds[] = {-1, INT_MIN, INT_MAX, INT_MAX - 4096};
    shmheap_memory_handle mem;
    for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
        CHECK_REFUSED(shmheap_open_fd(&mem, fds[i], NULL) == -1, EBADF);
        CHECK_REFUSED(shmheap_in_use(fds[i]) == -1, EBADF);
    }
}

/* The caller's memory --------------------------------------------------- */

/* BYTES, behind which nothing is mapped. */
static unsigned char *memory_before_a_gap(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory =
        mmap(NULL, BYTES + page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && munmap(memory + BYTES, page) == 0);
    return memory;
}

static void check_untouched(const unsigned char *memory)
{
    CHECK(memory[0] == 0xa5 && memcmp(memory, memory + 1, BYTES - 1) == 0);
}

static void check_making_in_memory(unsigned char *memory, size_t bytes,
                                   const shmheap_options *options, int error)
{
    shmheap_memory_handle mem;
    memset(memory, 0xa5, BYTES);
    CHECK_REFUSED(shmheap_create_at(&mem, memory, bytes, options) == -1, error);
    CHECK(!shmheap_valid(mem));
    check_untouched(memory);
}

static void making_in_memory(void)
{
    static const size_t none[] = {0, 1, 127, 1000};
    unsigned char *memory = memory_before_a_gap();
    for (unsigned flags = 0; flags < FLAGS_END; flags++) {
        int known = (flags & ~(unsigned)(SHMHEAP_CACHED | SHMHEAP_REAP)) == 0;
        shmheap_options options = {.flags = flags};
        for (unsigned i = 0; i < sizeof none / sizeof *none; i++)
            check_making_in_memory(memory, none[i], &options, known ? ENOMEM : EINVAL);
        for (unsigned i = 0; i < IMPOSSIBLE; i++)
            check_making_in_memory(memory, impossible[i], &options, EINVAL);
        options.alignment = known ? 8 : 0;
        options.len = known ? SIZE_MAX : 0;
        check_making_in_memory(memory, BYTES, &options, known ? ENOMEM : EINVAL);
        if (known) { /* the rest cannot depend on flags that are refused */
            for (unsigned i = 0; i < IMPOSSIBLE; i++) {
                options.len = impossible[i];
                check_making_in_memory(memory, BYTES, &options, ENOMEM);
                check_making_in_memory(memory, impossible[i], &options, EINVAL);
                options.len = 128;
                options.max_len = impossible[i];
                check_making_in_memory(memory, BYTES, &options, ENOMEM);
                options.max_len = 0;
            }
            options.len = 1;
            check_making_in_memory(memory, BYTES, &options, EINVAL);
        }
    }
    CHECK_EQ(munmap(memory, BYTES), 0);
}

/* What is one byte, or any number, too long for the mapping. */
static void memory_that_ends_before_bytes(void)
{
    unsigned char *memory = memory_before_a_gap();
    static const size_t more[] = {1, 16, 4096, 1 << 20, 1 << 30};
    shmheap_options options = {0};
    shmheap_memory_handle mem, again;
    for (unsigned i = 0; i < sizeof more / sizeof *more; i++)
        check_making_in_memory(memory, BYTES + more[i], &options, EINVAL);
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, &options), 0);
    for (unsigned i = 0; i < sizeof more / sizeof *more; i++)
        CHECK_REFUSED(shmheap_attach_at(&again, memory, BYTES + more[i]) == -1, EINVAL);
    for (unsigned i = 0; i < IMPOSSIBLE; i++)
        CHECK_REFUSED(shmheap_attach_at(&again, memory, impossible[i]) == -1, EINVAL);
    for (unsigned i = 0; i < 2; i++)
        CHECK_REFUSED(shmheap_attach_at(&again, memory, values[i]) == -1, EBADMSG);
    CHECK_EQ(shmheap_attach_at(&again, memory, BYTES), 0);
    check_works(again);
    shmheap_disconnect(again);
    shmheap_disconnect(mem);
    CHECK_EQ(munmap(memory, BYTES), 0);
}

/* Objects --------------------------------------------------------------- */

static void check_sizes(shmheap_memory_handle mem, void *object, size_t size)
{
    void *ptrs[PTRS];
    CHECK_REFUSED(shmheap_alloc(mem, size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_wait(mem, size, 0) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_wait(mem, size, -1) == NULL, ENOMEM); /* not for ever */
    CHECK_REFUSED(shmheap_alloc_wait(mem, size, INT_MIN) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_wait(mem, size, INT_MAX) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_realloc(mem, object, size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_realloc(mem, NULL, size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_named(mem, "none", size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_kept(mem, "none", size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_named(mem, "there", size) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_alloc_kept(mem, "there", size) == NULL, EINVAL);
    for (unsigned i = 0; i < VALUES; i++) {
        CHECK_REFUSED(shmheap_alloc_many(mem, size, values[i], ptrs) == 0,
                      values[i] != 0 ? ENOMEM : 0);
        if (values[i] != 0) {
            CHECK_REFUSED(shmheap_calloc(mem, size, values[i]) == NULL, ENOMEM);
            CHECK_REFUSED(shmheap_calloc(mem, values[i], size) == NULL, ENOMEM);
        }
    }
    for (size_t alignment = 1; alignment != 0; alignment *= 2) {
        int possible = alignment <= (size_t)sysconf(_SC_PAGESIZE);
        CHECK_REFUSED(shmheap_aligned_alloc(mem, alignment, size) == NULL,
                      possible ? ENOMEM : EINVAL);
    }
    for (unsigned i = 0; i < VALUES; i++)
        if (values[i] != 1)
            CHECK_REFUSED(shmheap_aligned_alloc(mem, values[i], size) == NULL, EINVAL);
}

/* As many as fit, of a number without end. */
static void check_counts(shmheap_memory_handle mem)
{
    static void *ptrs[PTRS];
    CHECK_REFUSED(shmheap_alloc_many(mem, 0, SIZE_MAX, NULL) == 0, EINVAL);
    CHECK_REFUSED(shmheap_free_many(mem, NULL, SIZE_MAX) == 0, EINVAL);
    CHECK_REFUSED(shmheap_alloc_many(mem, 0, 0, NULL) == 0, 0);
    CHECK_REFUSED(shmheap_free_many(mem, NULL, 0) == 0, 0);
    for (unsigned i = 2; i < VALUES; i++) {
        errno = 0;
        size_t got = shmheap_alloc_many(mem, 1, values[i], ptrs);
        CHECK(got > 0 && got <= PTRS && errno == ENOMEM);
        CHECK_EQ(shmheap_free_many(mem, ptrs, got), (long long)got);
    }
}

static void check_peek(shmheap_memory_handle mem, shmheap_object_handle sent, size_t len)
{
    static const ptrdiff_t offsets[] = {
        0, 1, -1, PTRDIFF_MAX, PTRDIFF_MIN, PTRDIFF_MAX - 4096, PTRDIFF_MIN + 4096};
    unsigned char buffer[1];
    for (unsigned k = 0; k < sizeof offsets / sizeof *offsets; k++) {
        int near = offsets[k] >= -1 && offsets[k] <= 1;
        for (size_t bytes = 0; bytes <= 1; bytes++)
            CHECK_REFUSED(shmheap_peek(mem, sent, offsets[k], buffer, bytes) == (near ? len : 0),
                          near ? 0 : ERANGE);
        for (unsigned i = 2; i < VALUES; i++) {
            CHECK_REFUSED(shmheap_peek(mem, sent, offsets[k], buffer, values[i]) == 0, ERANGE);
            CHECK_REFUSED(shmheap_peek(mem, sent, offsets[k], NULL, values[i]) == 0, EINVAL);
        }
    }
}

/* A heap's identity is random: such bits may be a handle of this heap, to an object that was
 * freed. */
static void check_no_handle(int failed)
{
    static const int errors[] = {EINVAL, ESTALE, 0};
    int error = errno;
    CHECK(failed && is_one_of(error, errors));
}

static void check_words(shmheap_memory_handle mem)
{
    static const uint64_t bits[] = {
        0, 1, UINT64_MAX, UINT64_MAX - 4096, UINT64_C(1) << 63, (UINT64_C(1) << 36) - 1};
    for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++) {
        const shmheap_object_handle handle = {bits[i]};
        check_no_handle(shmheap_handle_to_ptr(mem, handle) == NULL);
        check_no_handle(shmheap_receive(mem, handle) == NULL);
        check_no_handle(shmheap_peek(mem, handle, 0, NULL, 0) == 0);
    }
    for (unsigned i = 0; i < VALUES; i++) {
        void *ptr = (void *)(uintptr_t)(values[i] & ~(size_t)7);
        if (ptr != NULL)
            CHECK_REFUSED(shmheap_try_free(mem, ptr) == -1, EINVAL);
        CHECK_REFUSED(shmheap_ptr_to_handle(mem, ptr).bits == 0, EINVAL);
        CHECK_REFUSED(shmheap_send(mem, ptr).bits == 0, EINVAL);
    }
    for (unsigned bit = 1; bit < 8 * sizeof(unsigned); bit++)
        CHECK_REFUSED(shmheap_reap(mem, 1u << bit) == -1, EINVAL);
    CHECK_REFUSED(shmheap_reap(mem, UINT_MAX) == -1, EINVAL);
}

static void check_objects(shmheap_memory_handle mem)
{
    enum { LEN = 104 };
    void *object = shmheap_alloc(mem, LEN), *named = shmheap_alloc_named(mem, "there", 8);
    shmheap_object_handle sent = shmheap_send(mem, shmheap_alloc(mem, LEN));
    CHECK(object != NULL && named != NULL && sent.bits != 0);
    test_fill(object, LEN, 3);
    for (unsigned i = 0; i < IMPOSSIBLE; i++)
        check_sizes(mem, object, impossible[i]);
    check_counts(mem);
    check_peek(mem, sent, LEN);
    check_words(mem);
    CHECK(test_filled(object, LEN, 3));
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    CHECK_EQ(shmheap_try_free(mem, named), 0);
    CHECK_EQ(shmheap_try_free(mem, shmheap_receive(mem, sent)), 0);
    CHECK_SOUND(mem);
}

static void objects_in_a_file(void)
{
    static const unsigned combined[] = {SHMHEAP_CACHED, SHMHEAP_REAP, SHMHEAP_SPARSE,
                                        SHMHEAP_HUGE_PAGES, SHMHEAP_NO_DUMP};
    for (unsigned set = 0; set < 1u << 5; set++)
        for (size_t alignment = 8; alignment <= 16; alignment += 8) {
            shmheap_options options = {
                .len = BYTES, .alignment = alignment, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
            shmheap_memory_handle mem;
            for (unsigned bit = 0; bit < 5; bit++)
                options.flags |= set >> bit & 1 ? combined[bit] : 0;
            CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
            check_objects(mem);
            shmheap_disconnect(mem);
        }
}

static void objects_in_memory(void)
{
    unsigned char *memory = memory_before_a_gap();
    for (size_t alignment = 8; alignment <= 16; alignment += 8)
        for (unsigned set = 0; set < 4; set++) {
            shmheap_options options = {.alignment = alignment,
                                       .flags = (set & 1 ? SHMHEAP_CACHED : 0u) |
                                                (set & 2 ? SHMHEAP_REAP : 0u)};
            shmheap_memory_handle mem;
            CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, &options), 0);
            check_objects(mem);
            shmheap_disconnect(mem);
        }
    CHECK_EQ(munmap(memory, BYTES), 0);
}

static const struct test tests[] = {TEST(opening),           TEST(unknown_flags_are_refused),
                                    TEST(making_by_length),  TEST(descriptors_that_are_none),
                                    TEST(making_in_memory),  TEST(memory_that_ends_before_bytes),
                                    TEST(objects_in_a_file), TEST(objects_in_memory)};
TEST_MAIN(tests)
