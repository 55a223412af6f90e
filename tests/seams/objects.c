/* What participants do with the heap: objects with contents, of which the stage keeps an account.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/cover/cover.h"
#include "tests/seams/seams.h"

#include <stdio.h>
#include <string.h>

enum { FILL_WHOLE = 8192, FILL_EDGE = 512, COMMON_LEN = 24, LEN_MOST = 3000, KEPT_ONE_OF = 6 };

static uint64_t random_state; /* of this participant */

static uint64_t random_below(uint64_t limit)
{
    if (random_state == 0)
        random_state = stage->seed ^ (self + 1) * UINT64_C(0xd1342543de82ef95);
    return cover_random(&random_state) % limit;
}

/* Contents: bytes that depend on mark and place, at the edges alone where there are many. */
static unsigned char byte_at(uint64_t i, uint64_t mark)
{
    return (unsigned char)(mark * 31 + i * 7 + i / 251);
}
static int is_filled(uint64_t i, uint64_t len)
{
    return len <= FILL_WHOLE || i < FILL_EDGE || i >= len - FILL_EDGE;
}

void fill_bytes(void *ptr, uint64_t len, uint64_t mark)
{
    unsigned char *bytes = ptr;
    for (uint64_t i = 0; i < len; i = is_filled(i + 1, len) ? i + 1 : len - FILL_EDGE)
        bytes[i] = byte_at(i, mark);
}

static int bytes_filled(const unsigned char *bytes, uint64_t len, uint64_t mark)
{
    for (uint64_t i = 0; i < len; i = is_filled(i + 1, len) ? i + 1 : len - FILL_EDGE)
        if (bytes[i] != byte_at(i, mark))
            return 0;
    return 1;
}

void *object_place(const struct object *object)
{
    return (unsigned char *)shmheap_underlying(mem) + object->offset;
}

void object_name(const struct object *object, char *name)
{
    if (object->kind == KIND_COMMON)
        strcpy(name, "common");
    else
        sprintf(name, "%s-%llu", object->kind == KIND_KEPT ? "kept" : "named",
                (unsigned long long)object->mark);
}

/* A thousand processes that want the lock at once may be far too many, as shmheap.h says. */
static int crowded(int error) { return error == ETIMEDOUT && row_is(PROCESSES, PROCESSES_1000); }

void object_check(const struct object *object, const char *whose)
{
    unsigned char *ptr = object_place(object);
    shmheap_object_handle handle = {object->handle};
    char name[OBJECT_NAME_MAX];
    uint64_t usable = object->kind == KIND_SENT ? object->len : shmheap_usable_size(mem, ptr);
    EXPECT(usable >= object->len,
           "%s object at %llu is expected to have %llu bytes; shmheap_usable_size says %llu (errno "
           "%d)",
           whose, (unsigned long long)object->offset, (unsigned long long)object->len,
           (unsigned long long)usable, errno);
    EXPECT(bytes_filled(ptr, object->len, object->mark),
           "%s object at %llu (%llu bytes) is expected to be as it "
           "was written; its contents have changed",
           whose, (unsigned long long)object->offset, (unsigned long long)object->len);
    if (object->kind == KIND_SHARED)
        EXPECT(shmheap_handle_to_ptr(mem, handle) == ptr,
               "%s object's handle is expected to be good (errno %d)", whose, errno);
    if (object->kind >= KIND_NAMED) {
        object_name(object, name);
        EXPECT(shmheap_find(mem, name, NULL) == ptr || crowded(errno),
               "the name %s of %s object is expected to lead to it (errno %d)", name, whose, errno);
    }
}

void check_sound(const char *when)
{
    shmheap_report report;
    memset(&report, 0, sizeof report);
    int result = shmheap_check(mem, &report);
    EXPECT(result == 0,
           "the heap is expected to be sound %s; shmheap_check returns %d, rule %u: %s (errno %d)",
           when, result, report.rule, report.text, result < 0 ? errno : 0);
}

uint64_t object_len(void)
{
    uint64_t most = stage->len / (stage->processes + 4) / 16;
    most = most < 8 ? 8 : most > LEN_MOST ? LEN_MOST : most;
    return 1 + random_below(most);
}

static struct object *object_slot(void)
{
    for (unsigned i = 0; i < OBJECTS_MAX; i++)
        if (me()->objects[i].state == OBJECT_NONE)
            return &me()->objects[i];
    return NULL;
}

