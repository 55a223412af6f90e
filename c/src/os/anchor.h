/* anchor.h: locks on a file that last as long as this process, whatever becomes of descriptors.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An open-file-description lock lasts as long as its description. Descriptors are a bad hold on
 * one: a child made by fork() gets copies of them all, a program may close them (closefrom(3)) or
 * pass them on. So the description is kept by a mapping of one page that nothing accesses, and its
 * descriptor is closed at once. The kernel removes the mapping when the process ends or calls exec.
 * On overlayfs (and FUSE, which may do the same) a mapping refers to the file below, and does not
 * keep the description. There the descriptor stays open, and slots are told by pid (slot.c): a
 * program that closes the descriptors loses "in use" and its children's claims, but not its life.
 *
 *   life:  not copied into children (MADV_DONTFORK): the locks are gone when this process is gone
 *   use:   copied into children: the locks are gone when this process and all children are gone */
#ifndef SHMHEAP_ANCHOR_H
#define SHMHEAP_ANCHOR_H

#include <stddef.h>
#include <sys/types.h>

/* struct anchor is private. page NULL: there is none. fd is a descriptor of the description, for
 * setting locks; -1: closed. */
struct anchor {
    void *page;
    size_t len;
    int fd;
    int mapping_fails; /* 1: on this file system the mapping does not keep the description, so its
                          descriptor must */
    int kept;          /* that descriptor, settled, plus 1; 0: none */
    dev_t device;      /* by which its file is known, should the program have closed it */
    ino_t inode;
};

#define ANCHOR_NONE                                                                                \
    {                                                                                              \
        NULL, 0, -1, 0, 0, 0, 0                                                                    \
    }

/* struct anchor_file is private: which file; name (may be NULL) serves where there is no /proc. */
struct anchor_file {
    int fd;
    const char *name;
    int is_path, read_only;
};

enum anchor_kind { ANCHOR_LIFE, ANCHOR_USE };

/* anchor_open makes a description of the file and the mapping that keeps it: 0, or -1 with errno.
 * anchor_settle closes the descriptor. anchor_drop ends the hold of this process, and with the last
 * hold the locks. */
int anchor_open(struct anchor *anchor, const struct anchor_file *file, enum anchor_kind kind);
void anchor_settle(struct anchor *anchor);
void anchor_drop(struct anchor *anchor);

/* anchor_forked, in a child: the descriptor is closed; of kind ANCHOR_LIFE the mapping is
 * forgotten. told: by a handler of pthread_atfork(), so that nothing else can have been mapped at
 * that place. */
void anchor_forked(struct anchor *anchor, enum anchor_kind kind, int told);

/* Around fork(): while a thread opens a description, fork() waits, a tenth of a second at most. */
void anchor_fork_prepare(void);
void anchor_fork_parent(void);
void anchor_fork_child(void);

#endif
