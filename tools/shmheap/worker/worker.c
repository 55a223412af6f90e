/* worker.c: one process of a replay: replays the trace on the heap and verifies each object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "tools/shmheap/worker/clock.h"
#include "tools/shmheap/worker/pattern.h"
#include "tools/shmheap/worker/plan.h"
#include "tools/shmheap/command_line/say.h"

struct object {
    unsigned char *memory; /* NULL: not alive */
    uint64_t size, seed;
};

struct worker {
    const struct plan *plan;
    struct worker_board *board;
    unsigned index;
    shmheap_memory_handle mem;
    struct object *objects; /* by the slots of the current stream */
    uint64_t born, until_timed, clock_ns;
    int doomed; /* this worker is to be killed */
};

__attribute__((format(printf, 2, 3))) static int worker_fail(struct worker *worker,
                                                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(worker->board->message, MESSAGE_ROOM, format, arguments);
    va_end(arguments);
    __atomic_store_n(&worker->board->state, WORKER_FAILED, __ATOMIC_RELEASE);
    return -1;
}

/* Measures the cost of reading the clock, which timer_stop subtracts. */
static void clock_calibrate(struct worker *worker)
{
    worker->clock_ns = UINT64_MAX;
    for (int i = 0; i < 64; i++) {
        uint64_t first = now_ns(), cost = now_ns() - first;
        worker->clock_ns = cost < worker->clock_ns ? cost : worker->clock_ns;
    }
}

/* Returns 0 if this call is not timed. */
static uint64_t timer_start(struct worker *worker)
{
    if (--worker->until_timed)
        return 0;
    worker->until_timed = worker->plan->stride;
    return now_ns();
}

static void timer_stop(struct worker *worker, enum timed_kind kind, uint64_t started)
{
    if (!started)
        return;
    uint64_t took = now_ns() - started;
    histogram_add(&worker->board->times[kind],
                  took > worker->clock_ns ? took - worker->clock_ns : 0);
}

static int alloc_failed(struct worker *worker, uint64_t size)
{
    if (errno == ENOMEM)
        return worker_fail(worker, "no room for an object of %s; give a larger --len or --max-len",
                           size_text(size));
    return worker_fail(worker, "%s", shmheap_error_text());
}

static int contents_wrong(struct worker *worker, const struct object *object, size_t at)
{
    return worker_fail(
        worker, "byte %zu of an object of %s at offset %zu differs from what its owner wrote", at,
        size_text(object->size),
        (size_t)(object->memory - (unsigned char *)shmheap_underlying(worker->mem)));
}

static int object_check(struct worker *worker, const struct object *object, uint64_t len)
{
    size_t at = pattern_check(object->memory, len, object->seed);
    worker->board->checked_bytes += len;
    return at < len ? contents_wrong(worker, object, at) : 0;
}

/* Stops this process. The parent then single-steps it. */
static void await_end(struct worker *worker)
{
    worker->doomed = 0;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
        raise(SIGSTOP);
}

static void *object_alloc(struct worker *worker, const struct trace_event *event)
{
    shmheap_memory_handle mem = worker->mem;
    if (event->op == TRACE_CALLOC)
        return shmheap_calloc(mem, 1, event->size);
    if (event->op != TRACE_ALIGNED || event->alignment <= worker->plan->alignment)
        return shmheap_alloc(mem, event->size);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return shmheap_aligned_alloc(mem, event->alignment < page ? event->alignment : page,
                                 event->size);
}

static int object_make(struct worker *worker, struct object *object,
                       const struct trace_event *event)
{
    if (worker->doomed && worker->board->calls >= worker->plan->calls_each * 2 / 5)
        await_end(worker);
    uint64_t started = timer_start(worker);
    object->memory = object_alloc(worker, event);
    timer_stop(worker, TIMED_ALLOC, started);
    if (!object->memory)
        return alloc_failed(worker, event->size);
    object->size = event->size;
    object->seed =
        ((uint64_t)worker->index + 1) << 48 ^ ++worker->born * UINT64_C(0xd1342543de82ef95);
    if (event->op == TRACE_CALLOC) {
        size_t at = pattern_zero(object->memory, object->size);
        if (at < object->size)
            return worker_fail(worker, "byte %zu of an object from calloc is not zero", at);
    }
    pattern_fill(object->memory, 0, object->size, object->seed);
    worker->board->objects++;
    worker->board->bytes += event->size;
    return 0;
}

static int object_resize(struct worker *worker, struct object *object,
                         const struct trace_event *event)
{
    uint64_t kept = object->size < event->size ? object->size : event->size;
    if (object_check(worker, object, object->size))
        return -1;
    uint64_t started = timer_start(worker);
    unsigned char *moved = shmheap_realloc(worker->mem, object->memory, event->size);
    timer_stop(worker, TIMED_REALLOC, started);
    if (!moved)
        return alloc_failed(worker, event->size);
    object->memory = moved;
    object->size = event->size;
    if (object_check(worker, object, kept))
        return -1;
    pattern_fill(object->memory, kept, object->size, object->seed);
    worker->board->bytes += event->size;
    return 0;
}

/* Frees the objects that the previous process has passed to this one. */
static int finish_incoming(struct worker *worker)
{
    const char *wrong;
    if (handover_finish(&worker->board->incoming, worker->mem, &wrong) < 0)
        return worker_fail(worker, "%s", wrong);
    return 0;
}

/* hand_over passes an object to the next process, which frees it: 1. It returns 0 if this process
 * is to free it, -1 after an error. */
