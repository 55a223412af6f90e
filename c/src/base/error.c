/* error.c: notes in the thread why a call failed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <errno.h>
#include <string.h>

__thread struct error_state error_state PER_THREAD;

COLD int error_cause(int error, enum cause cause, uint64_t first, uint64_t second)
{
    struct error_state *state = &error_state;
    state->error = error;
    state->cause = (uint16_t)cause;
    state->numbers[0] = first;
    state->numbers[1] = second;
    errno = error;
    return -1;
}

/* The cause comes in registers: a load of words that were stored just before would wait. Not COLD:
 * a program may poll a full heap, and gcc copies the name by a slow instruction where it saves
 * bytes. */
NOINLINE int error_note_cause(unsigned call, const char *heap, int error, enum cause cause,
                              uint64_t first, uint64_t second)
{
    struct error_state *state = &error_state;
    struct error_record *record = &state->record;
    if (UNLIKELY(state->muted))
        return error_cause(error, cause, first, second);
    record->call = (uint16_t)call;
    record->cause = (uint16_t)cause;
    record->error = error;
    record->numbers[0] = first;
    record->numbers[1] = second;
    memcpy(record->heap, heap, ERROR_NAME);
    record->object[0] = 0;
    state->error = 0;
    errno = error;
    return -1;
}

COLD int error_note(unsigned call, const char *heap)
{
    const struct error_state *state = &error_state;
    int error = errno;
    return error_note_cause(call, heap, error, state->error == error ? state->cause : CAUSE_NONE,
                            state->numbers[0], state->numbers[1]);
}

COLD void error_note_object(const char *name)
{
    if (!error_state.muted)
        error_name(error_state.record.object, name);
}

void error_name(char *to, const char *name)
{
    static const char dots[] = {'.', '.', '.'};
    size_t len = name != NULL ? strlen(name) : 0;
    if (len < ERROR_NAME) {
        memset(to, 0, ERROR_NAME);
        memcpy(to, len != 0 ? name : "", len);
        return;
    }
    memcpy(to, dots, sizeof dots);
    memcpy(to + sizeof dots, name + len - (ERROR_NAME - 1 - sizeof dots), ERROR_NAME - sizeof dots);
}
