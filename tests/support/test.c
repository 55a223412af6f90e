/* The program, its guard, names, random numbers, processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAMES_MAX = 1024, NAME_LEN = 200 };

/* struct registry is shared by the guard and all its descendants: what to remove at the end. */
struct registry {
    unsigned count;
    struct {
        int is_path;
        char text[NAME_LEN];
    } names[NAMES_MAX];
};

static struct registry *registry;
static uint64_t seed;
static volatile sig_atomic_t crashes_tolerated;
static volatile pid_t guarded;

void test_fail(const char *file, int line, const char *format, ...)
{
    int error = errno;
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fflush(stdout);
    /* One write, so that lines of several processes do not mix. */
    dprintf(STDERR_FILENO, "%s:%d: %s; errno %d (%s), process %d\n", file, line, text, error,
            strerror(error), (int)getpid());
    _exit(1);
}

void test_check_refused(const char *file, int line, const char *text, int failed, int error)
{
    int found = errno;
    if (!failed)
        test_fail(file, line, "%s is false: the call succeeded", text);
    if (found != error)
        test_fail(file, line, "%s: errno is %d (%s), expected %d (%s)", text, found,
                  strerror(found), error, strerror(error));
}

/* Names. */

static char *registry_add(int is_path)
{
    unsigned index = __atomic_fetch_add(&registry->count, 1, __ATOMIC_RELAXED);
    CHECK(index < NAMES_MAX);
    registry->names[index].is_path = is_path;
    return registry->names[index].text;
}

static uint64_t entropy(void)
{
    uint64_t bits = 0;
    CHECK(getrandom(&bits, sizeof bits, 0) == sizeof bits);
    return bits;
}

const char *test_name(void)
{
    char *name = registry_add(0);
    snprintf(name, NAME_LEN, "/shmheap-test-%016llx", (unsigned long long)entropy());
    return name;
}

const char *test_name_with(const char *name, const char *suffix)
{
    char *longer = registry_add(0);
    CHECK(snprintf(longer, NAME_LEN, "%s%s", name, suffix) < NAME_LEN);
    return longer;
}

const char *test_path(void)
{
    const char *folder = getenv("TEST_TMPDIR");
    char *path = registry_add(1);
    int len = snprintf(path, NAME_LEN, "%s/shmheap-test-%016llx", folder ? folder : "/tmp",
                       (unsigned long long)entropy());
    CHECK(len < NAME_LEN);
    return path;
}

const char *test_shm_path(const char *name)
{
    static char path[NAME_LEN + 16];
    snprintf(path, sizeof path, "/dev/shm%s", name);
    return path;
}

int test_shm_has(unsigned mib)
{
    struct statfs status;
    if (statfs("/dev/shm", &status) != 0 || status.f_blocks == 0) /* 0: no limit */
        return 1;
    uint64_t there = (uint64_t)status.f_bavail * (uint64_t)status.f_bsize >> 20;
    if (there >= mib)
        return 1;
    printf("  skipped: /dev/shm has %u MiB free, %u are needed (docker run --shm-size=4g)\n",
           (unsigned)there, mib);
    return 0;
}

static void registry_remove_all(void)
{
    for (unsigned i = 0; i < registry->count && i < NAMES_MAX; i++) {
        const char *text = registry->names[i].text;
        if (registry->names[i].is_path)
            remove(text);
        else if (shm_unlink(text) != 0)
            remove(test_shm_path(text)); /* a folder that a test put there */
    }
}

/* Random numbers: splitmix64. */

struct test_random test_random_begin(uint64_t stream)
{
    struct test_random random = {seed ^ (stream * UINT64_C(0xd1342543de82ef95))};
    test_random_next(&random);
    return random;
}

uint64_t test_random_next(struct test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t test_random_below(struct test_random *random, uint64_t limit)
{
    return test_random_next(random) % limit;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(undefined_behavior_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED /* .bazelrc and tools/mutate set it where all is as slow */
#define SANITIZED 0
#endif

size_t test_rounds(size_t plain) { return SANITIZED ? (plain + 9) / 10 : plain; }

size_t test_quarter(size_t all) { return test_rounds(getenv("SHMHEAP_TEST_ALL") ? all : all / 4); }

/* Processes. */

void test_tolerate_crashes(int tolerate) { crashes_tolerated = tolerate; }

/* Only SIGKILL and an exit with 0 are ends that tests plan. Otherwise end at once: others may wait
 * for the child. */
static void child_ended(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    int crashed = info->si_code == CLD_DUMPED ||
                  (info->si_code == CLD_KILLED && info->si_status != SIGKILL) ||
                  (info->si_code == CLD_EXITED && info->si_status != 0);
    if (!crashed || crashes_tolerated)
        return;
    char text[] = "a child process failed: status or signal 000\n";
    for (unsigned i = 0, value = (unsigned)info->si_status; i < 3; i++, value /= 10)
        text[sizeof text - 3 - i] = (char)('0' + value % 10);
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    _exit(1);
}

static void watch_children(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = child_ended;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NOCLDSTOP;
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
}

pid_t test_fork(void (*run)(void *context), void *context)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0)
        return pid;
    crashes_tolerated = 0;
    run(context);
    fflush(NULL);
    _exit(0);
}

char test_state(pid_t pid)
{
    char path[40], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fgets(line, sizeof line, file) != NULL);
    CHECK(fclose(file) == 0);
    char *name_end = strrchr(line, ')');
    CHECK(name_end != NULL && name_end[1] == ' ');
    return name_end[2];
}