void object_forget(struct object *object) { object->state = OBJECT_NONE; }

static int has_common(void)
{
    for (unsigned i = 0; i < OBJECTS_MAX; i++)
        if (me()->objects[i].state != OBJECT_NONE && me()->objects[i].kind == KIND_COMMON)
            return 1;
    return 0;
}

/* Errors that a change may have: the heap is full; or, after fork(), no descriptor of its own
 * was to be had. */
static int refusal_documented(int error)
{
    if (error == ENOMEM || crowded(error))
        return 1;
    if (me()->parent == NO_PEER || me()->has_slot)
        return 0;
    return (error == EAGAIN && stage->processes > 64) ||
           (row_is(EVENT, EVENT_SETUID) && error == EACCES) ||
           (row_is(EVENT, EVENT_CHROOT) && (error == ENOENT || error == EACCES)) ||
           (row_is(EVENT, EVENT_NOFILE) && error == EMFILE);
}

static void *object_allocate(struct object *object)
{
    char name[OBJECT_NAME_MAX];
    if (object->kind < KIND_NAMED)
        return shmheap_alloc(mem, object->len);
    object_name(object, name);
    if (object->kind == KIND_KEPT && object->mark % 2 == 0)
        return shmheap_alloc_kept(mem, name, object->len);
    void *ptr = shmheap_alloc_named(mem, name, object->len);
    while (ptr != NULL && object->kind == KIND_KEPT && shmheap_name_keep(mem, name) != 0)
        EXPECT(crowded(errno),
               "shmheap_name_keep of a name in use is expected to succeed (errno %d)", errno);
    return ptr;
}

/* The handle is taken, or the object sent. */
static void object_publish(struct object *object, void *ptr)
{
    shmheap_object_handle handle = {0};
    if (object->kind == KIND_SHARED)
        handle = shmheap_ptr_to_handle(mem, ptr);
    else if (object->kind == KIND_SENT)
        handle = shmheap_send(mem, ptr);
    EXPECT(handle.bits != 0 || (object->kind != KIND_SHARED && object->kind != KIND_SENT),
           "%s is expected to give a handle of an object just made (errno %d)",
           object->kind == KIND_SENT ? "shmheap_send" : "shmheap_ptr_to_handle", errno);
    object->handle = handle.bits;
}

struct object *object_make(enum kind kind, uint64_t len)
{
    struct object *object = object_slot();
    if (kind == KIND_COMMON && has_common())
        kind = KIND_PRIVATE;
    if (kind == KIND_KEPT && !row_is(NAMES, NAMES_KEPT))
        kind = KIND_PRIVATE;
    if (object == NULL)
        return NULL;
    object->kind = kind;
    object->len = kind == KIND_COMMON ? COMMON_LEN : len;
    object->mark = kind == KIND_COMMON ? 1 : (uint64_t)(self + 2) << 20 | ++me()->progress;
    object->handle = 0;
    object->passing = 0;
    object->offset = 0;
    object->state = OBJECT_DOUBTFUL;
    void *ptr = object_allocate(object);
    if (ptr == NULL) {
        int error = errno;
        EXPECT(refusal_documented(error),
               "an allocation of %llu bytes is expected to succeed, or to fail as "
               "shmheap.h says; errno is %d (%s)",
               (unsigned long long)len, error, strerror(error));
        __atomic_fetch_add(&stage->refusals, 1, __ATOMIC_RELAXED);
        object->state = OBJECT_NONE;
        errno = error;
        return NULL;
    }
    me()->has_slot = 1;
    object->offset = (uint64_t)((unsigned char *)ptr - (unsigned char *)shmheap_underlying(mem));
    fill_bytes(ptr, object->len, object->mark);
    object_publish(object, ptr);
    object->state = OBJECT_LIVES;
    return object;
}

long act_fill(uint64_t count)
{
    static const enum kind kinds[] = {KIND_PRIVATE, KIND_SHARED,  KIND_NAMED, KIND_KEPT,
                                      KIND_SENT,    KIND_PRIVATE, KIND_COMMON};
    long made = 0;
    for (uint64_t i = 0; i < count; i++)
        made += object_make(kinds[i % (sizeof kinds / sizeof *kinds)], object_len()) != NULL;
    return made;
}

