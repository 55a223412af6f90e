/* error.h: what this thread's last failed call notes for shmheap_error_text.
 *
 * A failed call notes numbers and two short names, and makes no text: a program may poll a full
 * heap. errors/error_text.c makes the text when the program requests it. A function of a lower
 * layer that knows more than errno tells calls error_cause. The public call then calls error_note,
 * which takes the cause if errno still is the cause's. A success stores nothing.
 *
 * The state is static memory of the thread, without malloc: initial-exec, so a library that is
 * loaded by dlopen() takes it from what the C library reserves for that. Keep it small.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_ERROR_H
#define SHMHEAP_ERROR_H

#include <stdint.h>

#include "platform.h"

/* Why a call failed, where the call and its errno do not tell. errors/error_rows.c has the
 * texts. */
enum cause {
    CAUSE_NONE,
    /* any call */
    CAUSE_NOT_OPEN,
    CAUSE_READ_ONLY,
    CAUSE_LOCK_HELD,     /* slot of the owner, ms */
    CAUSE_SLOTS_TAKEN,   /* slots */
    CAUSE_SLOTS_MEMORY,  /* slots that the table has now */
    CAUSE_READ_CHANGES,  /* a read-only connection */
    CAUSE_ARGUMENT_NULL, /* enum argument */
    CAUSE_NO_PROC,
    CAUSE_CLOSED, /* the descriptors, and the name's file may not be opened */
    /* memory for a file; the second of each: of a heap that should grow for so many bytes */
    CAUSE_MEMORY_LEFT,  /* bytes needed, bytes that machine and control groups have left */
    CAUSE_DISK_LEFT,    /* bytes needed, bytes that the file system has left */
    CAUSE_FILE_LIMIT,   /* bytes of the file, RLIMIT_FSIZE */
    CAUSE_GROW_MEMORY,  /* bytes, bytes left */
    CAUSE_GROW_DISK,    /* bytes, bytes left */
    CAUSE_GROW_LIMIT,   /* bytes, RLIMIT_FSIZE */
    CAUSE_GROW_REFUSED, /* bytes, errno of the growth */
    /* opening */
    CAUSE_FLAGS_UNKNOWN, /* the unknown bits */
    CAUSE_FLAGS_OF_CREATE,
    CAUSE_FLAGS_READ_ONLY,
    CAUSE_FLAGS_ANONYMOUS,
    CAUSE_FLAGS_NOT_HERE, /* the bits that this call refuses */
    CAUSE_LEN,            /* len, the least */
    CAUSE_MAX_LEN,        /* max_len, len */
    CAUSE_LEN_MOST,       /* max_len, the most */
    CAUSE_ALIGNMENT,      /* alignment */
    CAUSE_MODE,           /* mode */
    CAUSE_NAME_MISSING,
    CAUSE_NAME_LONG,    /* the most bytes */
    CAUSE_NAME_KEPT,    /* SHMHEAP_TAKE_OVER found the heap in use */
    CAUSE_MEMORY,       /* address, bytes */
    CAUSE_MEMORY_FEW,   /* bytes */
    CAUSE_MEMORY_SHORT, /* bytes needed, bytes of the memory */
    CAUSE_MAP,          /* bytes */
    CAUSE_SEALED,       /* shmheap_create_sealed made it */
    CAUSE_CAN_BE_CUT,   /* a memfd without F_SEAL_SHRINK */
    CAUSE_SEAL_MISSING,
    CAUSE_SEAL_LATE,
    CAUSE_NO_TOPOLOGY,
    /* allocating and freeing */
    CAUSE_NO_SPACE,         /* bytes, bytes of the region */
    CAUSE_TOO_LARGE,        /* bytes, bytes of the largest object */
    CAUSE_OVERFLOW,         /* count, size */
    CAUSE_NO_SPACE_TIME,    /* bytes, ms */
    CAUSE_OBJECT_ALIGNMENT, /* alignment */
    CAUSE_MEMORY_ALIGNMENT, /* alignment, address */
    CAUSE_POINTER_NULL,
    CAUSE_NO_OBJECT,     /* address */
    CAUSE_NAMED,         /* address */
    CAUSE_NO_USE,        /* address */
    CAUSE_NOT_ALL_FREED, /* entries refused, entries */
    /* handles and names */
    CAUSE_HANDLE_NULL,
    CAUSE_HANDLE_FOREIGN,
    CAUSE_UNSHARED,   /* address */
    CAUSE_NO_ROOM,    /* words */
    CAUSE_REAP_FLAGS, /* the unknown bits */
    CAUSE_NAME_EMPTY,
    CAUSE_NAME_UNKNOWN,
    CAUSE_NAME_SHORTER, /* bytes */
    CAUSES
};

