/* Which function is which event.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/events/events.h"

static void event_nothing(void)
{
    ask(stage->subject, act_churn, 50);
    ask(stage->witness, act_churn, 50);
}

static void (*const events[EVENTS])(void) = {
    [EVENT_NOTHING] = event_nothing,
    [EVENT_FORK_CHILD] = event_fork_child,
    [EVENT_FORK_OPENING] = event_fork_opening,
    [EVENT_FORK_BUSY] = event_fork_busy,
    [EVENT_RAW_CLONE] = event_raw_clone,
    [EVENT_SPAWN] = event_spawn,
    [EVENT_EXEC] = event_exec,
    [EVENT_RETURN] = event_return,
    [EVENT_EXIT] = event_exit,
    [EVENT_UNDERSCORE_EXIT] = event_underscore_exit,
    [EVENT_QUICK_EXIT] = event_quick_exit,
    [EVENT_ABORT] = event_abort,
    [EVENT_KILL_STORE] = event_kill_store,
    [EVENT_KILL_RANDOM] = event_kill_random,
    [EVENT_KILL_PARENT] = event_kill_parent,
    [EVENT_MAKER_DIES] = event_maker_dies,
    [EVENT_STOP] = event_stop,
    [EVENT_CANCEL] = event_cancel,
    [EVENT_CLOSEFROM] = event_closefrom,
    [EVENT_STDOUT] = event_stdout,
    [EVENT_SETUID] = event_setuid,
    [EVENT_CHROOT] = event_chroot,
    [EVENT_NOFILE] = event_nofile,
    [EVENT_FSIZE] = event_fsize,
    [EVENT_AS] = event_as,
    [EVENT_FULL] = event_full,
    [EVENT_TIMER] = event_timer,
    [EVENT_READER] = event_reader,
    [EVENT_MAIN_GONE] = event_main_gone,
    [EVENT_DLCLOSE] = event_dlclose,
    [EVENT_RENAMED] = event_renamed,
    [EVENT_EXIT_BUSY] = event_exit_busy,
    [EVENT_KILL_ALL] = event_kill_all,
    [EVENT_FD_LENT] = event_fd_lent,
    [EVENT_MEMORY_LIMIT] = event_memory_limit,
    [EVENT_COPY] = event_copy,
    [EVENT_UNKEPT] = event_unkept,
    [EVENT_KILL_NEXT] = event_kill_next,
};

void event_run(void) { events[row_value(EVENT)](); }

void event_prelude(unsigned index)
{
    int opens_for_subject = index == stage->subject || index == stage->maker;
    if (opens_for_subject && row_is(EVENT, EVENT_STDOUT))
        ask(index, act_close_standard, 0);
    if (opens_for_subject && row_is(EVENT, EVENT_TIMER))
        ask(index, act_timer_start, 0);
    stage->fork_while_opening = row_is(EVENT, EVENT_FORK_OPENING);
}
