/* vocab_train_merge.c: pair counts, the heap that finds the most frequent one, and its merging. A merge
 * visits only the words that had the pair, and changes only the counts of the pairs beside it. */
#include "text/vocab_train_merge.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "text/vocab.h"

enum { MERGES_A_REPORT = 64 };

struct pair {
    uint32_t left, right;
    uint64_t count;
    uint32_t first; /* occurrence + 1; 0: none */
    bool risen;     /* since it was last put into the heap */
};

/* A word that had the pair when this was noted. The same word may be noted twice, or have it no more. */
struct occurrence {
    uint32_t word;
    uint32_t next; /* occurrence + 1; 0: the last */
};

/* An entry is out of date when its count is no longer the pair's. A pair with a count always has an entry of
 * that count or a larger one. */
struct entry {
    uint64_t count;
    uint32_t pair;
};

struct merger {
    struct berth_strings *tokens;
    struct berth_cut_word *words;
    uint32_t *symbols;
    struct pair *pairs;
    size_t pair_count, pair_capacity;
    uint32_t *slots; /* pair + 1 by hash; at most half full */
    size_t slot_count;
    struct occurrence *occurrences;
    size_t occurrence_count, occurrence_capacity;
    uint32_t unused; /* occurrence + 1: head of the list of those that were given back */
    uint32_t *risen; /* pairs to be put into the heap */
    size_t risen_count, risen_capacity;
    struct entry *heap;
    size_t heap_count, heap_capacity;
};

static void clear(struct merger *merger)
{
    berth_free(merger->pairs);
    berth_free(merger->slots);
    berth_free(merger->occurrences);
    berth_free(merger->risen);
    berth_free(merger->heap);
}

/* --- pairs ----------------------------------------------------------------------------------- */

static size_t find_slot(const struct merger *merger, uint32_t left, uint32_t right)
{
    uint64_t hash = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    const size_t mask = merger->slot_count - 1;
    size_t slot = (hash ^ hash >> 32) & mask;
    for (uint32_t number; (number = merger->slots[slot]) != 0; slot = (slot + 1) & mask)
        if (merger->pairs[number - 1].left == left && merger->pairs[number - 1].right == right)
            break;
    return slot;
}

static bool grow_slots(struct merger *merger)
{
    if (2 * (merger->pair_count + 1) <= merger->slot_count)
        return true;
    const size_t count = berth_max(merger->slot_count * 2, 1024);
    uint32_t *slots = berth_calloc(count, sizeof *slots);
    if (!slots)
        return false;
    berth_free(merger->slots);
    merger->slots = slots;
    merger->slot_count = count;
    for (size_t i = 0; i < merger->pair_count; i++)
        merger->slots[find_slot(merger, merger->pairs[i].left, merger->pairs[i].right)] = (uint32_t)i + 1;
    return true;
}

/* The pair's number, made when it is new; UINT32_MAX: out of memory. */
static uint32_t intern_pair(struct merger *merger, uint32_t left, uint32_t right)
{
    struct pair *pairs =
        berth_grow(merger->pairs, &merger->pair_capacity, merger->pair_count + 1, sizeof *pairs);
    if (!pairs)
        return UINT32_MAX;
    merger->pairs = pairs;
    if (!grow_slots(merger))
        return UINT32_MAX;
    uint32_t *number = &merger->slots[find_slot(merger, left, right)];
    if (*number == 0) {
        pairs[merger->pair_count++] = (struct pair){.left = left, .right = right};
        *number = (uint32_t)merger->pair_count;
    }
    return *number - 1;
}

/* Notes that the word has the pair; false: out of memory. */
static bool note_word(struct merger *merger, struct pair *pair, uint32_t word)
{
    if (pair->first && merger->occurrences[pair->first - 1].word == word)
        return true;
    uint32_t number = merger->unused;
    if (number)
        merger->unused = merger->occurrences[number - 1].next;
    else {
        struct occurrence *grown = berth_grow(merger->occurrences, &merger->occurrence_capacity,
                                              merger->occurrence_count + 1, sizeof *grown);
        if (!grown)
            return false;
        merger->occurrences = grown;
        number = (uint32_t)++merger->occurrence_count;
    }
    merger->occurrences[number - 1] = (struct occurrence){word, pair->first};
    pair->first = number;
    return true;
}