/* Arguments that may not be NULL, or 0. errors/error_rows.c has their names. */
enum argument {
    ARGUMENT_OUT,
    ARGUMENT_PTRS,
    ARGUMENT_VISIT,
    ARGUMENT_STATS,
    ARGUMENT_PATH,
    ARGUMENT_WORDS,
    ARGUMENT_COUNT,
    ARGUMENT_BUFFER,
    ARGUMENTS
};

/* The public calls. ERROR_CALLS: how many there are. errors/error_rows.c has their names. */
enum error_call {
    CALL_NONE,
    CALL_CREATE,
    CALL_CONNECT,
    CALL_OPEN,
    CALL_CREATE_SEALED,
    CALL_OPEN_FD,
    CALL_CREATE_AT,
    CALL_ATTACH_AT,
    CALL_SOCKET,
    CALL_DISCONNECT,
    CALL_DESTROY,
    CALL_UNLINK,
    CALL_UNLINK_UNUSED,
    CALL_IN_USE,
    CALL_FD,
    CALL_FD_WRITABLE,
    CALL_UNDERLYING,
    CALL_ALLOC,
    CALL_ALLOC_WAIT,
    CALL_ALLOC_MANY,
    CALL_CALLOC,
    CALL_ALIGNED_ALLOC,
    CALL_REALLOC,
    CALL_FREE,
    CALL_FREE_MANY,
    CALL_USABLE_SIZE,
    CALL_PTR_TO_HANDLE,
    CALL_HANDLE_TO_PTR,
    CALL_SEND,
    CALL_RECEIVE,
    CALL_SEND_LABELLED,
    CALL_RECEIVE_LABELLED,
    CALL_PUT_BACK,
    CALL_PEEK,
    CALL_REAP,
    CALL_ALLOC_NAMED,
    CALL_ALLOC_KEPT,
    CALL_NAME_KEEP,
    CALL_NAME_REMOVE,
    CALL_FIND,
    CALL_NAMES,
    CALL_WALK,
    CALL_STAT,
    CALL_PROCESSES,
    CALL_CHECK,
    CALL_COPY,
    ERROR_CALLS
};

enum {
    ERROR_NAME = 40,  /* bytes of a noted name, with its NUL */
    ERROR_TEXT = 400, /* bytes of the text, with its NUL; //tests/unit/errors:sentences_test */
    ERROR_NUMBERS = 2
};

/* struct error_record is private to the thread: its last failed call. Any bytes are a valid record:
 * a signal handler may read it between two stores. */
struct error_record {
    uint16_t call; /* enum error_call; 0: no call has failed */
    uint16_t cause;
    int32_t error; /* errno */
    uint64_t numbers[ERROR_NUMBERS];
    char heap[ERROR_NAME];   /* its name, as error_name makes it; empty: none */
    char object[ERROR_NAME]; /* the name or path that the call was given besides */
};

/* struct error_state is private to the thread. error is 0 where no cause waits for error_note.
 * While muted is 1, a call within another call leaves its cause to that one, and notes nothing. */
struct error_state {
    struct error_record record;
    int32_t error;
    uint16_t cause, muted;
    uint64_t numbers[ERROR_NUMBERS];
    char text[ERROR_TEXT];
};
extern __thread struct error_state error_state PER_THREAD __attribute__((visibility("hidden")));

/* error_forget drops a cause that an earlier call left, which went on to succeed. */
static inline void error_forget(void) { error_state.error = 0; }

/* error_cause sets errno and its cause, for error_note. Returns -1. */
int error_cause(int error, enum cause cause, uint64_t first, uint64_t second);

/* error_note notes that this call failed with errno, on a heap of this name (ERROR_NAME bytes).
 * error_note_cause does as error_cause before it. Both return -1. */
int error_note(unsigned call, const char *heap);
int error_note_cause(unsigned call, const char *heap, int error, enum cause cause, uint64_t first,
                     uint64_t second);

/* error_note_object adds another name to the note. */
void error_note_object(const char *name);

/* error_name copies a name, or of one that is too long the end, behind "...". NULL: an empty
 * name. */
void error_name(char *to, const char *name);

#endif
