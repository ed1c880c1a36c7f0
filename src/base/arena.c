/* arena.c: bump allocation in one aligned block. */
#include "base/arena.h"

#include <stdint.h>

#include "base/alloc.h"
#include "base/checked.h"

bool berth_arena_init(struct berth_arena *arena, size_t size)
{
    *arena = (struct berth_arena){.block = berth_aligned(size), .size = size};
    return arena->block != NULL;
}

void berth_arena_clear(struct berth_arena *arena)
{
    berth_free(arena->block);
    *arena = (struct berth_arena){0};
}

size_t berth_arena_need(size_t count, size_t size)
{
    size_t bytes;
    if (!berth_mul(count, size, &bytes) || bytes > SIZE_MAX / 4 - BERTH_ALIGNMENT)
        return SIZE_MAX / 4;
    return berth_round_up(bytes, BERTH_ALIGNMENT);
}

void *berth_arena_take(struct berth_arena *arena, size_t count, size_t size)
{
    size_t bytes = berth_arena_need(count, size);
    if (!arena->block || bytes > arena->size - arena->used)
        return NULL;
    void *piece = arena->block + arena->used;
    arena->used += bytes;
    return piece;
}

void berth_arena_reset(struct berth_arena *arena)
{
    arena->used = 0;
}
