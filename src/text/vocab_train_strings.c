/* vocab_train_strings.c: numbered strings by open addressing; part of vocabulary training. */
#include "text/vocab_train_strings.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

void *berth_grow(void *block, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity)
        return block;
    const size_t grown = berth_max(berth_max(*capacity + *capacity / 2, need), 256);
    void *moved = berth_realloc(block, grown, size);
    if (moved)
        *capacity = grown;
    return moved;
}

void berth_strings_clear(struct berth_strings *strings)
{
    berth_free(strings->text);
    berth_free(strings->items);
    berth_free(strings->slots);
    *strings = (struct berth_strings){0};
}

/* FNV-1a; its high bits are folded in, as slots are chosen by the low ones. */
static uint64_t hash_bytes(const char *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

/* The slot that holds the string, or the empty one where it belongs; there are slots. */
static size_t find_slot(const struct berth_strings *strings, const char *bytes, size_t size, uint64_t hash)
{
    const size_t mask = strings->slot_count - 1;
    size_t slot = hash & mask;
    for (uint32_t number; (number = strings->slots[slot]) != 0; slot = (slot + 1) & mask) {
        const struct berth_string *item = &strings->items[number - 1];
        if (item->hash == hash && item->length == size &&
            memcmp(strings->text + item->offset, bytes, size) == 0)
            break;
    }
    return slot;
}

uint32_t berth_strings_find(const struct berth_strings *strings, const char *bytes, size_t size)
{
    if (strings->slot_count == 0)
        return UINT32_MAX;
    const uint32_t number = strings->slots[find_slot(strings, bytes, size, hash_bytes(bytes, size))];
    return number ? number - 1 : UINT32_MAX;
}

/* Doubles the slots when they would be more than half full. */
static bool grow_slots(struct berth_strings *strings)
{
    if (2 * (strings->size + 1) <= strings->slot_count)
        return true;
    const size_t count = berth_max(strings->slot_count * 2, 1024);
    uint32_t *slots = berth_calloc(count, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < strings->size; i++) {
        size_t slot = strings->items[i].hash & (count - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    berth_free(strings->slots);
    strings->slots = slots;
    strings->slot_count = count;
    return true;
}

static bool grow_room(struct berth_strings *strings, size_t bytes)
{
    char *text = berth_grow(strings->text, &strings->text_capacity, strings->text_size + bytes, 1);
    if (!text)
        return false;
    strings->text = text;
    struct berth_string *items =
        berth_grow(strings->items, &strings->capacity, strings->size + 1, sizeof *items);
    if (!items)
        return false;
    strings->items = items;
    return grow_slots(strings);
}

enum berth_status berth_strings_add(struct berth_strings *strings, const char *bytes, size_t size,
                                    uint32_t *index, struct berth_error *err)
{
    *index = berth_strings_find(strings, bytes, size);
    if (*index != UINT32_MAX) {
        strings->items[*index].count++;
        return BERTH_OK;
    }
    if (strings->size == BERTH_STRINGS_MAX || size > BERTH_STRINGS_MAX_BYTES - strings->text_size)
        return berth_fail(err, BERTH_LIMIT,
                          "more than %d distinct words, or %d MiB of them; give a part of the corpus",
                          BERTH_STRINGS_MAX, BERTH_STRINGS_MAX_BYTES >> 20);
    if (!grow_room(strings, size))
        return berth_fail_memory(err, "the distinct words of the corpus", strings->text_size + size);
    const uint64_t hash = hash_bytes(bytes, size);
    *index = (uint32_t)strings->size;
    strings->slots[find_slot(strings, bytes, size, hash)] = *index + 1;
    strings->items[strings->size++] =
        (struct berth_string){(uint32_t)strings->text_size, (uint32_t)size, hash, 1};
    memcpy(strings->text + strings->text_size, bytes, size);
    strings->text_size += size;
    return BERTH_OK;
}