int test_wait(pid_t pid)
{
    int status = 0;
    pid_t waited;
    do
        waited = waitpid(pid, &status, 0);
    while (waited < 0 && errno == EINTR);
    CHECK_EQ(waited, pid);
    return status;
}

void test_join(pid_t pid)
{
    int status = test_wait(pid);
    CHECK(!WIFSIGNALED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

void test_kill(pid_t pid)
{
    CHECK(kill(pid, SIGKILL) == 0);
    int status = test_wait(pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}

void test_in_child(void (*run)(void *context), void *context)
{
    test_join(test_fork(run, context));
}

void test_drop_rights(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    CHECK_EQ(syscall(SYS_capget, &header, data), 0);
    memset(data, 0, sizeof data);
    CHECK_EQ(syscall(SYS_capset, &header, data), 0);
}

void test_threads(unsigned count, void *(*run)(void *context), void *context)
{
    pthread_t threads[64];
    CHECK_LE(count, 64);
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, run, context), 0);
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

void *test_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

void test_unshare(void *memory, size_t bytes) { CHECK(munmap(memory, bytes) == 0); }

void test_barrier_begin(struct test_barrier *barrier, unsigned parties)
{
    pthread_barrierattr_t attributes;
    CHECK_EQ(pthread_barrierattr_init(&attributes), 0);
    CHECK_EQ(pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
    CHECK_EQ(pthread_barrier_init(&barrier->barrier, &attributes, parties), 0);
    pthread_barrierattr_destroy(&attributes);
}

void test_barrier_wait(struct test_barrier *barrier)
{
    int result = pthread_barrier_wait(&barrier->barrier);
    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
}

void test_barrier_end(struct test_barrier *barrier)
{
    CHECK_EQ(pthread_barrier_destroy(&barrier->barrier), 0);
}

/* The guard. */

static void seed_choose(void)
{
    const char *text = getenv("SHMHEAP_TEST_SEED");
    seed = text && *text ? strtoull(text, NULL, 0) : entropy();
    printf("SHMHEAP_TEST_SEED=%#llx\n", (unsigned long long)seed);
}

/* A mistyped filter would run nothing, and the program would pass. */
static void filter_failed(const struct test *tests, size_t count, const char *filter)
{
    fflush(stdout);
    fprintf(stderr, "no test of this program has '%s' in its name; the names are:", filter);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%s %s", i ? "," : "", tests[i].name);
    fputc('\n', stderr);
    exit(1);
}

static void run_all(const struct test *tests, size_t count, const char *filter)
{
    size_t ran = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    watch_children();
    for (size_t i = 0; i < count; i++) {
        if (filter && !strstr(tests[i].name, filter))
            continue;
        printf("%s\n", tests[i].name);
        fflush(stdout);
        tests[i].run();
        ran++;
    }
    if (ran == 0 && filter)
        filter_failed(tests, count, filter);
    CHECK(ran > 0);
    exit(0);
}

/* A time limit or Ctrl-C: end the tests, so that the guard's wait returns and it cleans up. */
static void guard_stop(int signal)
{
    (void)signal;
    if (guarded > 0)
        kill(-guarded, SIGKILL);
}

static int guard_report(int status)
{
    if (WIFSIGNALED(status))
        fprintf(stderr, "the test was ended by signal %d (%s)\n", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    int failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("%s\n", failed ? "FAILED" : "passed");
    return failed;
}

int test_main(const struct test *tests, size_t count, int argc, char **argv)
{
    registry = test_shared(sizeof *registry);
    seed_choose();
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setpgid(0, 0);
        run_all(tests, count, argc > 1 ? argv[1] : NULL);
    }
    setpgid(pid, pid);
    guarded = pid;
    signal(SIGTERM, guard_stop);
    signal(SIGINT, guard_stop);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    kill(-pid, SIGKILL);
    registry_remove_all();
    return guard_report(status);
}
