/* allocate.c: a program for `shmheap run`: allocate WHAT. It checks what a program may expect of
 * malloc. Built without the compiler's knowledge of malloc, which would leave out calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 * */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 64, ROUNDS = 8000, FORKS = 15, HELD = 1000, SIGNALS = 100 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition,      \
                    errno);                                                                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static int is_filled(const unsigned char *object, size_t size, unsigned char byte)
{
    for (size_t i = 0; i < size; i++)
        if (object[i] != byte)
            return 0;
    return 1;
}

static int is_aligned(const void *object, size_t alignment)
{
    return (uintptr_t)object % alignment == 0;
}

static void check_sizes(void)
{
    for (size_t size = 0; size < 5000; size += 7) {
        unsigned char *object = malloc(size);
        CHECK(object && is_aligned(object, 16) && malloc_usable_size(object) >= size);
        memset(object, 0xa5, malloc_usable_size(object));
        free(object);
        object = calloc(1, size);
        CHECK(object && is_filled(object, size, 0));
        memset(object, 0xa5, size);
        object = realloc(object, 3 * size + 1);
        CHECK(object && is_filled(object, size, 0xa5));
        memset(object, 0xa5, 3 * size + 1);
        object = reallocarray(object, size / 2 + 1, 1);
        CHECK(object && is_filled(object, size / 2 + 1, 0xa5));
        free(object);
    }
}

static void check_alignments(void)
{
    for (size_t alignment = 1; alignment <= (size_t)1 << 22; alignment *= 2) {
        unsigned char *held[4] = {memalign(alignment, 100), aligned_alloc(alignment, 5000), NULL};
        int error = posix_memalign((void **)&held[2], alignment, 1);
        CHECK(alignment < sizeof(void *) ? error == EINVAL : error == 0);
        held[3] = malloc(alignment);
        for (int i = 0; i < 4; i++) {
            CHECK(held[i] || i == 2);
            CHECK(i == 3 || is_aligned(held[i], alignment));
            memset(held[i], i, held[i] ? malloc_usable_size(held[i]) : 0);
        }
        CHECK(malloc_usable_size(held[1]) >= 5000);
        held[1] = realloc(held[1], 2 * 5000);
        CHECK(is_filled(held[0], 100, 0) && is_filled(held[1], 5000, 1));
        for (int i = 0; i < 4; i++)
            free(held[i]);
    }
    CHECK(memalign(SIZE_MAX / 2 + 2, 1) == NULL && errno == EINVAL);
    CHECK(is_aligned(valloc(1), 4096) && is_aligned(pvalloc(1), 4096));
    CHECK(malloc_usable_size(pvalloc(1)) >= 4096);
    void *out = &out;
    CHECK(posix_memalign(&out, 24, 1) == EINVAL && posix_memalign(&out, 0, 1) == EINVAL);
    CHECK(out == &out);
}

static void check_refusals(void)
{
    volatile size_t most = SIZE_MAX;
    void *object = malloc(10);
    errno = 0;
    CHECK(!malloc(most / 2 + 1) && errno == ENOMEM);
    errno = 0;
    CHECK(!calloc(most / 2, 3) && errno == ENOMEM);
    errno = 0;
    CHECK(!reallocarray(object, most / 2, 3) && errno == ENOMEM);
    errno = 0;
    CHECK(!realloc(object, most / 2 + 1) && errno == ENOMEM);
    errno = 0;
    CHECK(!aligned_alloc(64, most - 10) && errno == ENOMEM);
    CHECK(!pvalloc(most - 10) && !memalign((size_t)1 << 21, most / 2));
    free(NULL);
    CHECK(malloc_usable_size(NULL) == 0);
    errno = 12345;
    free(object);
    CHECK(errno == 12345);
    object = realloc(NULL, 10);
    CHECK(object && realloc(object, 0) == NULL);
}

struct held {
    unsigned char *object;
    size_t size;
    unsigned char byte;
};

static struct held common[SLOTS]; /* objects travel between the threads */
static pthread_mutex_t common_lock = PTHREAD_MUTEX_INITIALIZER;

static void check_and_free(struct held *held)
{
    if (!held->object)
        return;
    CHECK(is_filled(held->object, held->size, held->byte));
    if (held->size % 3 == 0) {
        size_t size = held->size + 500, less = held->size;
        held->object = realloc(held->object, size);
        CHECK(held->object && is_filled(held->object, less, held->byte));
    }
    free(held->object);
    held->object = NULL;
}

static struct held make(unsigned random)
{
    struct held held = {NULL, random % 2000 + 1, (unsigned char)random};
    held.object = random % 5 == 0   ? calloc(1, held.size)
                  : random % 5 == 1 ? aligned_alloc(256, held.size)
                                    : malloc(held.size);
    CHECK(held.object);
    CHECK(random % 5 != 0 || is_filled(held.object, held.size, 0));
    memset(held.object, held.byte, held.size);
    return held;
}

static void *work(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed * 2654435761u + 1;
    for (int i = 0; i < ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        struct held held = make(random >> 8);
        pthread_mutex_lock(&common_lock);
        struct held other = common[random >> 26];
        common[random >> 26] = held;
        pthread_mutex_unlock(&common_lock);
        check_and_free(&other);
    }
    return NULL;
}

