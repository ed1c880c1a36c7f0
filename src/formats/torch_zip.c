/* torch_zip.c: reads a zip archive's directory from its end, as every zip reader does, and believes none of
 * it before checking. Called by torch_bin.c. */
#include "formats/torch_zip.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

/* Fixed parts of the records, in bytes. */
enum {
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_MAX = 65535
};

enum { FLAG_ENCRYPTED = 1, FLAG_SIZES_FOLLOW = 8, EXTRA_ZIP64 = 1 };

static const uint64_t SATURATED = 0xffffffff; /* a 32-bit field whose value is in the zip64 record */

struct archive {
    const char *path;
    const unsigned char *data;
    size_t size;
    uint64_t directory, directory_size, count;
    struct berth_error *err;
};

/* What a central or local header says of its entry. */
struct header {
    unsigned flags, method;
    uint64_t stored, size, local; /* bytes in the file, bytes unpacked, offset of the local header */
    const char *name;
    size_t name_size;
};

static uint64_t number(const unsigned char *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static enum berth_status malformed(const struct archive *a, const char *what)
{
    return berth_fail(a->err, BERTH_FORMAT, "%s: malformed zip archive: %s (is the file complete?)", a->path,
                      what);
}

static enum berth_status malformed_entry(const struct archive *a, const struct header *h, const char *what)
{
    return berth_fail(a->err, BERTH_FORMAT, "%s: malformed zip archive: entry '%.*s' %s", a->path,
                      (int)h->name_size, h->name, what);
}

/* --- the end of the archive
 * ---------------------------------------------------------------------------------- */

/* The end record is last, but for a comment whose length it tells. */
static enum berth_status find_end(const struct archive *a, size_t *end)
{
    if (a->size < END_SIZE)
        return malformed(a, "too short");
    size_t first = a->size - berth_min(a->size, END_SIZE + COMMENT_MAX);
    for (size_t at = a->size - END_SIZE + 1; at-- > first;)
        if (memcmp(a->data + at, "PK\5\6", 4) == 0 &&
            number(a->data + at + 20, 2) == a->size - at - END_SIZE) {
            *end = at;
            return BERTH_OK;
        }
    return malformed(a, "no directory at its end");
}

/* The zip64 record replaces the fields of the end record. */
static enum berth_status read_end64(struct archive *a, size_t end, size_t *limit)
{
    uint64_t at = number(a->data + end - LOCATOR_SIZE + 8, 8);
    if (end < LOCATOR_SIZE + END64_SIZE || at > end - LOCATOR_SIZE - END64_SIZE ||
        memcmp(a->data + at, "PK\6\6", 4) != 0)
        return malformed(a, "no zip64 record where it is said to be");
    const unsigned char *record = a->data + at;
    if (number(record + 16, 4) != 0 || number(record + 20, 4) != 0 ||
        number(record + 24, 8) != number(record + 32, 8))
        return malformed(a, "it is split over several files");
    a->count = number(record + 32, 8);
    a->directory_size = number(record + 40, 8);
    a->directory = number(record + 48, 8);
    *limit = (size_t)at;
    return BERTH_OK;
}

static enum berth_status read_end(struct archive *a)
{
    size_t end = 0;
    enum berth_status status = find_end(a, &end);
    if (status != BERTH_OK)
        return status;
    const unsigned char *record = a->data + end;
    if (number(record + 4, 2) != 0 || number(record + 6, 2) != 0 ||
        number(record + 8, 2) != number(record + 10, 2))
        return malformed(a, "it is split over several files");
    a->count = number(record + 10, 2);
    a->directory_size = number(record + 12, 4);
    a->directory = number(record + 16, 4);
    size_t limit = end;
    if (end >= LOCATOR_SIZE && memcmp(a->data + end - LOCATOR_SIZE, "PK\6\7", 4) == 0)
        status = read_end64(a, end, &limit);
    if (status == BERTH_OK && (a->directory > limit || a->directory_size > limit - a->directory ||
                               a->count > a->directory_size / CENTRAL_SIZE))
        status = malformed(a, "its directory does not lie in the file");
    return status;
}

/* --- entries
 * ------------------------------------------------------------------------------------------------- */

/* Replaces saturated fields by those of the zip64 extra field, in its fixed order. `local` is NULL for a
 * local header, which has no such field. */
static enum berth_status read_extra64(const struct archive *a, struct header *h, const unsigned char *extra,
                                      size_t size)
{
    uint64_t *fields[] = {&h->size, &h->stored, &h->local};
    while (size >= 4) {
        size_t id = (size_t)number(extra, 2), length = (size_t)number(extra + 2, 2);
        extra += 4, size -= 4;
        if (length > size)
            return malformed_entry(a, h, "has a cut extra field");
        const unsigned char *from = extra, *end = extra + length;
        for (size_t i = 0; id == EXTRA_ZIP64 && i < sizeof fields / sizeof *fields; i++) {
            if (*fields[i] != SATURATED)
                continue;
            if (end - from < 8)
                return malformed_entry(a, h, "has a cut zip64 field");
            *fields[i] = number(from, 8);
            from += 8;
        }
        extra = end, size -= length;
    }
    return BERTH_OK;
}

/* Reads the central header at `at`, which advances past it. */
static enum berth_status read_central(const struct archive *a, size_t *at, struct header *h)
{
    const unsigned char *record = a->data + *at;
    size_t left = (size_t)(a->directory + a->directory_size) - *at;
    if (left < CENTRAL_SIZE || memcmp(record, "PK\1\2", 4) != 0)
        return malformed(a, "its directory has fewer entries than it says");
    *h = (struct header){.flags = (unsigned)number(record + 8, 2),
                         .method = (unsigned)number(record + 10, 2),
                         .stored = number(record + 20, 4),
                         .size = number(record + 24, 4),
                         .local = number(record + 42, 4),
                         .name = (const char *)record + CENTRAL_SIZE,
                         .name_size = (size_t)number(record + 28, 2)};
    size_t extra = (size_t)number(record + 30, 2), comment = (size_t)number(record + 32, 2);
    if (h->name_size + extra + comment > left - CENTRAL_SIZE)
        return malformed(a, "an entry of its directory is cut");
    *at += CENTRAL_SIZE + h->name_size + extra + comment;
    return read_extra64(a, h, record + CENTRAL_SIZE + h->name_size, extra);
}

/* Checks the local header against the central one and fills the entry. */
static enum berth_status read_local(const struct archive *a, const struct header *h,
                                    struct berth_zip_entry *entry)
{
    if (h->local > a->directory || a->directory - h->local < LOCAL_SIZE ||
        memcmp(a->data + h->local, "PK\3\4", 4) != 0)
        return malformed_entry(a, h, "is not where the directory says");
    const unsigned char *record = a->data + h->local;
    struct header local = {.flags = (unsigned)number(record + 6, 2),
                           .method = (unsigned)number(record + 8, 2),
                           .stored = number(record + 18, 4),
                           .size = number(record + 22, 4),
                           .name = (const char *)record + LOCAL_SIZE,
                           .name_size = (size_t)number(record + 26, 2)};
    size_t extra = (size_t)number(record + 28, 2);
    size_t left = (size_t)(a->directory - h->local) - LOCAL_SIZE;
    if (local.name_size + extra > left || local.name_size != h->name_size ||
        memcmp(local.name, h->name, h->name_size) != 0 || local.method != h->method)
        return malformed_entry(a, h, "has another name or method in the directory than in front of its data");
    left -= local.name_size + extra;
    enum berth_status status = read_extra64(a, &local, record + LOCAL_SIZE + local.name_size, extra);
    if (status != BERTH_OK)
        return status;
    bool follow = local.flags & FLAG_SIZES_FOLLOW && local.stored == 0 && local.size == 0;
    if (!follow && (local.stored != h->stored || local.size != h->size))
        return malformed_entry(a, h, "has another size in the directory than in front of its data");
    if (h->size > left)
        return malformed_entry(a, h, "reaches past the directory");
    size_t begin = (size_t)h->local + LOCAL_SIZE + local.name_size + extra;
    *entry = (struct berth_zip_entry){.name = h->name,
                                      .name_size = h->name_size,
                                      .data = a->data + begin,
                                      .size = (size_t)h->size,
                                      .begin = (size_t)h->local,
                                      .end = begin + (size_t)h->size};
    return BERTH_OK;
}

static enum berth_status read_entry(const struct archive *a, size_t *at, struct berth_zip_entry *entry)
{
    struct header h;
    enum berth_status status = read_central(a, at, &h);
    if (status != BERTH_OK)
        return status;
    if (h.flags & FLAG_ENCRYPTED)
        return berth_fail(a->err, BERTH_UNSUPPORTED, "%s: zip entry '%.*s' is encrypted", a->path,
                          (int)h.name_size, h.name);
    if (h.method != 0 || h.stored != h.size)
        return berth_fail(
            a->err, BERTH_UNSUPPORTED,
            "%s: zip entry '%.*s' is compressed (method %u, %llu bytes from %llu); torch.save stores",
            a->path, (int)h.name_size, h.name, h.method, (unsigned long long)h.size,
            (unsigned long long)h.stored);
    return read_local(a, &h, entry);
}

/* --- order
 * --------------------------------------------------------------------------------------------------- */

static int compare_text(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, berth_min(a_size, b_size));
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_names(const void *a, const void *b)
{
    const struct berth_zip_entry *x = a, *y = b;
    return compare_text(x->name, x->name_size, y->name, y->name_size);
}

static int compare_places(const void *a, const void *b)
{
    const struct berth_zip_entry *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static enum berth_status check_order(const struct archive *a, struct berth_zip *zip)
{
    struct berth_zip_entry *e = zip->entries;
    qsort(e, zip->count, sizeof *e, compare_places);
    for (size_t i = 1; i < zip->count; i++)
        if (e[i].begin < e[i - 1].end)
            return berth_fail(a->err, BERTH_FORMAT, "%s: zip entries '%.*s' and '%.*s' overlap", a->path,
                              (int)e[i - 1].name_size, e[i - 1].name, (int)e[i].name_size, e[i].name);
    qsort(e, zip->count, sizeof *e, compare_names);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_names(&e[i - 1], &e[i]) == 0)
            return berth_fail(a->err, BERTH_FORMAT, "%s: zip entry '%.*s' appears twice", a->path,
                              (int)e[i].name_size, e[i].name);
    return BERTH_OK;
}

enum berth_status berth_zip_open(const char *path, const unsigned char *data, size_t size,
                                 struct berth_zip *zip, struct berth_error *err)
{
    *zip = (struct berth_zip){0};
    struct archive a = {.path = path, .data = data, .size = size, .err = err};
    enum berth_status status;
    BERTH_TRY(read_end(&a));
    zip->entries = berth_calloc((size_t)a.count, sizeof *zip->entries);
    BERTH_TRY(zip->entries ? BERTH_OK : berth_fail_memory(err, path, a.count * sizeof *zip->entries));
    size_t at = (size_t)a.directory;
    for (; zip->count < a.count; zip->count++)
        BERTH_TRY(read_entry(&a, &at, &zip->entries[zip->count]));
    BERTH_TRY(check_order(&a, zip));
    return BERTH_OK;
fail:
    berth_zip_close(zip);
    return status;
}

void berth_zip_close(struct berth_zip *zip)
{
    berth_free(zip->entries);
    *zip = (struct berth_zip){0};
}

const struct berth_zip_entry *berth_zip_find(const struct berth_zip *zip, const char *name, size_t name_size)
{
    const struct berth_zip_entry key = {.name = name, .name_size = name_size};
    return zip->count == 0 ? NULL : bsearch(&key, zip->entries, zip->count, sizeof key, compare_names);
}
