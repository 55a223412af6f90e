/* program.h: runs another program with a library in it, and waits for its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PROGRAM_H
#define SHMHEAP_TOOL_PROGRAM_H

#include <signal.h>

struct program {
    char **words;                 /* its command line; ends with NULL */
    const char *library;          /* is put before others in LD_PRELOAD */
    const char *variable, *value; /* an environment variable for the library */
    /* private: what the caller of this process set for signals; the program gets it */
    sigset_t blocked;
    void (*on_child)(int);
};

/* program_hold_signals blocks all signals of this process, to its end. So no signal ends it between
 * making what the program needs and removing that. Call it before. */
void program_hold_signals(struct program *program);

/* program_run starts the program and waits for its end. Signals that other processes send to this
 * process are passed on to the program; those of the terminal reach it anyway. If the terminal
 * stops the program, this process stops, too. Returns 0, with *status as shells report it: the exit
 * status, or 128 plus the signal. Or returns STATUS_FAILED after printing why it did not run. */
int program_run(struct program *program, int *status);

#endif
