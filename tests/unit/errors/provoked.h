/* provoked.h: calls that fail, and the text that shmheap_error_text then has.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_ERRORS_PROVOKED_H
#define TESTS_UNIT_ERRORS_PROVOKED_H

#include "c/src/api/call.h"
#include "c/src/errors/error_rows.h"
#include "tests/support/test.h"

enum { LEN = 65536 };

/* Causes that a failure had: 1; -1: this system does not let the test provoke it. */
extern int provoked[CAUSES];

/* The expression says that the call failed; the text is this one, printed, and then the errno. */
#define FAILS(failed, error, ...)                                                                  \
    (errno = 0, provoked_check(__FILE__, __LINE__, (failed), (error), __VA_ARGS__))
void provoked_check(const char *file, int line, int failed, int error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* A heap of LEN bytes without a name; texts call it "a". */
shmheap_memory_handle provoked_heap(void);

void opening_anew(void);
void lacking_memory(void);
void allocating(void);
void freeing(void);
void giving_handles(void);
void handing_over(void);
void naming(void);
void inspecting(void);

#endif
