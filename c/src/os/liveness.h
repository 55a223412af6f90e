/* liveness.h: locks on a file that end when this process ends, whatever happens to descriptors.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An open-file-description lock lasts as long as its description. A descriptor keeps a description
 * badly: a child made by fork() gets a copy, and a program may close it (closefrom(3)) or pass it
 * on. So a mapping of one page keeps the description, and its descriptor is closed at once. Nothing
 * accesses the page. The kernel removes the mapping when the process ends or calls exec.
 *
 * On overlayfs (and perhaps FUSE) a mapping refers to the file below and does not keep the
 * description. There the descriptor stays open, and slots are held by pid (slot.c). A program that
 * closes it loses "in use" and the claims of its children. Its process still counts as alive.
 *
 *   LIVENESS_PROCESS  not copied into children (MADV_DONTFORK): the locks end with this process
 *   LIVENESS_FAMILY   copied into children: the locks end with this process and all its children */
#ifndef SHMHEAP_LIVENESS_H
#define SHMHEAP_LIVENESS_H

#include <stddef.h>
#include <sys/types.h>

#include "../base/prefix.h"

/* struct liveness is a description and what keeps it. page NULL: none. */
struct liveness {
    void *page;
    size_t len;
    int fd;            /* a descriptor of the description, for setting locks; -1: closed */
    int is_inherited;  /* 1: a child made by fork() has the page, too; of LIVENESS_PROCESS */
    int mapping_fails; /* 1: the file system needs an open descriptor to keep the description */
    int kept;          /* that descriptor plus 1, once settled; 0: none */
    dev_t device;      /* the file of kept, in case the program closes it */
    ino_t inode;
};

#define LIVENESS_NONE                                                                              \
    {                                                                                              \
        NULL, 0, -1, 0, 0, 0, 0, 0                                                                 \
    }

/* struct liveness_file names a file. name (or NULL) serves where there is no /proc. */
struct liveness_file {
    int fd;
    const char *name;
    int is_path, read_only;
};

enum liveness_kind { LIVENESS_PROCESS, LIVENESS_FAMILY };

/* liveness_open makes a description of the file and the mapping that keeps it: 0, or -1 with errno.
 * liveness_settle closes the descriptor; the locks stay. liveness_drop ends this process's hold on
 * the description: the locks end with the last hold. */
int liveness_open(struct liveness *liveness, const struct liveness_file *file,
                  enum liveness_kind kind);
void liveness_settle(struct liveness *liveness);
void liveness_drop(struct liveness *liveness);

/* liveness_forked, in a child, closes the descriptor and forgets a mapping of kind
 * LIVENESS_PROCESS. in_handler: pthread_atfork() runs it, so the program cannot have closed the
 * parent's descriptors yet. */
void liveness_forked(struct liveness *liveness, enum liveness_kind kind, int in_handler);

/* Around fork(), which waits while a thread opens, settles or drops a description, but at most
 * 100 ms. That thread waits for fork(), but at most 10 ms. */
void liveness_fork_prepare(void);
void liveness_fork_parent(void);
void liveness_fork_child(void);

#endif
