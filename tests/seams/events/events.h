/* events.h: what happens to the subject of a row. Each event is a function of the director.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SEAMS_EVENTS_EVENTS_H
#define TESTS_SEAMS_EVENTS_EVENTS_H

#include "tests/seams/seams.h"

/* The name of a process that runs `seams_test --asleep`. */
#define ASLEEP "seams-asleep"

/* Runs the row's event, after opening. */
void event_run(void);
/* Before participant index opens; the event decides whether that concerns it. */
void event_prelude(unsigned index);

/* hooks.c: what happens before the n-th store from now on to the shared memory of this thread's
 * calls. */
void hook_set(uint64_t stores, void (*run)(void));
void hook_clear(void);
/* Calls that store, of all kinds, until the hook has run. */
long act_until_hook(uint64_t unused);

/* forks.c */
void fork_opening_begin(void);
void fork_opening_end(void);
void event_fork_child(void), event_fork_opening(void), event_fork_busy(void), event_raw_clone(void);
void event_spawn(void);
/* A program that execs this one: exits with 1 where it finds a descriptor of the file that text
 * names. */
int spawned_main(const char *text);
/* The subject forks a child that has given up rights before: it works, or its first change is
 * refused. */
void fork_with_less(void);

/* endings.c */
void event_exec(void), event_return(void), event_exit(void), event_underscore_exit(void);
void event_quick_exit(void), event_abort(void), event_kill_store(void), event_kill_random(void);
void event_kill_parent(void), event_maker_dies(void), event_exit_busy(void);
void event_kill_all(void), event_kill_next(void);

/* stops.c */
void event_stop(void);
/* The beginning of a file of /proc/PID, blanks for NULs; empty where there is none. */
void proc_read(pid_t pid, const char *file, char *text, size_t room);

/* descriptors.c */
void event_closefrom(void), event_stdout(void), event_setuid(void), event_chroot(void),
    event_nofile(void);
void event_fd_lent(void);
long act_close_standard(uint64_t unused);

/* limits.c */
void event_fsize(void), event_as(void), event_full(void), event_timer(void), event_reader(void);
void event_memory_limit(void);
long act_timer_start(uint64_t unused);

/* copies.c */
void event_copy(void);

/* kept.c */
void event_unkept(void);

/* threads.c */
void event_cancel(void), event_main_gone(void), event_dlclose(void), event_renamed(void);

#endif
