/* error_rows.h: what shmheap_error_text says: a row for each cause, or for an errno of some calls.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_ERROR_ROWS_H
#define SHMHEAP_ERROR_ROWS_H

#include "../base/error.h"
#include "shmheap.h"

/* Kinds of calls: in the calls of a kind, an errno without a cause means one thing. */
enum error_kind {
    KIND_OPEN = 1,
    KIND_REMOVE = 2,  /* removes a name */
    KIND_FILE = 4,    /* a descriptor or a copy of the heap's file */
    KIND_USE = 8,     /* any other call on a connection */
    KIND_HANDLE = 16, /* gets a handle, or gives one */
    KIND_SOCKET = 32,
    KIND_ANY = 63
};

/* struct error_row is a failure with this errno, of calls whose kind is in kinds.
 * what and next may have, for the numbers of the note in turn: %u decimal; %x in base 16; %e the
 * name of an errno; %t the name of an argument. Without a number: %n the heap, as a command of the
 * tool takes it; %a what to pass as the argument that the first number tells. */
struct error_row {
    enum cause cause;
    unsigned kinds;
    int error;
    const char *what; /* happened */
    const char *next; /* what to do */
};

/* error_row_of is the row of a note; NULL: there is none. The note may hold any bytes. */
const struct error_row *error_row_of(const struct error_record *note);

/* error_row_at is the row number i, 0 or more; NULL: there are fewer. */
const struct error_row *error_row_at(unsigned i);

/* error_argument_name is the name of an argument; "" for another number. */
const char *error_argument_name(uint64_t argument);

/* error_argument_valid says what to pass as an argument; "" for another number. */
const char *error_argument_valid(uint64_t argument);

/* error_call_name is the name of a call; "" for another number. */
const char *error_call_name(unsigned call);

/* error_errno_name is the name of an errno, such as "ENOENT"; NULL: an errno that no row has. */
const char *error_errno_name(int error);

#endif
