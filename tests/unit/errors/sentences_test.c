/* The sentences of shmheap_error_text: each is whole, printable, and on the page for errors.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/errors/error_rows.h"
#include "tests/support/test.h"

enum { PAGE_ROOM = 1 << 18, TEXT_ROOM = 4 * ERROR_TEXT };

/* A call of one of the kinds; ERROR_CALLS: there is none. */
static unsigned call_of(unsigned kinds)
{
    static const struct {
        unsigned kind;
        enum error_call longest; /* the one with the longest name */
    } calls[] = {{KIND_HANDLE, CALL_RECEIVE_LABELLED}, {KIND_OPEN, CALL_CREATE_SEALED},
                 {KIND_FILE, CALL_FD_WRITABLE},        {KIND_USE, CALL_PTR_TO_HANDLE},
                 {KIND_REMOVE, CALL_UNLINK_UNUSED},    {KIND_SOCKET, CALL_SOCKET}};
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        if (kinds & calls[i].kind)
            return calls[i].longest;
    return ERROR_CALLS;
}

static const char long_name[] = "/a name that is longer than the longest that fits in a note";

/* Notes a failure on a heap of that name, with a long name of an object and these numbers. */
static const char *text_of(const struct error_row *row, const char *name, uint64_t first,
                           uint64_t second)
{
    char heap[ERROR_NAME];
    error_name(heap, name);
    if (row->cause != CAUSE_NONE)
        error_cause(row->error, row->cause, first, second);
    errno = row->error;
    error_note(call_of(row->kinds), heap);
    error_note_object(long_name);
    return shmheap_error_text();
}

static const char *text_of_mark(char mark)
{
    static const char *const texts[][2] = {{"x", "0xN"},  {"t", "ARGUMENT"}, {"e", "ERRNO"},
                                           {"n", "NAME"}, {"a", "VALUE"},    {"u", "N"}};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i][0][0] == mark)
            return texts[i][1];
    test_fail(__FILE__, __LINE__, "no mark: %c", mark);
    return "";
}

/* Replaces the marks of a row by texts for the page. */
static void expand(char *to, const char *from)
{
    for (; *from != 0; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        from++;
        to = stpcpy(to, text_of_mark(*from));
    }
    *to = 0;
}

static void each_row_is_on_the_page(void)
{
    static char page[PAGE_ROOM];
    FILE *file = fopen("docs/troubleshooting.md", "r");
    CHECK(file != NULL);
    size_t len = fread(page, 1, sizeof page - 1, file), lacking = 0, count = 0;
    CHECK(len != 0 && len < sizeof page - 1);
    fclose(file);
    for (const struct error_row *row; (row = error_row_at((unsigned)count)) != NULL; count++) {
        char what[TEXT_ROOM], next[TEXT_ROOM], line[3 * TEXT_ROOM];
        expand(what, row->what);
        expand(next, row->next);
        snprintf(line, sizeof line, "| %s | `%s` | %s |\n", what, error_errno_name(row->error),
                 next);
        if (strstr(page, line) == NULL) {
            fputs(line, stdout);
            lacking++;
        }
    }
    CHECK_LE(60, count);
    CHECK_EQ(lacking, 0);
    const char *table = strstr(page, "| the text says | errno |");
    CHECK(table != NULL);
    for (const char *at = table; (at = strchr(at, '\n')) != NULL && at[1] == '|'; at++)
        lacking++;
    CHECK_EQ(lacking, count + 1); /* the line below the titles, and no row that the core lacks */
}

static void each_row_is_whole_with_the_longest_names(void)
{
    /* The last one is the longest that a command of a text may have. */
    static const char *const names[] = {long_name, "/tmp/a.path.that.just.fits.in/the.note"};
    const struct error_row *row;
    size_t longest = 0;
    for (unsigned i = 0; (row = error_row_at(i)) != NULL; i++) {
        int has_argument = strstr(row->what, "%t") != NULL;
        uint64_t number = has_argument ? ARGUMENT_BUFFER : UINT64_MAX;
        for (unsigned name = 0; name < sizeof names / sizeof *names; name++) {
            const char *text = text_of(row, names[name], number, UINT64_MAX),
                       *mark = strrchr(row->next, '%'), *end = mark ? mark + 2 : row->next;
            size_t len = strlen(text), end_len = strlen(end);
            CHECK(len > end_len && strcmp(text + len - end_len, end) == 0);
            CHECK(strstr(text, error_errno_name(row->error)) != NULL);
            CHECK(strstr(text, ", \"...") != NULL && strchr(text, '%') == NULL);
            longest = len > longest ? len : longest;
        }
    }
    printf("the longest text has %zu bytes\n", longest);
    CHECK_LE(longest, ERROR_TEXT - 1);
}

