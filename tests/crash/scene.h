/* scene.h: a small heap, a call that a child makes in it, and the child's death after each instruction of that call in turn.
 * SPDX-License-Identifier: Apache-2.0
 *
 * After each death a survivor looks: the heap is sound, the bytes of all other objects are as they were, the blocks are as before the
 * call, as after it, or as after one of the stages that the call promises to be made of, nothing between; the same again
 * when what the dead held has been reaped; and the heap goes on. What is right is not written down but taken from children that ran
 * undisturbed to such a stage and were killed there.
 *
 *   block     0     1      2     3      4     5     6     7      8     9      10
 *         [ USED ][ free ][ USED ][ free ][ USED ][ USED ][ USED ][ free ][ USED ][ free ][ USED ][ tail
 *
 * So that freeing 5 merges with nothing, 0 and 6 behind, 4 before, 2 both, 10 before and with the tail. */
#ifndef TESTS_CRASH_SCENE_H
#define TESTS_CRASH_SCENE_H

#include "tests/crash/stepper.h"
#include "tests/support/test.h"

enum {
    SCENE_OBJECTS = 11,
    SCENE_OBJECT_LEN = 200,
    SCENE_LEN = 16384,
    SCENE_MAX_LEN = 65536,
    SCENE_STAGES_MAX = 24,
    SCENE_PTRS = 136
};
enum { SCENE_MEMORY = 16384 };

/* struct scene is shared by the survivor and the child. */
struct scene {
    struct stepper stepper;
    const struct scene_call *call;
    shmheap_memory_handle mem; /* of the survivor; the child has it by fork */
    shmheap_memory_handle own; /* of the child, where it connects by itself */
    const char *name;          /* of the heap, where it has one */
    void *memory;              /* that it lies in, likewise: SCENE_MEMORY bytes */
    char *objects[SCENE_OBJECTS];
    unsigned stage; /* how far the child goes: call->stages is all of it */
    shmheap_object_handle handle;
    unsigned count; /* what build, prepare and operate want to tell each other */
    void *ptrs[SCENE_PTRS];
    int recoveries; /* how many deaths were inside the lock */
};

/* struct scene_call: what is stepped through. Zero is the default. */
struct scene_call {
    const char *text;
    void (*build)(
        struct scene *scene); /* what there is besides the eleven objects, made by the survivor */
    void (*prepare)(
        struct scene *
            scene); /* what the child does first; default: an alloc and a free of 2000 bytes, for slot and page faults */
    void (*operate)(struct scene *scene); /* with scene->stage less than stages: only as far */
    void (*check)(
        struct scene *scene,
        unsigned stage); /* what else holds after a death that left what the stage leaves */
    void (*afterwards)(
        struct scene *scene,
        unsigned stage); /* the same when what the dead held has been reaped; may change the heap */
    unsigned touched;    /* bits: objects that operate frees or resizes */
    unsigned stages;     /* 0: one */
    size_t len;          /* of the heap; 0: SCENE_LEN, growing to SCENE_MAX_LEN */
    int named_heap;      /* scene->name is to be connected to */
    int in_memory; /* the heap lies in scene->memory: with few slots, and the living are told from the dead by pid */
    int loose; /* what the dead hold is only looked at when it has been reaped */
    int table_moves; /* the table of names, which is derived, may lie elsewhere after a death: it is only counted */
    int in_thread;    /* a thread of the child's makes the call and ends */
    int bins;         /* free blocks are in rows and tree, also where they are few */
    int without_lock; /* the call takes none: no recovery is expected */
};

/* Steps through each of these calls, and prints a line for each: instructions, deaths, what they left. Every instruction is died
 * at where a call has few; of longer ones every n-th, from one that depends on the seed; with SHMHEAP_STEP_ALL=1 in the environment
 * every one of all (another number n: every n-th). */
void scene_sweep(const struct scene_call *calls, unsigned count);

/* The same, and once more with rows 1. */
void scene_sweep_both(const struct scene_call *calls, unsigned count);

/* For build, in a heap of len SCENE_FEW_HEAP: as many free blocks before the tail as the list has room for; or one more, and then so few, by allocs of
 * SCENE_FEW_LEN, that with one less they go back into the list. ptrs[count] is an object of that length between two that are not free. */
enum { SCENE_FEW_LEN = 300, SCENE_FEW_HEAP = 65536 };
void scene_build_full_list(struct scene *scene);
void scene_build_few_in_rows(struct scene *scene);

/* For operate: how far to go. */
int scene_whole(const struct scene *scene);

#endif