/* The word has the pair once more; false: out of memory. */
static bool raise(struct merger *merger, uint32_t left, uint32_t right, uint32_t word)
{
    const uint32_t index = intern_pair(merger, left, right);
    if (index == UINT32_MAX)
        return false;
    struct pair *pair = &merger->pairs[index];
    pair->count += merger->words[word].count;
    if (!pair->risen) {
        uint32_t *risen =
            berth_grow(merger->risen, &merger->risen_capacity, merger->risen_count + 1, sizeof *risen);
        if (!risen)
            return false;
        merger->risen = risen;
        risen[merger->risen_count++] = index;
        pair->risen = true;
    }
    return note_word(merger, pair, word);
}

static void lower(struct merger *merger, uint32_t left, uint32_t right, uint32_t word)
{
    merger->pairs[merger->slots[find_slot(merger, left, right)] - 1].count -= merger->words[word].count;
}

/* --- the heap -------------------------------------------------------------------------------- */

static bool stands_before(const struct merger *merger, struct entry a, struct entry b)
{
    const struct pair *x = &merger->pairs[a.pair], *y = &merger->pairs[b.pair];
    if (a.count != b.count)
        return a.count > b.count;
    return x->left != y->left ? x->left < y->left : x->right < y->right;
}

/* Puts the entry where it belongs on the way down from `hole`. */
static void sink(struct merger *merger, size_t hole, struct entry entry)
{
    struct entry *heap = merger->heap;
    for (size_t child; (child = 2 * hole + 1) < merger->heap_count; hole = child) {
        if (child + 1 < merger->heap_count && stands_before(merger, heap[child + 1], heap[child]))
            child++;
        if (!stands_before(merger, heap[child], entry))
            break;
        heap[hole] = heap[child];
    }
    heap[hole] = entry;
}

static bool push(struct merger *merger, struct entry entry)
{
    struct entry *heap =
        berth_grow(merger->heap, &merger->heap_capacity, merger->heap_count + 1, sizeof *heap);
    if (!heap)
        return false;
    merger->heap = heap;
    size_t hole = merger->heap_count++;
    for (; hole > 0 && stands_before(merger, entry, heap[(hole - 1) / 2]); hole = (hole - 1) / 2)
        heap[hole] = heap[(hole - 1) / 2];
    heap[hole] = entry;
    return true;
}

/* What has risen goes into the heap; false: out of memory. */
static bool push_risen(struct merger *merger)
{
    for (size_t i = 0; i < merger->risen_count; i++) {
        struct pair *pair = &merger->pairs[merger->risen[i]];
        pair->risen = false;
        if (pair->count > 0 && !push(merger, (struct entry){pair->count, merger->risen[i]}))
            return false;
    }
    merger->risen_count = 0;
    return true;
}

static void drop_top(struct merger *merger)
{
    const struct entry last = merger->heap[--merger->heap_count];
    if (merger->heap_count > 0)
        sink(merger, 0, last);
}

/* Takes the most frequent pair out of the heap; false: none comes min_frequency times. */
static bool pop(struct merger *merger, uint64_t min_frequency, uint32_t *pair)
{
    while (merger->heap_count > 0 && merger->heap[0].count >= min_frequency) {
        const struct entry top = merger->heap[0];
        const uint64_t count = merger->pairs[top.pair].count;
        if (count < top.count && count > 0) /* it has fallen: it waits under its count of now */
            sink(merger, 0, (struct entry){count, top.pair});
        else
            drop_top(merger);
        *pair = top.pair;
        if (count == top.count)
            return true;
    }
    return false;
}

/* --- merging --------------------------------------------------------------------------------- */

static bool count_pairs(struct merger *merger, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct berth_cut_word *word = &merger->words[i];
        const uint32_t *symbols = merger->symbols + word->start;
        for (uint32_t k = 0; k + 1 < word->length; k++)
            if (!raise(merger, symbols[k], symbols[k + 1], (uint32_t)i))
                return false;
    }
    return push_risen(merger);
}

