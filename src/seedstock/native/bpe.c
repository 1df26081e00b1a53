/* Learning the merges of byte-pair encoding from distinct words and their counts. Plain C behind ctypes; the same
 * merges as inputs/tokenizers/merges.py finds in Python.
 *
 * All words lie in one array of symbols, each linked to its neighbours. A pair knows its count and where it began to
 * stand; places that have changed since are recognized when they are looked at. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

typedef struct {
    uint64_t key;  /* left symbol << 32 | right symbol */
    int64_t count;
    int32_t *places;
    uint32_t used, room;
    uint32_t touched; /* the merge that last raised its count */
} Pair;

typedef struct { int64_t count; uint64_t key; uint32_t pair; } Best;

typedef struct {
    int32_t *symbol, *next, *previous, *word;
    Pair *pairs;
    uint64_t count, space;
    uint32_t *slots;
    uint64_t mask;
    Best *heap;
    uint64_t heap_count, heap_space;
    uint32_t *raised;
    uint64_t raised_count, raised_space;
} State;

static int grow(void **memory, uint64_t *room, uint64_t wanted, uint64_t size) {
    if (wanted <= *room) return 1;
    uint64_t more = *room ? *room * 2 : 64;
    while (more < wanted) more *= 2;
    void *made = realloc(*memory, more * size);
    if (!made) return 0;
    *memory = made; *room = more;
    return 1;
}

static inline uint64_t mixed(uint64_t key) {
    key *= 0x9E3779B97F4A7C15ull;
    return key ^ (key >> 32);
}

static int64_t pair_of(State *s, uint64_t key, int make) {
    uint64_t at = mixed(key) & s->mask;
    for (; s->slots[at]; at = (at + 1) & s->mask)
        if (s->pairs[s->slots[at] - 1].key == key) return s->slots[at] - 1;
    if (!make) return -1;
    if (s->count >= UINT32_MAX - 1 || !grow((void **)&s->pairs, &s->space, s->count + 1, sizeof *s->pairs)) return -2;
    s->pairs[s->count] = (Pair){.key = key};
    s->slots[at] = (uint32_t)++s->count;
    const int64_t made = (int64_t)s->count - 1;
    if (s->count * 2 > s->mask) {
        const uint64_t size = (s->mask + 1) * 2;
        uint32_t *slots = calloc(size, sizeof *slots);
        if (!slots) return -2;
        for (uint64_t i = 0; i < s->count; i++) {
            uint64_t free_at = mixed(s->pairs[i].key) & (size - 1);
            while (slots[free_at]) free_at = (free_at + 1) & (size - 1);
            slots[free_at] = (uint32_t)(i + 1);
        }
        free(s->slots);
        s->slots = slots; s->mask = size - 1;
    }
    return made;
}

static int place(Pair *pair, int32_t at) {
    if (pair->used == pair->room) {
        const uint32_t room = pair->room ? pair->room * 2 : 4;
        int32_t *made = realloc(pair->places, room * sizeof *made);
        if (!made) return 0;
        pair->places = made; pair->room = room;
    }
    pair->places[pair->used++] = at;
    return 1;
}

