/* arena.h: one block handed out in 64-byte aligned pieces; everything in it dies at once. Used for workspaces
 * whose size the plan knows (fixed: never grows, so nothing is allocated while running). */
#ifndef BERTH_BASE_ARENA_H
#define BERTH_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct berth_arena {
    unsigned char *block; /* owned */
    size_t size;          /* bytes */
    size_t used;
};

/* Allocates the block; false when memory ran out. */
bool berth_arena_init(struct berth_arena *arena, size_t size);
void berth_arena_clear(struct berth_arena *arena);

/* count * size bytes, 64-byte aligned, not initialised; NULL when the arena is too small. Lives until reset
 * or clear. */
void *berth_arena_take(struct berth_arena *arena, size_t count, size_t size);

/* What berth_arena_take would use for it: sum these to size an arena. Saturates at SIZE_MAX / 4. */
size_t berth_arena_need(size_t count, size_t size);

void berth_arena_reset(struct berth_arena *arena);

#endif