static void threads_start(pthread_t *threads)
{
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
}

static void threads_join(pthread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < SLOTS; i++)
        check_and_free(&common[i]);
}

static void check_threads(void)
{
    pthread_t threads[THREADS];
    threads_start(threads);
    threads_join(threads);
}

/* The objects of a process that forks: they stay as they are, whatever its children do. */
static struct held kept[SLOTS];

static void kept_check(void)
{
    for (int i = 0; i < SLOTS; i++)
        CHECK(is_filled(kept[i].object, kept[i].size, kept[i].byte));
}

static void child_changes(void)
{
    kept_check();
    for (int i = 0; i < SLOTS; i += 2) {
        size_t size = kept[i].size;
        CHECK(malloc_usable_size(kept[i].object) >= size);
        kept[i].object = realloc(kept[i].object, 2 * size);
        CHECK(kept[i].object && is_filled(kept[i].object, size, kept[i].byte));
        memset(kept[i].object, kept[i].byte, size);
    }
    for (int i = 1; i < SLOTS; i += 4) {
        memset(kept[i].object, 0xee, kept[i].size);
        free(kept[i].object);
        kept[i] = make((unsigned)i * 99991);
    }
    kept_check();
}

/* In a child: it finds its parent's objects, changes, resizes and frees them, makes others; then
 * its child does so. */
static void child(int generations)
{
    int status = 0;
    pid_t pid = 0;
    while (pid == 0 && generations-- > 0) {
        child_changes();
        pid = generations > 0 ? fork() : -1;
    }
    CHECK(generations <= 0 || (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0));
    kept_check();
    _exit(0);
}

/* clone() runs no handlers. */
static pid_t fork_by(const char *how)
{
    if (!strcmp(how, "fork"))
        return fork();
    if (!strcmp(how, "vfork_exec")) {
        pid_t pid = vfork();
        if (pid == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        return pid;
    }
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static void check_forks(const char *how, int with_threads)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < SLOTS; i++)
        kept[i] = make(i * 7919 + 13);
    if (with_threads)
        threads_start(threads);
    for (int i = 0; i < FORKS; i++) {
        int status;
        pid_t pid = fork_by(how);
        if (pid == 0)
            child(i == 0 && !with_threads ? 20 : 2);
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
        kept_check();
    }
    if (with_threads)
        threads_join(threads);
    for (int i = 0; i < SLOTS; i++)
        check_and_free(&kept[i]);
}

/* A handler that allocates, as no program should: here it does no harm. */
static volatile sig_atomic_t signals;

static void on_signal(int signal)
{
    void *object = malloc(100);
    CHECK(object || signal == 0);
    free(object);
    signals++;
}

static void check_signals(void)
{
    const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    signal(SIGALRM, on_signal);
    setitimer(ITIMER_REAL, &often, NULL);
    while (signals < SIGNALS)
        free(malloc(1000));
    setitimer(ITIMER_REAL, &never, NULL);
}

/* Says "ready" and waits for SIGHUP, which it holds back before. */
static int await_hangup(void)
{
    sigset_t set;
    CHECK(sigemptyset(&set) == 0 && sigaddset(&set, SIGHUP) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    puts("ready");
    fflush(stdout);
    return sigwaitinfo(&set, NULL) == SIGHUP ? 5 : 1;
}

/* Makes objects, says "ready" and stays until a line or the end of standard input. */
static void hold(void)
{
    int got;
    for (int i = 0; i < HELD; i++)
        CHECK(malloc(1000));
    setvbuf(stdin, NULL, _IONBF, 0); /* the image after exec reads on */
    puts("ready");
    fflush(stdout);
    do
        got = getchar();
    while (got != '\n' && got != EOF);
}

static void fill(void)
{
    static void *held[1 << 20];
    size_t count = 0;
    while (count < sizeof held / sizeof *held && (held[count] = malloc(3000)))
        count++;
    CHECK(errno == ENOMEM && count > 10 && count < sizeof held / sizeof *held);
    CHECK(!malloc(3000) && errno == ENOMEM && !calloc(3, 1000) && !realloc(held[0], 100000));
    for (size_t i = 0; i < count; i++)
        free(held[i]);
    CHECK(malloc(3000));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "calls"))
        check_sizes(), check_alignments(), check_refusals();
    else if (!strcmp(what, "threads"))
        check_threads();
    else if (!strcmp(what, "fork") || !strcmp(what, "clone") || !strcmp(what, "vfork_exec"))
        check_forks(what, argc > 2);
    else if (!strcmp(what, "signals"))
        check_signals();
    else if (!strcmp(what, "hold"))
        hold();
    else if (!strcmp(what, "hangup"))
        return await_hangup();
    else if (!strcmp(what, "fill"))
        fill();
    else if (!strcmp(what, "exec"))
        hold(), execl("/proc/self/exe", "allocate", "hold", (char *)NULL);
    else if (!strcmp(what, "twice"))
        free(argv[0] = malloc(10)), free(argv[0]);
    else
        return 1;
    return 0;
}
