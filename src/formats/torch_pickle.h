/* torch_pickle.h: the pickled part of a file that torch.save wrote, read without executing anything.
 *
 * A pickle is a program for a stack machine. This reader knows the opcodes that pickling a state_dict needs
 * (protocol 2 and the harmless later ones) and a list of globals, which it never looks up: they become tags.
 * Calling one gives a description: an ordered dictionary, or a tensor as (storage, offset, size, stride).
 * Everything else is refused, naming the opcode or the global. Source: Python's pickletools (opcodes),
 * torch/_utils.py and torch/serialization.py (callables).
 *
 * Values live in one array and refer to each other by index, so cycles are harmless: nothing here recurses.
 */
#ifndef BERTH_FORMATS_TORCH_PICKLE_H
#define BERTH_FORMATS_TORCH_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"
#include "formats/tensor.h"

/* A real pickle of a state_dict has some 50 KB; each byte can cost the reader about 40. */
enum { BERTH_PICKLE_LIMIT = 8 << 20 };

enum berth_pickle_kind {
    BERTH_PICKLE_OTHER, /* None, a float: never looked at */
    BERTH_PICKLE_BOOL,
    BERTH_PICKLE_INT,
    BERTH_PICKLE_LONG, /* an integer of more than 8 bytes: text holds its little-endian bytes */
    BERTH_PICKLE_TEXT,
    BERTH_PICKLE_TUPLE,
    BERTH_PICKLE_LIST,
    BERTH_PICKLE_DICT,
    BERTH_PICKLE_GLOBAL,
    BERTH_PICKLE_STORAGE, /* items: "storage", its type, key, location, number of elements, ... */
    BERTH_PICKLE_TENSOR,  /* items: storage, offset, size, stride, ... */
};

struct berth_pickle_value {
    enum berth_pickle_kind kind;
    uint32_t count; /* TEXT, LONG: bytes. TUPLE, STORAGE, TENSOR: items */
    union {
        int64_t integer;           /* BOOL, INT */
        const unsigned char *text; /* TEXT, LONG: into the pickle */
        uint32_t first;            /* TUPLE, STORAGE, TENSOR: index of the first item in members */
        unsigned global;           /* GLOBAL */
    };
};

/* An item of a tuple, a list (key unused) or a dictionary. */
struct berth_pickle_member {
    uint32_t container, key, value; /* indices of values */
};

struct berth_pickle {
    struct berth_pickle_value *values;
    size_t value_count, value_capacity;
    struct berth_pickle_member *members; /* a tuple's lie together; others in the order of insertion */
    size_t member_count, member_capacity;
    uint32_t root; /* index of the result */
    size_t size;   /* bytes of the pickle, its STOP included */
};

/* Reads one pickle from the front of data[0, size), which `pickle` borrows. `path` stands in messages. */
enum berth_status berth_pickle_read(const char *path, const unsigned char *data, size_t size,
                                    struct berth_pickle *pickle, struct berth_error *err);

void berth_pickle_clear(struct berth_pickle *pickle); /* {0} is fine */

/* The i-th item of a TUPLE, STORAGE or TENSOR, i < count. */
static inline const struct berth_pickle_value *berth_pickle_item(const struct berth_pickle *pickle,
                                                                 const struct berth_pickle_value *value,
                                                                 size_t i)
{
    return &pickle->values[pickle->members[value->first + i].value];
}

/* The element type of a STORAGE. */
enum berth_dtype berth_pickle_storage_dtype(const struct berth_pickle *pickle,
                                            const struct berth_pickle_value *storage);

/* True when value is the text `word`. */
bool berth_pickle_is_text(const struct berth_pickle_value *value, const char *word);

#endif