/* 1, or 0 in a crowd: the object lives on. */
static int object_give_back(struct object *object)
{
    object->state = OBJECT_DOUBTFUL;
    int result = shmheap_try_free(mem, object_place(object));
    EXPECT(result == 0 || crowded(errno),
           "shmheap_try_free of an object of the caller's is expected to succeed (errno %d, %s)",
           errno, strerror(errno));
    if (result != 0)
        object->state = OBJECT_LIVES;
    return result == 0;
}

static void object_free(struct object *object)
{
    if (object_give_back(object))
        object->state = OBJECT_NONE;
}

/* A private object becomes longer or shorter. */
static void object_resize(struct object *object)
{
    uint64_t len = object_len(), least = len < object->len ? len : object->len;
    object->state = OBJECT_DOUBTFUL;
    unsigned char *ptr = shmheap_realloc(mem, object_place(object), len);
    if (ptr == NULL) {
        EXPECT(errno == ENOMEM || crowded(errno),
               "shmheap_realloc is expected to succeed or to fail with ENOMEM (errno %d)", errno);
    } else {
        EXPECT(bytes_filled(ptr, least, object->mark) || least > FILL_WHOLE,
               "shmheap_realloc is expected to keep the contents");
        object->offset = (uint64_t)(ptr - (unsigned char *)shmheap_underlying(mem));
        object->len = len;
        fill_bytes(ptr, len, object->mark);
    }
    object->state = OBJECT_LIVES;
}

/* The use is given back, the name stays, and is removed. In a crowd the removal may fail: then the
 * object stays doubtful, and the next call only removes the name. */
static void kept_remove(struct object *object)
{
    char name[OBJECT_NAME_MAX];
    object_name(object, name);
    if (object->state != OBJECT_DOUBTFUL && !object_give_back(object))
        return;
    EXPECT(shmheap_find(mem, name, NULL) == object_place(object) || crowded(errno),
           "a kept name is expected to stay when its last use is given back (errno %d)", errno);
    int result = shmheap_name_remove(mem, name);
    if (result < 0 && crowded(errno))
        return;
    EXPECT(result == 0,
           "shmheap_name_remove of a name without users is expected to return 0; it returns %d "
           "(errno %d)",
           result, errno);
    EXPECT(shmheap_find(mem, name, NULL) == NULL && (errno == ENOENT || crowded(errno)),
           "a name that was removed is expected not to be found; errno %d", errno);
    object->state = OBJECT_NONE;
}

/* A private object, one of some a kept one. */
static void object_make_any(void)
{
    int kept = random_below(KEPT_ONE_OF) == 0;
    struct object *object = object_make(kept ? KIND_KEPT : KIND_PRIVATE, object_len());
    if (object != NULL)
        object->passing = object->kind == KIND_KEPT;
}

long act_churn(uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds && !stage->rest; i++) {
        struct object *object = &me()->objects[random_below(OBJECTS_MAX)];
        me()->progress++;
        if (object->state == OBJECT_NONE) {
            object_make_any();
            continue;
        }
        object_check(object, "the caller's");
        if (object->passing)
            kept_remove(object);
        if (object->kind != KIND_PRIVATE)
            continue;
        if (random_below(2))
            object_free(object);
        else
            object_resize(object);
    }
    return 0;
}

long act_check(uint64_t unused)
{
    (void)unused;
    for (unsigned i = 0; i < OBJECTS_MAX; i++)
        if (me()->objects[i].state == OBJECT_LIVES)
            object_check(&me()->objects[i], "the caller's");
    return 0;
}

long act_check_parent(uint64_t unused)
{
    const struct peer *parent = &stage->peers[me()->parent];
    (void)unused;
    for (unsigned i = 0; i < OBJECTS_MAX; i++)
        if (me()->claims >> i & 1 && parent->objects[i].state == OBJECT_LIVES)
            object_check(&parent->objects[i], "the parent's");
    return 0;
}

long act_first_change(uint64_t unused)
{
    (void)unused;
    return object_make(KIND_PRIVATE, 1) != NULL ? 0 : errno;
}

long act_grow(uint64_t unused)
{
    uint64_t len = stage->len;
    (void)unused;
    void *ptr = shmheap_alloc(mem, len);
    if (ptr == NULL)
        return errno;
    fill_bytes(ptr, len, 3);
    EXPECT(shmheap_usable_size(mem, ptr) >= len && bytes_filled(ptr, len, 3),
           "the object for which the heap grew is expected to be %llu bytes long",
           (unsigned long long)len);
    EXPECT(shmheap_try_free(mem, ptr) == 0,
           "the object for which the heap grew is expected to be freed");
    return 0;
}