static void each_cause_has_a_row(void)
{
    for (unsigned cause = 1; cause < CAUSES; cause++) {
        const struct error_record note = {.call = CALL_OPEN, .cause = (uint16_t)cause};
        const struct error_row *row = error_row_of(&note);
        CHECK(row != NULL && row->cause == cause);
    }
    for (unsigned call = CALL_NONE + 1; call < ERROR_CALLS; call++)
        CHECK(strncmp(error_call_name(call), "shmheap_", 8) == 0);
    for (unsigned argument = 0; argument < ARGUMENTS; argument++)
        CHECK(error_argument_name(argument)[0] != 0);
}

static void an_errno_without_a_row_is_a_number(void)
{
    errno = 71;
    error_note(CALL_STAT, "/a\0......................................");
    CHECK(strcmp(shmheap_error_text(), "shmheap_stat(\"/a\"): the system refused it (errno 71)") ==
          0);
}

/* A command in a text has the heap's name where a shell takes it as it is. */
static void a_command_has_the_heaps_name(void)
{
    static const struct {
        const char *name, *command;
    } names[] = {
        {"/orders", "'shmheap check /orders'"},
        {"/tmp/orders.heap", "'shmheap check --file /tmp/orders.heap'"},
        {"./orders", "'shmheap check --file ./orders'"},
        {"/tmp/a.path.that.just.fits.in/the.note",
         "'shmheap check --file /tmp/a.path.that.just.fits.in/the.note'"},
        {"orders", "'shmheap check NAME'"}, /* of shm_open(), a path, or none at all */
        {"", "'shmheap check NAME'"},
        {"/", "'shmheap check NAME'"},
        {"/it's", "'shmheap check NAME'"},
        {"/two words", "'shmheap check NAME'"},
        {"-f/x", "'shmheap check NAME'"},
        {".../x", "'shmheap check NAME'"},
        {long_name, "'shmheap check NAME'"},
    };
    const struct error_row *row;
    for (unsigned i = 0; (row = error_row_at(i)) != NULL; i++)
        if (row->error == EBADMSG && (row->kinds & KIND_OPEN))
            break;
    CHECK(row != NULL);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(text_of(row, names[i].name, 0, 0), names[i].command) == NULL)
            test_fail(__FILE__, __LINE__, "%s: %s", names[i].name, shmheap_error_text());
}

/* A cause that a lower layer left while its call succeeded is not that of a later failure. */
static void a_cause_counts_for_its_errno_alone(void)
{
    static const char none[ERROR_NAME];
    error_cause(EINVAL, CAUSE_MODE, 077777, 0);
    errno = EBADMSG;
    error_note(CALL_STAT, none);
    CHECK(strstr(shmheap_error_text(), "damaged") != NULL);
    error_cause(EINVAL, CAUSE_MODE, 077777, 0);
    error_forget();
    errno = EINVAL;
    error_note(CALL_OPEN, none);
    CHECK(strstr(shmheap_error_text(), "shm_open() refuses the name") != NULL);
}

/* A signal handler may read a note that the thread is about to store. */
static void any_note_makes_a_bounded_printable_text(void)
{
    struct test_random random = test_random_begin(1);
    for (size_t round = 0; round < test_rounds(100000); round++) {
        unsigned char bytes[sizeof(struct error_record)];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)test_random_next(&random);
        memcpy(&error_state.record, bytes, sizeof bytes);
        if (round % 2 == 0) { /* numbers that mean something */
            error_state.record.call = (uint16_t)test_random_below(&random, ERROR_CALLS + 1);
            error_state.record.cause = (uint16_t)test_random_below(&random, CAUSES + 1);
        }
        const char *text = shmheap_error_text();
        size_t len = strnlen(text, ERROR_TEXT);
        CHECK_LE(len, ERROR_TEXT - 1);
        for (size_t i = 0; i < len; i++)
            CHECK(text[i] >= ' ' && text[i] <= '~');
    }
}

static const struct test tests[] = {TEST(each_row_is_on_the_page),
                                    TEST(each_row_is_whole_with_the_longest_names),
                                    TEST(a_command_has_the_heaps_name),
                                    TEST(each_cause_has_a_row),
                                    TEST(an_errno_without_a_row_is_a_number),
                                    TEST(a_cause_counts_for_its_errno_alone),
                                    TEST(any_note_makes_a_bounded_printable_text)};
TEST_MAIN(tests)