static int hand_over(struct worker *worker, struct object *object)
{
    const struct plan *plan = worker->plan;
    struct parcel parcel = {.size = object->size, .seed = object->seed};
    if (!plan->hand_over || (worker->board->frees + worker->board->handed) % plan->hand_over)
        return 0;
    parcel.handle = shmheap_ptr_to_handle(worker->mem, object->memory);
    if (!parcel.handle.bits)
        return worker_fail(worker, "the library refused a handle of a live object: %s",
                           shmheap_error_text());
    if (!handover_put(&plan->board[(worker->index + 1) % plan->processes].incoming, &parcel))
        return 0;
    object->memory = NULL;
    worker->board->handed++;
    return 1;
}

static int object_free(struct worker *worker, struct object *object)
{
    if (object_check(worker, object, object->size))
        return -1;
    int handed = hand_over(worker, object);
    if (handed)
        return handed < 0 ? -1 : 0;
    uint64_t started = timer_start(worker);
    int failed = shmheap_try_free(worker->mem, object->memory);
    timer_stop(worker, TIMED_FREE, started);
    if (failed)
        return worker_fail(worker, "the library refused to free a live object: %s",
                           shmheap_error_text());
    object->memory = NULL;
    worker->board->frees++;
    return 0;
}

static int play_event(struct worker *worker, const struct trace_event *event)
{
    struct object *object = &worker->objects[event->slot];
    int failed;
    if (worker->plan->hand_over && finish_incoming(worker))
        return -1;
    switch (event->op) {
        case TRACE_FREE:
            failed = object_free(worker, object);
            break;
        case TRACE_REALLOC:
            failed = object_resize(worker, object, event);
            break;
        default:
            failed = object_make(worker, object, event);
    }
    __atomic_store_n(&worker->board->calls, worker->board->calls + 1, __ATOMIC_RELAXED);
    return failed;
}

static int has_enough(const struct worker *worker)
{
    return worker->board->calls >= worker->plan->calls_each;
}

/* Frees the objects that the program did not free before it ended. These frees are timed, but do
 * not count as calls of the trace. */
static int free_rest(struct worker *worker, uint64_t slots)
{
    int leave = worker->plan->percent < 100 && has_enough(worker);
    for (uint64_t i = 0; i < slots; i++) {
        if (!worker->objects[i].memory)
            continue;
        if (leave)
            worker->board->left++;
        else if (object_free(worker, &worker->objects[i]))
            return -1;
    }
    return 0;
}

static int play_stream(struct worker *worker, const struct trace_stream *stream)
{
    struct trace_cursor cursor;
    struct trace_event event;
    int failed = 0, more = 1;
    worker->objects = calloc(stream->totals.slots + 1, sizeof *worker->objects);
    if (!worker->objects)
        return worker_fail(worker,
                           "not enough memory for a table of %s objects; use fewer --processes",
                           count_text(stream->totals.slots));
    trace_begin(&cursor, stream);
    while (!failed && !has_enough(worker) && (more = trace_next(&cursor, &event)) > 0)
        failed = play_event(worker, &event);
    if (more < 0)
        failed = worker_fail(worker, "the trace cannot be read: %s", cursor.fault);
    trace_end(&cursor);
    if (!failed)
        failed = free_rest(worker, stream->totals.slots);
    free(worker->objects);
    return failed;
}

/* Workers start with different streams, so that they do not all make the same calls at once. */
static int play(struct worker *worker)
{
    const struct trace *trace = &worker->plan->trace;
    for (uint64_t round = 0; round < worker->plan->repeat; round++)
        for (size_t i = 0; i < trace->stream_count && !has_enough(worker); i++)
            if (play_stream(worker, &trace->streams[(i + worker->index) % trace->stream_count]))
                return -1;
    return 0;
}

/* Connects before it drops the inherited connection, so the worker's mapping has another
 * address. */
static int worker_connect(struct worker *worker)
{
    shmheap_memory_handle inherited = worker->plan->mem;
    worker->mem = inherited;
    if (worker->plan->inherit)
        return 0;
    worker->mem = shmheap_connect(worker->plan->name);
    shmheap_disconnect(inherited);
    if (!shmheap_valid(worker->mem))
        return worker_fail(worker, "%s", shmheap_error_text());
    return 0;
}

static int find_self(const shmheap_process_info *process, void *context)
{
    if (process->self)
        ((struct worker *)context)->board->slot = process->slot;
    return process->self;
}

static int worker_begin(struct worker *worker)
{
    clock_calibrate(worker);
    if (worker_connect(worker))
        return -1;
    /* A child that inherited its connection takes a slot with its first change, so it makes one
     * now. */
    void *first = shmheap_alloc(worker->mem, 1);
    if (!first)
        return alloc_failed(worker, 1);
    shmheap_free(worker->mem, first);
    if (shmheap_processes(worker->mem, find_self, worker) < 0)
        return worker_fail(worker, "%s", shmheap_error_text());
    return 0;
}

int worker_run(const struct plan *plan, unsigned index, int ready_fd, int go_fd)
{
    struct worker worker = {.plan = plan,
                            .board = &plan->board[index],
                            .index = index,
                            .until_timed = 1 + index % plan->stride};
    char byte;
    worker.doomed = plan->kill_one && index == VICTIM;
    int failed = worker_begin(&worker);
    if (!failed)
        __atomic_store_n(&worker.board->state, WORKER_READY, __ATOMIC_RELEASE);
    close(ready_fd);
    while (!failed && read(go_fd, &byte, 1) < 0 && errno == EINTR)
        continue;
    if (!failed)
        failed = play(&worker);
    if (!failed)
        __atomic_store_n(&worker.board->state, WORKER_DONE, __ATOMIC_RELEASE);
    if (worker.mem.heap)
        shmheap_disconnect(worker.mem);
    return failed ? STATUS_FAILED : 0;
}
