/* System calls that fail: a heap is opened all the same, or refused with nothing left behind.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { ANY = -1, UNTOUCHED = 1234, LEN = 1 << 20, LARGE = 80 << 20, GROWTH = 8 << 20 };

/* 32-bit x86 has newer calls of another name for these. */
#ifdef SYS_mmap2
#define CALL_MMAP SYS_mmap2
#define CALL_FCNTL SYS_fcntl64
#define CALL_FSTATFS SYS_fstatfs64
#else
#define CALL_MMAP SYS_mmap
#define CALL_FCNTL SYS_fcntl
#define CALL_FSTATFS SYS_fstatfs
#endif

/* struct refusal: the call `number`, where argument `argument` and mask is value, fails with error.
 * Expected of creating with a name, of creating without one, of connecting: 0 for success, else
 * errno. */
struct refusal {
    const char *text;
    int number, argument;
    uint32_t mask, value;
    int error;
    int named, anonymous, connecting;
};

static const struct refusal refusals[] = {
    {"no pages for a file", SYS_fallocate, ANY, 0, 0, ENOSPC, ENOSPC, ENOSPC, 0},
    {"a file system that cannot reserve", SYS_fallocate, ANY, 0, 0, EOPNOTSUPP, 0, 0, 0},
    {"no room to map", CALL_MMAP, 3, MAP_SHARED, MAP_SHARED, ENOMEM, ENOMEM, ENOMEM, ENOMEM},
    {"no right to set the mode", SYS_fchmod, ANY, 0, 0, EPERM, EPERM, EPERM, 0},
    {"no memory file", SYS_memfd_create, ANY, 0, 0, EMFILE, 0, EMFILE, 0},
    {"no seals", CALL_FCNTL, 1, UINT32_MAX, F_ADD_SEALS, EPERM, 0, EPERM, 0},
    {"no random numbers", SYS_getrandom, ANY, 0, 0, ENOSYS, 0, 0, 0},
    {"no barriers", SYS_membarrier, ANY, 0, 0, ENOSYS, 0, 0, 0},
    {"no robust list", SYS_get_robust_list, ANY, 0, 0, ENOSYS, 0, 0, 0},
    {"no huge pages", SYS_madvise, ANY, 0, 0, EINVAL, 0, 0, 0},
    {"no word of the file system", CALL_FSTATFS, ANY, 0, 0, ENOSYS, 0, 0, 0},
    {"no locks that are asked for", CALL_FCNTL, 1, UINT32_MAX, F_OFD_SETLK, EINVAL, EINVAL, EINVAL,
     EINVAL},
    {"no locks at all", CALL_FCNTL, 1, UINT32_MAX & ~3u, F_OFD_GETLK & ~3, EINVAL, EINVAL, EINVAL,
     EINVAL},
};

/* From now on, in this process. */
static void refuse(const struct refusal *refusal)
{
    unsigned offset = (unsigned)offsetof(struct seccomp_data, args) +
                      8u * (unsigned)(refusal->argument == ANY ? 0 : refusal->argument);
    uint32_t mask = refusal->argument == ANY ? 0 : refusal->mask,
             value = refusal->argument == ANY ? 0 : refusal->value;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refusal->number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)refusal->error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int lowest_free_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void use(shmheap_memory_handle mem)
{
    errno = UNTOUCHED;
    char *object = shmheap_alloc(mem, 1000);
    CHECK(object != NULL);
    test_fill(object, 1000, 1);
    object = shmheap_realloc(mem, object, 5000);
    CHECK(object != NULL && test_filled(object, 1000, 1));
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    CHECK_EQ(errno, UNTOUCHED);
    CHECK_SOUND(mem);
}

static void grow(shmheap_memory_handle mem, size_t len)
{
    errno = UNTOUCHED;
    void *object = shmheap_alloc(mem, len + LEN);
    CHECK(object != NULL && test_stat(mem).grows != 0);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    CHECK_EQ(errno, UNTOUCHED);
    CHECK_SOUND(mem);
}