/* The most frequent first; of those, the one whose symbols come first. */
static inline int before(const Best *a, const Best *b) {
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static int push(State *s, uint32_t pair) {
    if (!grow((void **)&s->heap, &s->heap_space, s->heap_count + 1, sizeof *s->heap)) return 0;
    const Best entry = {s->pairs[pair].count, s->pairs[pair].key, pair};
    uint64_t at = s->heap_count++;
    while (at && before(&entry, &s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = entry;
    return 1;
}

static void sink(State *s, Best entry) { /* puts an entry at the top, in the place of what was there */
    uint64_t at = 0;
    for (;;) {
        uint64_t child = 2 * at + 1;
        if (child >= s->heap_count) break;
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child])) child++;
        if (!before(&s->heap[child], &entry)) break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = entry;
}

static void pop(State *s) {
    const Best last = s->heap[--s->heap_count];
    if (s->heap_count) sink(s, last);
}

static inline uint64_t key_of(int32_t left, int32_t right) { return (uint64_t)(uint32_t)left << 32 | (uint32_t)right; }

static void lower(State *s, int32_t left, int32_t right, int64_t weight) {
    const int64_t pair = pair_of(s, key_of(left, right), 0);
    if (pair >= 0) s->pairs[pair].count -= weight;
}

static int raise_(State *s, int32_t left, int32_t right, int64_t weight, int32_t at, uint32_t turn) {
    const int64_t pair = pair_of(s, key_of(left, right), 1);
    if (pair < 0) return 0;
    Pair *p = &s->pairs[pair];
    p->count += weight;
    if (p->touched != turn) {
        p->touched = turn;
        if (!grow((void **)&s->raised, &s->raised_space, s->raised_count + 1, sizeof *s->raised)) return 0;
        s->raised[s->raised_count++] = (uint32_t)pair;
    }
    return place(p, at);
}

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void release(State *s) {
    for (uint64_t i = 0; i < s->count; i++) free(s->pairs[i].places);
    free(s->symbol); free(s->next); free(s->previous); free(s->word);
    free(s->pairs); free(s->slots); free(s->heap); free(s->raised);
    free(s);
}

API void bpe_free(State *s) { if (s) release(s); }

/* Takes words (symbols between offsets) and how often each occurs. NULL without memory. */
API State *bpe_new(const int32_t *symbols, const int64_t *offsets, const int64_t *counts, int64_t words) {
    State *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    const uint64_t size = (uint64_t)offsets[words] + 1;
    s->symbol = malloc(size * sizeof(int32_t));
    s->next = malloc(size * sizeof(int32_t));
    s->previous = malloc(size * sizeof(int32_t));
    s->mask = (1u << 16) - 1;
    s->slots = calloc(s->mask + 1, sizeof *s->slots);
    s->word = malloc(size * sizeof(int32_t));
    if (!s->symbol || !s->next || !s->previous || !s->word || !s->slots) { release(s); return NULL; }
    memcpy(s->symbol, symbols, (size - 1) * sizeof(int32_t));
    for (int64_t w = 0; w < words; w++)
        for (int64_t i = offsets[w]; i < offsets[w + 1]; i++) {
            s->word[i] = (int32_t)w;
            s->previous[i] = i > offsets[w] ? (int32_t)(i - 1) : -1;
            s->next[i] = i + 1 < offsets[w + 1] ? (int32_t)(i + 1) : -1;
            if (s->next[i] >= 0 && !raise_(s, symbols[i], symbols[i + 1], counts[w], (int32_t)i, 1)) {
                release(s);
                return NULL;
            }
        }
    for (uint64_t i = 0; i < s->raised_count; i++)
        if (!push(s, s->raised[i])) { release(s); return NULL; }
    return s;
}

/* The pair to merge next, which occurs at least `least` times: its count, or 0 where there is none. */
API int64_t bpe_best(State *s, int64_t least, int32_t *pair) {
    while (s->heap_count) {
        const Best top = s->heap[0];
        const int64_t now = s->pairs[top.pair].count;
        if (now == top.count && now >= least && now > 0) {
            pair[0] = (int32_t)(top.key >> 32);
            pair[1] = (int32_t)(uint32_t)top.key;
            return now;
        }
        if (now < top.count && now >= least && now > 0) sink(s, (Best){now, top.key, top.pair});
        else pop(s); /* too rare, or a newer entry says more */
    }
    return 0;
}

/* Puts `made` in the place of the best pair, everywhere; 0, or -1 without memory. `turn` counts merges, from 2. */
API int bpe_merge(State *s, int32_t left, int32_t right, int32_t made, uint32_t turn, const int64_t *counts) {
    const int64_t number = pair_of(s, key_of(left, right), 0);
    if (number < 0) return 0;
    int32_t *places = s->pairs[number].places;
    const uint32_t used = s->pairs[number].used;
    s->pairs[number].places = NULL;
    s->pairs[number].used = s->pairs[number].room = 0;
    if (left == right) qsort(places, used, sizeof *places, ascending); /* overlapping ones merge from the left */
    s->raised_count = 0;
    int good = 1;
    for (uint32_t i = 0; i < used && good; i++) {
        const int32_t at = places[i];
        if (s->symbol[at] != left) continue;
        const int32_t second = s->next[at];
        if (second < 0 || s->symbol[second] != right) continue;
        const int64_t weight = counts[s->word[at]];
        const int32_t l = s->previous[at], r = s->next[second];
        s->symbol[at] = made;
        s->symbol[second] = -1;
        s->next[at] = r;
        if (r >= 0) {
            s->previous[r] = at;
            lower(s, right, s->symbol[r], weight);
            good = raise_(s, made, s->symbol[r], weight, at, turn);
        }
        if (l >= 0) {
            lower(s, s->symbol[l], left, weight);
            good = good && raise_(s, s->symbol[l], made, weight, l, turn);
        }
        s->pairs[number].count -= weight;
    }
    free(places);
    for (uint64_t i = 0; i < s->raised_count && good; i++)
        if (s->pairs[s->raised[i]].count > 0) good = push(s, s->raised[i]);
    return good ? 0 : -1;
}
