/* convert.c: converts the recorder's files to a trace: addresses become object numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/record/convert.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/recorder/raw.h"

/* struct names maps the address of each live object to its slot: open addressing, linear
 * probing. */
struct name {
    uint64_t address; /* 0: never used */
    uint32_t slot;
    uint32_t gone; /* 1: removed; probes continue past it */
};

struct names {
    struct name *table;
    size_t room, used; /* used counts removed entries too */
};

static size_t names_at(const struct names *names, uint64_t address)
{
    size_t at = (size_t)((address >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (names->room - 1);
    while (names->table[at].address && names->table[at].address != address)
        at = (at + 1) & (names->room - 1);
    return at;
}

static struct name *names_find(const struct names *names, uint64_t address)
{
    if (!names->room)
        return NULL;
    struct name *name = &names->table[names_at(names, address)];
    return name->address && !name->gone ? name : NULL;
}

static int names_grow(struct names *names)
{
    struct names bigger = {NULL, names->room ? names->room * 2 : 1024, 0};
    bigger.table = calloc(bigger.room, sizeof *bigger.table);
    if (!bigger.table)
        return -1;
    for (size_t i = 0; i < names->room; i++)
        if (names->table[i].address && !names->table[i].gone) {
            bigger.table[names_at(&bigger, names->table[i].address)] = names->table[i];
            bigger.used++;
        }
    free(names->table);
    *names = bigger;
    return 0;
}

static int names_put(struct names *names, uint64_t address, uint32_t slot)
{
    if (names->used * 2 >= names->room && names_grow(names))
        return -1;
    struct name *name = &names->table[names_at(names, address)];
    names->used += name->address == 0;
    *name = (struct name){address, slot, 0};
    return 0;
}

/* Unknown addresses belong to objects made before the recorder was loaded, or in the parent before
 * fork(). Their frees are dropped, and their reallocs become new objects. */

static int drop(struct trace_writer *writer)
{
    writer->totals.dropped++;
    return 0;
}

static int convert_free_event(struct trace_writer *writer, struct names *names, uint32_t thread,
                              uint64_t address)
{
    struct name *name = names_find(names, address);
    if (!name)
        return drop(writer);
    name->gone = 1;
    return trace_write_free(writer, thread, name->slot);
}

static int convert_new(struct trace_writer *writer, struct names *names,
                       const struct raw_event *event, enum trace_op op, uint64_t address)
{
    uint32_t slot;
    /* The address is reused, so a call that the recorder does not know freed the object before. */
    if (names_find(names, address) && convert_free_event(writer, names, event->thread, address))
        return -1;
    uint64_t alignment = UINT64_C(1) << (event->op_align >> 8 & 63);
    if (trace_write_new(writer, event->thread, op, event->size, alignment, &slot))
        return -1;
    return names_put(names, address, slot);
}

static int convert_realloc(struct trace_writer *writer, struct names *names,
                           const struct raw_event *event)
{
    struct name *name = names_find(names, event->address);
    if (!name)
        return drop(writer) || convert_new(writer, names, event, TRACE_MALLOC, event->moved);
    uint32_t slot = name->slot;
    name->gone = 1;
    if (names_find(names, event->moved) &&
        convert_free_event(writer, names, event->thread, event->moved))
        return -1;
    return trace_write_realloc(writer, event->thread, slot, event->size) ||
                   names_put(names, event->moved, slot)
               ? -1
               : 0;
}

static int convert_event(struct trace_writer *writer, struct names *names,
                         const struct raw_event *event)
{
    switch (event->op_align & 0xff) {
        case RAW_MALLOC:
            return convert_new(writer, names, event, TRACE_MALLOC, event->address);
        case RAW_CALLOC:
            return convert_new(writer, names, event, TRACE_CALLOC, event->address);
        case RAW_ALIGNED:
            return convert_new(writer, names, event, TRACE_ALIGNED, event->address);
        case RAW_REALLOC:
            return convert_realloc(writer, names, event);
        case RAW_FREE:
            return convert_free_event(writer, names, event->thread, event->address);
        default:
            errno = EBADMSG;
            return -1;
    }
}

static int convert_events(struct trace_writer *writer, const unsigned char *raw, size_t len)
{
    struct names names = {0};
    const struct raw_event *event = (const void *)(raw + RAW_HEADER);
    size_t most = (len - RAW_HEADER) / sizeof *event;
    int failed = 0;
    /* A process that is still running may add events; it stores op_align last. */
    for (size_t i = 0; !failed && i < most && __atomic_load_n(&event[i].op_align, __ATOMIC_ACQUIRE);
         i++)
        failed = convert_event(writer, &names, &event[i]);
    free(names.table);
    return failed ? -1 : 0;
}

struct raw_file {
    const unsigned char *bytes;
    size_t len;
};

static int raw_open(int folder, const char *name, struct raw_file *file)
{
    struct stat status;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    int failed = fstat(fd, &status);
    file->bytes = NULL;
    file->len = failed ? 0 : (size_t)status.st_size;
    if (file->len > RAW_HEADER) {
        void *memory = mmap(NULL, file->len, PROT_READ, MAP_SHARED, fd, 0);
        file->bytes = memory == MAP_FAILED ? NULL : memory;
        failed |= memory == MAP_FAILED;
    }
    close(fd);
    return failed ? -1 : 0;
}

static struct trace_writer *add_stream(struct converted *out)
{
    struct trace_writer *bigger = reallocarray(out->streams, out->count + 1, sizeof *bigger);
    if (!bigger)
        return NULL;
    out->streams = bigger;
    memset(&bigger[out->count], 0, sizeof *bigger);
    return &bigger[out->count++];
}

static int convert_file(int folder, const char *name, struct converted *out)
{
    struct raw_file file;
    if (raw_open(folder, name, &file))
        return -1;
    const struct raw_header *header = (const void *)file.bytes;
    if (!file.bytes || header->magic != RAW_MAGIC) {
        if (file.bytes)
            munmap((void *)(uintptr_t)file.bytes, file.len);
        return 0;
    }
    struct trace_writer *writer = add_stream(out);
    int failed = !writer;
    if (writer) {
        writer->pid = (uint64_t)header->pid;
        writer->name = strndup(header->name, sizeof header->name);
        failed = !writer->name || convert_events(writer, file.bytes, file.len);
        writer->cut = header->cut != 0;
    }
    munmap((void *)(uintptr_t)file.bytes, file.len);
    return failed ? -1 : 0;
}

/* The files are converted in the order of the start times in their headers. */
struct found {
    uint64_t started_ns;
    char name[64];
};

static int found_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->started_ns > y->started_ns) - (x->started_ns < y->started_ns);
}

