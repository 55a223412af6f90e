/* scene.h: a small heap, a call that a child makes in it, and the child's death after each
 * instruction of that call in turn.
 * SPDX-License-Identifier: Apache-2.0
 *
 * After each death a survivor checks that the heap is sound, that the bytes of all other objects
 * are unchanged, and that the blocks are as before the call, as after it, or as after one of the
 * stages that the call promises. It compares them again after reaping, and goes on in the heap. The
 * expected blocks are not written down: they come from children that ran undisturbed to such a
 * stage and were killed there.
 *
 *   block 0     1      2     3      4     5     6     7      8     9      10
 *     [ USED ][ free ][ USED ][ free ][ USED ][ USED ][ USED ][ free ][ USED ][ free ][ USED ][ top
 *
 * Freeing 5 merges with nothing, 0 and 6 with the block behind, 4 with the block before, 2 with
 * both, 10 with the block before and the top block. */
#ifndef TESTS_CRASH_SCENE_H
#define TESTS_CRASH_SCENE_H

#include "tests/crash/scene/stepper.h"
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
            /* what the child does first; default: an alloc and a free of 2000 bytes, for slot
             * and page faults */
            scene);
    void (*operate)(struct scene *scene); /* with scene->stage less than stages: only as far */
    void (*check)(
        struct scene *scene,
        unsigned stage); /* what else holds after a death that left what the stage leaves */
    void (*afterwards)(struct scene *scene,
                       unsigned stage); /* the same after reaping; may change the heap */
    unsigned touched;                   /* bits: objects that operate frees or resizes */
    unsigned stages;                    /* 0: one */
    size_t len;                         /* of the heap; 0: SCENE_LEN, growing to SCENE_MAX_LEN */
    int named_heap;                     /* scene->name is to be connected to */
    /* the heap lies in scene->memory: it has few slots, and a process is alive if its pid is */
    int in_memory;
    int loose; /* the blocks of dead processes are compared only after reaping */
    /* the table of names, which is derived, may lie elsewhere after a death: it is only counted */
    int table_moves;
    int in_thread;    /* a thread of the child's makes the call and ends */
    int bins;         /* free blocks are in size bins and tree, also where they are few */
    int without_lock; /* the call takes none: no recovery is expected */
};

/* Steps through each of the calls, and prints a line for each: instructions, deaths, what they
 * left. A child dies at every instruction of a short call, and at every n-th of a longer one, from
 * one that depends on the seed. SHMHEAP_STEP_ALL=n in the environment: at every n-th instruction of
 * each call. */
void scene_sweep(const struct scene_call *calls, unsigned count);

/* The same, and once more with bins 1. */
void scene_sweep_both(const struct scene_call *calls, unsigned count);

/* For build, in a heap of len SCENE_LIST_HEAP: as many free blocks before the top block as the free
 * list has room for; or one more, and then so few, by allocs of SCENE_LIST_LEN, that with one less
 * they move back into the list. ptrs[count] is an object of that length between two that are not
 * free. */
enum { SCENE_LIST_LEN = 300, SCENE_LIST_HEAP = 65536 };
void scene_build_full_list(struct scene *scene);
void scene_build_last_in_bins(struct scene *scene);

/* For operate: how far to go. */
int scene_whole(const struct scene *scene);

#endif
