/* Heaps of a socket: which one the caller runs on, by a description made for the test and by this
 * machine's; their names, where their memory lies.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/os/topology.h"
#include "tests/support/test.h"

enum { CPUS = 8, PATH_LEN = 400 };

static void make_folder(const char *folder, const char *name)
{
    char path[PATH_LEN];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_EQ(mkdir(path, 0700), 0);
}

static void make_cpu(const char *folder, unsigned cpu, const char *package, unsigned node)
{
    char name[40], path[PATH_LEN];
    snprintf(name, sizeof name, "cpu%u", cpu);
    make_folder(folder, name);
    snprintf(name, sizeof name, "cpu%u/topology", cpu);
    make_folder(folder, name);
    snprintf(name, sizeof name, "cpu%u/node%u", cpu, node);
    make_folder(folder, name);
    snprintf(path, sizeof path, "%s/cpu%u/topology/physical_package_id", folder, cpu);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(package, file) >= 0 && fclose(file) == 0);
}

/* Two sockets of four processors, each of two nodes; processor 9 has no number that could be read,
 * 10 has -1. */
static void make_machine(const char *folder)
{
    CHECK_EQ(mkdir(folder, 0700), 0);
    for (unsigned cpu = 0; cpu < CPUS; cpu++)
        make_cpu(folder, cpu, cpu < CPUS / 2 ? "0\n" : "36\n", cpu / 2);
    make_cpu(folder, 9, "no number\n", 0);
    make_cpu(folder, 10, "-1\n", 0);
}

static void remove_machine(const char *folder)
{
    char command[PATH_LEN];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQ(system(command), 0);
}

struct case_of_cpus {
    unsigned long cpus; /* as bits */
    int socket;         /* or -1 */
    int error;
    unsigned long nodes;
};

static void of_processors(void)
{
    static const struct case_of_cpus cases[] = {
        {0x1, 0, 0, 0x1},        {0xf, 0, 0, 0x3},     {0x80, 36, 0, 0x8},      {0xf0, 36, 0, 0xc},
        {0x18, -1, EXDEV, 0},    {0xff, -1, EXDEV, 0}, {0x100, -1, ENOTSUP, 0}, {0, -1, ENOTSUP, 0},
        {0x200, -1, ENOTSUP, 0}, {0x201, 0, 0, 0x1},   {0x400, 0, 0, 0x1}};
    const char *folder = test_path();
    make_machine(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned long cpus[TOPOLOGY_CPUS / TOPOLOGY_LONG_BITS] = {cases[i].cpus};
        struct topology scope;
        errno = 0;
        int result = topology_of_cpus(&scope, folder, cpus);
        CHECK_EQ(errno, cases[i].error);
        CHECK_EQ(result, cases[i].error != 0 ? -1 : 0);
        if (result == 0) {
            CHECK_EQ(scope.socket, cases[i].socket);
            CHECK_EQ(scope.nodes[0], cases[i].nodes);
        }
    }
    remove_machine(folder);
}

/* The program may have closed its standard input: the description then has descriptor 0. */
static void without_standard_input(void)
{
    const char *folder = test_path();
    unsigned long cpus[TOPOLOGY_CPUS / TOPOLOGY_LONG_BITS] = {0xf0};
    struct topology scope;
    make_machine(folder);
    int kept = dup(STDIN_FILENO);
    CHECK(kept > STDIN_FILENO && close(STDIN_FILENO) == 0);
    int result = topology_of_cpus(&scope, folder, cpus);
    CHECK(fcntl(STDIN_FILENO, F_GETFD) == -1); /* closed again */
    CHECK_EQ(dup2(kept, STDIN_FILENO), STDIN_FILENO);
    close(kept);
    CHECK_EQ(result, 0);
    CHECK_EQ(scope.socket, 36);
    remove_machine(folder);
}

static void names_of_sockets(void)
{
    char name[20];
    CHECK_EQ(topology_name(name, sizeof name, "/heap", 12), 0);
    CHECK_EQ(strcmp(name, "/heap.socket12"), 0);
    CHECK_EQ(topology_name(name, 15, "/heap", 12), 0);
    CHECK_REFUSED(topology_name(name, 14, "/heap", 12) == -1, ENAMETOOLONG);
}

/* The starter of the test may narrow the scheduler's mask; the description of the machine is the
 * kernel's. */
static int machine_tells(void)
{
    if (shmheap_socket() >= 0)
        return 1;
    printf("  not tested here: %s\n", strerror(errno));
    CHECK(errno == EXDEV || errno == ENOTSUP);
    return 0;
}

static void a_heap_has_the_name_of_its_socket(void)
{
    const char *name = test_name();
    const shmheap_options options = {.len = 1 << 20,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | SHMHEAP_SOCKET};
    const shmheap_options connect = {.flags = SHMHEAP_SOCKET};
    shmheap_memory_handle mem, other;
    char suffix[40];
    if (!machine_tells())
        return;
    snprintf(suffix, sizeof suffix, ".socket%d", shmheap_socket());
    const char *full = test_name_with(name, suffix);
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), ENOENT);
    CHECK_EQ(shmheap_open(&other, name, &connect), 0);
    CHECK_EQ(test_stat(other).id, test_stat(mem).id);
    shmheap_disconnect(other);
    other = shmheap_connect(full);
    CHECK_EQ(test_stat(other).id, test_stat(mem).id);
    shmheap_destroy(full, other);
    CHECK_EQ(shmheap_open(&other, name, &options), 0);
    shmheap_destroy(name, other);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(full)), ENOENT);
    shmheap_disconnect(mem);
}

/* The nodes of the processors we may run on; 0: unknown. */
static unsigned long own_nodes(void)
{
    struct topology scope;
    return topology_of_caller(&scope) == 0 ? scope.nodes[0] : 0;
}

static void memory_lies_on_the_sockets_nodes(void)
{
    enum { LEN = 4 << 20 };
    const char *name = test_name();
    const shmheap_options options = {
        .len = LEN, .max_len = 2 * LEN, .flags = SHMHEAP_CREATE | SHMHEAP_SOCKET};
    shmheap_memory_handle mem;
    char suffix[40];
    if (!machine_tells() || own_nodes() == 0)
        return;
    snprintf(suffix, sizeof suffix, ".socket%d", shmheap_socket());
    test_name_with(name, suffix);
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    char *ptr = shmheap_alloc(mem, LEN + LEN / 2); /* some of it where the heap grew */
    CHECK(ptr != NULL);
    for (size_t at = 0; at < LEN + LEN / 2; at += 4096) {
        void *page = (void *)((uintptr_t)(ptr + at) & ~(uintptr_t)4095);
        int status = -1;
        ptr[at] = 1;
        if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) != 0 &&
            (errno == ENOSYS || errno == EPERM)) {
            printf("  not tested here: move_pages: %s\n", strerror(errno));
            break;
        }
        CHECK(status >= 0 && (own_nodes() >> status & 1));
    }
    shmheap_destroy(name, mem);
}

static const struct test tests[] = {TEST(of_processors), TEST(without_standard_input),
                                    TEST(names_of_sockets), TEST(a_heap_has_the_name_of_its_socket),
                                    TEST(memory_lies_on_the_sockets_nodes)};
TEST_MAIN(tests)