static void open_refused(const char *name, unsigned flags, size_t len, int expected)
{
    int making = (flags & SHMHEAP_CREATE) != 0;
    shmheap_options options = {.len = len, .max_len = making ? len + GROWTH : 0, .flags = flags};
    shmheap_memory_handle mem;
    int before = lowest_free_fd();
    errno = UNTOUCHED;
    int result = shmheap_open(&mem, name, &options);
    if (expected == 0) {
        CHECK_EQ(errno, UNTOUCHED);
        CHECK_EQ(result, 0);
        use(mem);
        if (making)
            grow(mem, len);
        shmheap_disconnect(mem);
    } else {
        CHECK_EQ(errno, expected);
        CHECK_EQ(result, -1);
        CHECK(!shmheap_valid(mem));
    }
    CHECK_EQ(lowest_free_fd(), before);
}

struct attempt {
    const struct refusal *refusal;
    const char *there, *new_name;
    size_t len;
};

static void try_all(void *context)
{
    const struct attempt *attempt = context;
    struct stat status;
    refuse(attempt->refusal);
    open_refused(attempt->there, SHMHEAP_HUGE_PAGES, 0, attempt->refusal->connecting);
    open_refused(NULL, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_HUGE_PAGES, attempt->len,
                 attempt->refusal->anonymous);
    open_refused(attempt->new_name, SHMHEAP_CREATE, attempt->len, attempt->refusal->named);
    /* A heap that could not be made has left no name. */
    CHECK_EQ(stat(test_shm_path(attempt->new_name), &status) == 0, attempt->refusal->named == 0);
}

static void each_call_that_fails(void)
{
    const char *there = test_name();
    shmheap_memory_handle mem = shmheap_create(there, LEN);
    CHECK(shmheap_valid(mem));
    size_t most = test_shm_has(100) ? LARGE : LEN;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        printf("  %s\n", refusals[i].text);
        for (size_t len = LEN; len <= most; len += LARGE - LEN) {
            struct attempt attempt = {&refusals[i], there, test_name(), len};
            test_in_child(try_all, &attempt);
        }
    }
    use(mem);
    shmheap_disconnect(mem);
}

static void lacks_descriptors(void *context)
{
    shmheap_memory_handle *mem = context, other;
    shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    int fd = shmheap_fd(*mem);
    struct rlimit limit = {(rlim_t)lowest_free_fd(), (rlim_t)lowest_free_fd()};
    use(*mem); /* takes its slot */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_REFUSED(shmheap_open(&other, NULL, &options) == -1, EMFILE);
    CHECK_REFUSED(shmheap_open_fd(&other, fd, NULL) == -1, EMFILE);
    CHECK_REFUSED(shmheap_socket() == -1, ENOTSUP); /* no processor's folder can be read */
    use(*mem);
}

static void no_more_descriptors(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    test_in_child(lacks_descriptors, &mem);
    use(mem);
    shmheap_disconnect(mem);
}

/* Where the system does not tell whether memory is there, the library believes its caller. */
static void memory_of_unknown_state(void *context)
{
    static _Alignas(64) unsigned char memory[LEN];
    static const struct refusal no_word = {"", SYS_msync, ANY, 0, 0, ENOSYS, 0, 0, 0};
    shmheap_memory_handle mem, other;
    (void)context;
    refuse(&no_word);
    errno = UNTOUCHED;
    CHECK_EQ(shmheap_create_at(&mem, memory, LEN, NULL), 0);
    CHECK_EQ(shmheap_attach_at(&other, memory, LEN), 0);
    CHECK_EQ(errno, UNTOUCHED);
    use(mem);
    use(other);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

static void no_word_of_the_memory(void) { test_in_child(memory_of_unknown_state, NULL); }

static const struct test tests[] = {TEST(each_call_that_fails), TEST(no_more_descriptors),
                                    TEST(no_word_of_the_memory)};
TEST_MAIN(tests)
