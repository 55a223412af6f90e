/* error_text.c: shmheap_error_text makes a sentence from the note of a failed call.
 *
 * No lock, no allocation, no function of the C library that may do so: the call may be made in a
 * signal handler. Each call makes the text anew.
 * SPDX-License-Identifier: Apache-2.0 */
#include "error_rows.h"

/* struct line is a text of bounded length in the making. */
struct line {
    char *at, *end; /* end: where the NUL has room at last */
};

static void put_char(struct line *line, char c)
{
    if (line->at < line->end)
        *line->at++ = c >= ' ' && c <= '~' ? c : '?';
}

static void put_text(struct line *line, const char *text)
{
    for (; *text != 0; text++)
        put_char(line, *text);
}

static void put_number(struct line *line, uint64_t number, unsigned base)
{
    char digits[24];
    unsigned count = 0;
    do
        digits[count++] = "0123456789abcdef"[number % base];
    while ((number /= base) != 0);
    if (base == 16)
        put_text(line, "0x");
    while (count != 0)
        put_char(line, digits[--count]);
}

/* Puts a text of a row, with the numbers from *next on. */
static void put_row(struct line *line, const char *text, const uint64_t **next)
{
    for (; *text != 0; text++) {
        if (*text != '%') {
            put_char(line, *text);
            continue;
        }
        text++;
        uint64_t number = *(*next)++;
        if (*text == 't')
            put_text(line, error_argument_name(number));
        else
            put_number(line, number, *text == 'x' ? 16 : 10);
    }
}

/* Puts one of a note's names, in quotes. It may lack a NUL. */
static void put_name(struct line *line, const char *name)
{
    put_char(line, '"');
    for (unsigned i = 0; i < ERROR_NAME - 1 && name[i] != 0; i++)
        put_char(line, name[i]);
    put_char(line, '"');
}

static void put_call(struct line *line, const struct error_record *note)
{
    put_text(line, error_call_name(note->call));
    if (note->heap[0] != 0 || note->object[0] != 0)
        put_char(line, '(');
    if (note->heap[0] != 0)
        put_name(line, note->heap);
    if (note->heap[0] != 0 && note->object[0] != 0)
        put_text(line, ", ");
    if (note->object[0] != 0)
        put_name(line, note->object);
    if (note->heap[0] != 0 || note->object[0] != 0)
        put_char(line, ')');
    put_text(line, ": ");
}

static void put_errno(struct line *line, int error)
{
    const char *name = error_errno_name(error);
    put_text(line, " (");
    put_text(line, name != NULL ? name : "errno ");
    if (name == NULL)
        put_number(line, (uint64_t)error, 10);
    put_char(line, ')');
}

/* [call]("heap", "object"): [what] ([errno]); [next] */
const char *shmheap_error_text(void)
{
    const struct error_record note = error_state.record;
    struct line line = {error_state.text, error_state.text + ERROR_TEXT - 1};
    const uint64_t *next = note.numbers;
    if (note.call != CALL_NONE) {
        const struct error_row *row = error_row_of(&note);
        put_call(&line, &note);
        put_row(&line, row != NULL ? row->what : "the system refused it", &next);
        put_errno(&line, note.error);
        if (row != NULL)
            put_text(&line, "; ");
        if (row != NULL)
            put_row(&line, row->next, &next);
    }
    *line.at = 0;
    return error_state.text;
}
