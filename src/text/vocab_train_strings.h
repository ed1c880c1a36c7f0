/* vocab_train_strings.h: a set of strings numbered in the order of their first coming, each with how often it
 * came; holds the distinct words of a corpus, and the tokens of a vocabulary being made. */
#ifndef BERTH_TEXT_VOCAB_TRAIN_STRINGS_H
#define BERTH_TEXT_VOCAB_TRAIN_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

enum {
    BERTH_STRINGS_MAX = 1 << 24,      /* strings of a set */
    BERTH_STRINGS_MAX_BYTES = 1 << 28 /* of all its strings */
};

struct berth_string {
    uint32_t offset; /* in text */
    uint32_t length; /* bytes */
    uint64_t hash;
    uint64_t count;
};

/* {0} is an empty set. */
struct berth_strings {
    char *text; /* one string after the other, without separators; owned */
    size_t text_size, text_capacity;
    struct berth_string *items; /* [size]; owned */
    size_t size, capacity;
    uint32_t *slots; /* index + 1 by hash, 0: empty; at most half full; owned */
    size_t slot_count;
};

void berth_strings_clear(struct berth_strings *strings);

/* Counts a string once more; it is copied when it is new. LIMIT beyond the bounds above. */
enum berth_status berth_strings_add(struct berth_strings *strings, const char *bytes, size_t size,
                                    uint32_t *index, struct berth_error *err);

/* Its number, UINT32_MAX when it is not there. */
uint32_t berth_strings_find(const struct berth_strings *strings, const char *bytes, size_t size);

/* Borrowed until the next add; no NUL behind it. */
static inline const char *berth_strings_text(const struct berth_strings *strings, size_t index)
{
    return strings->text + strings->items[index].offset;
}

/* The block with room for `need` items of `size` bytes, grown by half its size at least; NULL, and the old
 * block untouched, when memory ran out. */
void *berth_grow(void *block, size_t *capacity, size_t need, size_t size);

#endif
