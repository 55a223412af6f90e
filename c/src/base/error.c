/* error.c: notes why a call failed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <errno.h>
#include <string.h>

__thread struct error_state error_state;

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

COLD void error_note(unsigned call, const char *heap)
{
    struct error_state *state = &error_state;
    struct error_record *record = &state->record;
    if (state->muted)
        return;
    record->call = (uint16_t)call;
    record->error = errno;
    record->cause = state->error == errno ? state->cause : CAUSE_NONE;
    memcpy(record->numbers, state->numbers, sizeof record->numbers);
    memcpy(record->heap, heap, ERROR_NAME);
    record->object[0] = 0;
    state->error = 0;
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
