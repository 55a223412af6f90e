/* error_text.c: shmheap_error_text makes a sentence from the note of a failed call.
 *
 * No lock, no allocation, no function of the C library that may do so: the call may be made in a
 * signal handler. Each call makes the text anew.
 * SPDX-License-Identifier: Apache-2.0 */
#include "error_rows.h"

#include <string.h>

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

static void put_errno_name(struct line *line, int error)
{
    const char *name = error_errno_name(error);
    put_text(line, name != NULL ? name : "errno ");
    if (name == NULL)
        put_number(line, (uint64_t)error, 10);
}

/* The length of a name that is whole in the note, and that a shell takes as it is; else 0. */
static size_t plain_len(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789/._-+:@,";
    size_t len = 0;
    while (len < ERROR_NAME && name[len] != 0 && memchr(plain, name[len], sizeof plain - 1))
        len++;
    int is_whole = len < ERROR_NAME - 1 && name[len] == 0 && memcmp(name, "...", 3) != 0;
    return is_whole && name[0] != '-' ? len : 0;
}

/* Puts what a command of the tool takes for the heap: its name, or its path. NAME: the note does
 * not have it, or does not tell a name from a path. */
static void put_operand(struct line *line, const char *name)
{
    size_t len = plain_len(name);
    int is_path = len != 0 && memchr(name + 1, '/', len - 1) != NULL;
    if (is_path)
        put_text(line, "--file ");
    put_text(line, is_path || (len > 1 && name[0] == '/') ? name : "NAME");
}

/* Puts a text of a row, with the numbers of the note from *next on. */
static void put_row(struct line *line, const char *text, const struct error_record *note,
                    const uint64_t **next)
{
    for (; *text != 0; text++) {
        if (*text != '%') {
            put_char(line, *text);
            continue;
        }
        text++;
        if (*text == 'n')
            put_operand(line, note->heap);
        else if (*text == 'a')
            put_text(line, error_argument_valid(note->numbers[0]));
        else if (*text == 't')
            put_text(line, error_argument_name(*(*next)++));
        else if (*text == 'e')
            put_errno_name(line, (int)*(*next)++);
        else
            put_number(line, *(*next)++, *text == 'x' ? 16 : 10);
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
    put_text(line, " (");
    put_errno_name(line, error);
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
        put_row(&line, row != NULL ? row->what : "the system refused it", &note, &next);
        put_errno(&line, note.error);
        if (row != NULL)
            put_text(&line, "; ");
        if (row != NULL)
            put_row(&line, row->next, &note, &next);
    }
    *line.at = 0;
    return error_state.text;
}