/* Left and right become one token wherever they stand side by side, from the left on. Each replacement takes
 * the pairs that it breaks out of the counts and brings the new ones in. */
static bool merge_word(struct merger *merger, uint32_t number, uint32_t left, uint32_t right, uint32_t merged)
{
    struct berth_cut_word *word = &merger->words[number];
    uint32_t *symbols = merger->symbols + word->start, kept = 0;
    for (uint32_t i = 0; i < word->length; i++) {
        if (i + 1 == word->length || symbols[i] != left || symbols[i + 1] != right) {
            symbols[kept++] = symbols[i];
            continue;
        }
        lower(merger, left, right, number);
        if (kept > 0) {
            lower(merger, symbols[kept - 1], left, number);
            if (!raise(merger, symbols[kept - 1], merged, number))
                return false;
        }
        if (i + 2 < word->length) {
            lower(merger, right, symbols[i + 2], number);
            if (!raise(merger, merged, symbols[i + 2], number))
                return false;
        }
        symbols[kept++] = merged;
        i++;
    }
    word->length = kept;
    return true;
}

/* The token of a pair: the right one without its prefix behind the left one. No two pairs make the same
 * token: where one is made its ends were never merged across, so it came about by the same merges everywhere.
 */
static enum berth_status make_token(struct merger *merger, const struct pair *pair, uint32_t *merged,
                                    struct berth_error *err)
{
    enum { PREFIX = sizeof BERTH_CONTINUATION_PREFIX - 1 };
    const struct berth_string *left = &merger->tokens->items[pair->left],
                              *right = &merger->tokens->items[pair->right];
    char token[BERTH_TOKEN_MAX_BYTES];
    const size_t size = left->length + right->length - PREFIX;
    if (size > sizeof token)
        return berth_fail(err, BERTH_INTERNAL, "a token of %zu bytes was merged", size);
    memcpy(token, berth_strings_text(merger->tokens, pair->left), left->length);
    memcpy(token + left->length, berth_strings_text(merger->tokens, pair->right) + PREFIX,
           right->length - PREFIX);
    return berth_strings_add(merger->tokens, token, size, merged, err);
}

static enum berth_status merge_pair(struct merger *merger, uint32_t index, struct berth_error *err)
{
    const struct pair pair = merger->pairs[index];
    uint32_t merged;
    enum berth_status status = make_token(merger, &pair, &merged, err);
    if (status != BERTH_OK)
        return status;
    merger->pairs[index].first = 0;
    bool enough = true;
    for (uint32_t number = pair.first, next; number && enough; number = next) {
        struct occurrence *occurrence = &merger->occurrences[number - 1];
        const uint32_t word = occurrence->word;
        next = occurrence->next;
        occurrence->next = merger->unused;
        merger->unused = number;
        enough = merge_word(merger, word, pair.left, pair.right, merged);
    }
    return enough && push_risen(merger) ? BERTH_OK : berth_fail_memory(err, "the pairs of tokens", 0);
}

enum berth_status berth_vocab_merge(struct berth_strings *tokens, struct berth_cut_word *words, size_t count,
                                    uint32_t *symbols, size_t size, uint64_t min_frequency,
                                    berth_vocab_progress *progress, void *progress_context,
                                    struct berth_error *err)
{
    struct merger merger = {.tokens = tokens, .words = words, .symbols = symbols};
    enum berth_status status = BERTH_OK;
    if (!count_pairs(&merger, count))
        status = berth_fail_memory(err, "the pairs of tokens", 0);
    uint32_t pair;
    for (size_t merges = 0; status == BERTH_OK && tokens->size < size && pop(&merger, min_frequency, &pair);
         merges++) {
        status = merge_pair(&merger, pair, err);
        if (status == BERTH_OK && progress && merges % MERGES_A_REPORT == 0 &&
            !progress(progress_context, tokens->size, size))
            status = berth_fail(err, BERTH_CANCELLED, "the training of the vocabulary was stopped");
    }
    clear(&merger);
    return status;
}