static int find_file(int folder, const char *name, struct found *found)
{
    struct raw_header header = {0};
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || strlen(name) >= sizeof found->name ||
        read(fd, &header, sizeof header) != (ssize_t)sizeof header) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    close(fd);
    strcpy(found->name, name);
    found->started_ns = header.started_ns;
    return 1;
}

static struct found *find_files(DIR *folder, size_t *count)
{
    struct found *files = NULL;
    struct dirent *entry;
    *count = 0;
    while ((entry = readdir(folder))) {
        struct found *bigger = reallocarray(files, *count + 1, sizeof *bigger);
        if (!bigger) {
            free(files);
            return NULL;
        }
        files = bigger;
        if (*entry->d_name != '.')
            *count += (size_t)find_file(dirfd(folder), entry->d_name, &files[*count]);
    }
    if (*count)
        qsort(files, *count, sizeof *files, found_order);
    return files;
}

int convert_folder(const char *folder, struct converted *out)
{
    size_t count = 0;
    memset(out, 0, sizeof *out);
    DIR *opened = opendir(folder);
    if (!opened)
        return -1;
    struct found *files = find_files(opened, &count);
    int failed = !files;
    for (size_t i = 0; !failed && i < count; i++)
        failed = convert_file(dirfd(opened), files[i].name, out);
    free(files);
    closedir(opened);
    return failed ? -1 : 0;
}

void convert_free(struct converted *converted)
{
    for (size_t i = 0; i < converted->count; i++) {
        free((void *)(uintptr_t)converted->streams[i].name);
        trace_writer_free(&converted->streams[i]);
    }
    free(converted->streams);
    memset(converted, 0, sizeof *converted);
}

void convert_remove(const char *folder)
{
    DIR *opened = opendir(folder);
    struct dirent *entry;
    while (opened && (entry = readdir(opened)))
        if (*entry->d_name != '.')
            unlinkat(dirfd(opened), entry->d_name, 0);
    if (opened)
        closedir(opened);
    rmdir(folder);
}
