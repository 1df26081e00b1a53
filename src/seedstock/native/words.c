/* Words of texts, as the pattern of inputs/tokenizers/pieces.py cuts them: counted, or looked up in a table of ids.
 *
 * Plain C behind ctypes; where it is not built, Python gives the same results, slower. Texts are valid UTF-8. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API __attribute__((visibility("default")))
#endif

enum { SIGN = 0, LETTER = 1, NUMBER = 2, SPACE = 3, LINE = 4 }; /* LINE: \r and \n, which are spaces too */

typedef struct {
    uint64_t at;    /* where its bytes begin in the arena */
    uint32_t bytes;
    uint32_t fresh; /* for ids: not known yet */
    int64_t count;  /* occurrences, or where its ids begin */
    uint32_t ids;
} Word;

typedef struct {
    uint64_t head;   /* the bytes of a short word, the hash of a longer one */
    uint32_t bytes;
    uint32_t number; /* of the word, + 1; 0: empty */
} Slot;

typedef struct { uint64_t pair; uint32_t rank, made; } Merge; /* rank + 1; 0: empty */

typedef struct {
    const uint8_t *classes; /* class of every code point */
    int64_t longest;        /* words are cut after so many bytes, 0: never */
    int64_t limit;          /* characters that a repetition takes, 0: any number */
    uint8_t *arena;
    uint64_t used, room;
    Word *words;
    uint64_t count, space;
    Slot *slots;
    uint64_t mask;
    uint64_t first; /* the first word that the last texts added */
    uint32_t *seen; /* the words of the texts that are being encoded */
    uint64_t seen_count, seen_space;
    uint32_t *ids;
    uint64_t ids_count, ids_space;
    Merge *merges; /* NULL: only the caller knows ids */
    uint64_t merges_mask;
    uint32_t of_byte[256];
} Table;

enum { MERGED = 128 }; /* bytes: longer words are left to the caller, who has a better algorithm for them */

static inline uint32_t point(const uint8_t *p, int *size) {
    uint8_t first = *p;
    if (first < 0x80) { *size = 1; return first; }
    if (first < 0xE0) { *size = 2; return ((first & 0x1Fu) << 6) | (p[1] & 0x3Fu); }
    if (first < 0xF0) { *size = 3; return ((first & 0x0Fu) << 12) | ((p[1] & 0x3Fu) << 6) | (p[2] & 0x3Fu); }
    *size = 4;
    return ((first & 0x07u) << 18) | ((p[1] & 0x3Fu) << 12) | ((p[2] & 0x3Fu) << 6) | (p[3] & 0x3Fu);
}

static inline int class_at(const Table *t, const uint8_t *p, const uint8_t *end, int *size) {
    if (p >= end) { *size = 0; return -1; }
    return t->classes[point(p, size)];
}

static const uint8_t *run(const Table *t, const uint8_t *p, const uint8_t *end, int wanted, int64_t limit) {
    int size;
    while (limit-- > 0 && class_at(t, p, end, &size) == wanted) p += size;
    return p;
}

/* The end of a contraction that begins at an apostrophe, or NULL. Case is folded as Unicode does: U+017F is an s. */
static const uint8_t *contraction(const uint8_t *p, const uint8_t *end) {
    if (end - p < 2) return NULL;
    uint8_t a = p[1] | 0x20;
    if (a == 's' || a == 'd' || a == 'm' || a == 't') return p + 2;
    if (end - p < 3) return NULL;
    if (p[1] == 0xC5 && p[2] == 0xBF) return p + 3;
    uint8_t b = p[2] | 0x20;
    return (a == 'l' && b == 'l') || (a == 'v' && b == 'e') || (a == 'r' && b == 'e') ? p + 3 : NULL;
}

static const uint8_t *word_end(const Table *t, const uint8_t *p, const uint8_t *end) {
    const int64_t limit = t->limit ? t->limit : INT64_MAX;
    int size, next_size;
    const int first = class_at(t, p, end, &size);
    if (*p == '\'') {
        const uint8_t *q = contraction(p, end);
        if (q) return q;
    }
    if (first == LETTER) return run(t, p, end, LETTER, limit);
    const int next = class_at(t, p + size, end, &next_size);
    if (next == LETTER && first != LINE && first != NUMBER) return run(t, p + size, end, LETTER, limit);
    if (first == NUMBER) return next == NUMBER ? p + size + next_size : p + size;
    if (first == SIGN || (*p == ' ' && next == SIGN)) {
        const uint8_t *q = run(t, *p == ' ' ? p + size : p, end, SIGN, limit);
        return run(t, q, end, LINE, limit);
    }
    /* White space: up to its last line end, else all but what begins the next word. */
    const uint8_t *q = p, *lines = NULL, *last = p;
    int64_t taken = 0;
    for (int kind; (kind = class_at(t, q, end, &size)) == SPACE || kind == LINE; q += size, taken++) {
        if (taken == limit) {
            if (kind == LINE) lines = q;
            break;
        }
        if (kind == LINE) lines = q;
        last = q;
    }
    if (lines) return run(t, lines, end, LINE, limit);
    return q == end || last == p || taken == limit ? q : last;
}

static inline uint64_t mixed(uint64_t h) {
    h *= 0xD6E8FEB86659FD93ull;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93ull;
    return h ^ (h >> 29);
}

static inline uint64_t head_of(const uint8_t *p, uint64_t n) {
    if (n < 4) return (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    if (n <= 8) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        return (uint64_t)high << 32 | low;
    }
    uint64_t h = n, v;
    for (uint64_t i = 0; i + 8 < n; i += 8) {
        memcpy(&v, p + i, 8);
        h = (h ^ v) * 0x9E3779B97F4A7C15ull;
        h ^= h >> 32;
    }
    memcpy(&v, p + n - 8, 8);
    return mixed(h ^ v);
}

static int grow(void **memory, uint64_t *room, uint64_t wanted, uint64_t size) {
    if (wanted <= *room) return 1;
    uint64_t more = *room ? *room * 2 : 1024;
    while (more < wanted) more *= 2;
    void *made = realloc(*memory, more * size);
    if (!made) return 0;
    *memory = made; *room = more;
    return 1;
}

static int rehash(Table *t) {
    const uint64_t size = (t->mask + 1) * 2;
    Slot *slots = calloc(size, sizeof *slots);
    if (!slots) return 0;
    for (uint64_t i = 0; i <= t->mask; i++) {
        if (!t->slots[i].number) continue;
        uint64_t at = mixed(t->slots[i].head ^ t->slots[i].bytes) & (size - 1);
        while (slots[at].number) at = (at + 1) & (size - 1);
        slots[at] = t->slots[i];
    }
    free(t->slots);
    t->slots = slots; t->mask = size - 1;
    return 1;
}

/* The number of a word, which is made where it is new; UINT32_MAX without memory. */
static inline uint32_t number_of(Table *t, const uint8_t *p, uint64_t n) {
    const uint64_t head = head_of(p, n);
    uint64_t at = mixed(head ^ (uint32_t)n) & t->mask;
    for (; t->slots[at].number; at = (at + 1) & t->mask) {
        const Slot *s = &t->slots[at];
        if (s->head == head && s->bytes == n && (n <= 8 || !memcmp(t->arena + t->words[s->number - 1].at, p, n)))
            return s->number - 1;
    }
    if (!grow((void **)&t->arena, &t->room, t->used + n, 1) || t->count >= UINT32_MAX - 1 || n > UINT32_MAX ||
        !grow((void **)&t->words, &t->space, t->count + 1, sizeof *t->words))
        return UINT32_MAX;
    memcpy(t->arena + t->used, p, n);
    t->words[t->count] = (Word){t->used, (uint32_t)n, 1, 0, 0};
    t->used += n;
    t->slots[at] = (Slot){head, (uint32_t)n, (uint32_t)++t->count};
    if (t->count * 2 > t->mask && !rehash(t)) return UINT32_MAX;
    return (uint32_t)(t->count - 1);
}

API Table *words_new(const uint8_t *classes, int64_t longest, int64_t limit) {
    Table *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->classes = classes; t->longest = longest; t->limit = limit;
    t->mask = (1u << 10) - 1;
    t->slots = calloc(t->mask + 1, sizeof *t->slots);
    if (!t->slots) { free(t); return NULL; }
    return t;
}

API void words_free(Table *t) {
    if (!t) return;
    free(t->arena); free(t->words); free(t->slots); free(t->seen); free(t->ids); free(t->merges); free(t);
}

API uint64_t words_count(const Table *t) { return t->count; }
API uint64_t words_bytes(const Table *t) { return t->used; }

/* Bytes of memory that the words hold, for the one who bounds it. */
API uint64_t words_memory(const Table *t) { return t->used + t->count * sizeof(Word) + (t->mask + 1) * sizeof(Slot); }

/* Counts the words of `rows` texts; 0, or -1 without memory. */
API int words_add(Table *t, const uint8_t *data, const int64_t *offsets, int64_t rows) {
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *p = data + offsets[row], *end = data + offsets[row + 1];
        while (p < end) {
            const uint8_t *stop = word_end(t, p, end);
            while (p < stop) {
                const uint8_t *cut = stop;
                if (t->longest && stop - p > t->longest) {
                    cut = p + t->longest;
                    while ((*cut & 0xC0) == 0x80) cut--; /* at the beginning of a character */
                }
                const uint32_t number = number_of(t, p, (uint64_t)(cut - p));
                if (number == UINT32_MAX) return -1;
                t->words[number].count++;
                p = cut;
            }
        }
    }
    return 0;
}

typedef struct { uint64_t prefix; const uint8_t *p; uint32_t bytes; uint32_t number; } Ordered;

static int by_bytes(const void *left, const void *right) {
    const Ordered *a = left, *b = right;
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    const uint32_t n = a->bytes < b->bytes ? a->bytes : b->bytes;
    const int c = memcmp(a->p, b->p, n);
    return c ? c : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* All words sorted by their bytes, with their counts; 0, or -1 without memory. Offsets has one more than words. */
API int words_sorted(const Table *t, uint8_t *bytes, int64_t *offsets, int64_t *counts) {
    Ordered *order = malloc((t->count ? t->count : 1) * sizeof *order);
    if (!order) return -1;
    for (uint64_t i = 0; i < t->count; i++) {
        const Word *w = &t->words[i];
        uint64_t prefix = 0;
        for (uint32_t j = 0; j < 8; j++) prefix = prefix << 8 | (j < w->bytes ? t->arena[w->at + j] : 0);
        order[i] = (Ordered){prefix, t->arena + w->at, w->bytes, (uint32_t)i};
    }
    qsort(order, t->count, sizeof *order, by_bytes);
    int64_t at = 0;
    for (uint64_t i = 0; i < t->count; i++) {
        memcpy(bytes + at, order[i].p, order[i].bytes);
        offsets[i] = at;
        counts[i] = t->words[order[i].number].count;
        at += order[i].bytes;
    }
    offsets[t->count] = at;
    free(order);
    return 0;
}

API void words_clear(Table *t) {
    t->used = t->count = t->ids_count = t->seen_count = 0;
    memset(t->slots, 0, (t->mask + 1) * sizeof *t->slots);
}

/* Merges of byte-level BPE in the order of their ranks, and the symbol of each byte: words are then merged here. 0, or
 * -1 without memory. */
API int words_merges(Table *t, const uint32_t *left, const uint32_t *right, const uint32_t *made, int64_t count,
                     const uint32_t *of_byte) {
    uint64_t size = 64;
    while (size < (uint64_t)count * 2) size *= 2;
    t->merges = calloc(size, sizeof *t->merges);
    if (!t->merges) return -1;
    t->merges_mask = size - 1;
    memcpy(t->of_byte, of_byte, sizeof t->of_byte);
    for (int64_t i = 0; i < count; i++) {
        const uint64_t pair = (uint64_t)left[i] << 32 | right[i];
        uint64_t at = mixed(pair) & t->merges_mask;
        while (t->merges[at].rank && t->merges[at].pair != pair) at = (at + 1) & t->merges_mask;
        t->merges[at] = (Merge){pair, (uint32_t)i + 1, made[i]}; /* said twice, the last counts, as in the library */
    }
    return 0;
}

static inline const Merge *merge_of(const Table *t, uint32_t left, uint32_t right) {
    const uint64_t pair = (uint64_t)left << 32 | right;
    uint64_t at = mixed(pair) & t->merges_mask;
    while (t->merges[at].rank && t->merges[at].pair != pair) at = (at + 1) & t->merges_mask;
    return &t->merges[at];
}

/* The ids of a new word: the pair of the lowest rank is merged, the first of them, until there is none. */
static int encode(Table *t, Word *w) {
    uint32_t symbols[MERGED];
    const Merge *found[MERGED];
    uint32_t n = w->bytes;
    const uint8_t *p = t->arena + w->at;
    for (uint32_t i = 0; i < n; i++) symbols[i] = t->of_byte[p[i]];
    for (uint32_t i = 0; i + 1 < n; i++) found[i] = merge_of(t, symbols[i], symbols[i + 1]);
    for (;;) {
        uint32_t best = 0, rank = UINT32_MAX;
        for (uint32_t i = 0; i + 1 < n; i++)
            if (found[i]->rank && found[i]->rank < rank) { rank = found[i]->rank; best = i; }
        if (rank == UINT32_MAX) break;
        symbols[best] = found[best]->made;
        n--;
        for (uint32_t i = best + 1; i < n; i++) symbols[i] = symbols[i + 1];
        for (uint32_t i = best + 1; i + 1 < n; i++) found[i] = found[i + 1];
        if (best + 1 < n) found[best] = merge_of(t, symbols[best], symbols[best + 1]);
        if (best) found[best - 1] = merge_of(t, symbols[best - 1], symbols[best]);
    }
    if (!grow((void **)&t->ids, &t->ids_space, t->ids_count + n, sizeof *t->ids)) return 0;
    memcpy(t->ids + t->ids_count, symbols, n * sizeof *symbols);
    w->count = (int64_t)t->ids_count;
    w->ids = n;
    w->fresh = 0;
    t->ids_count += n;
    return 1;
}

/* Finds the words of texts that are to be encoded; how many of them only the caller can know the ids of, or -1 without
 * memory. `ends` says where the words of each text end. */
API int64_t words_find(Table *t, const uint8_t *data, const int64_t *offsets, int64_t rows, int64_t *ends) {
    int64_t fresh = 0;
    t->first = t->count;
    t->seen_count = 0;
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *p = data + offsets[row], *end = data + offsets[row + 1];
        while (p < end) {
            const uint8_t *stop = word_end(t, p, end);
            const uint64_t before = t->count;
            const uint32_t number = number_of(t, p, (uint64_t)(stop - p));
            if (number == UINT32_MAX || !grow((void **)&t->seen, &t->seen_space, t->seen_count + 1, sizeof *t->seen))
                return -1;
            if (t->count > before) {
                if (!t->merges || stop - p > MERGED) fresh++;
                else if (!encode(t, &t->words[number])) return -1;
            }
            t->seen[t->seen_count++] = number;
            p = stop;
        }
        ends[row] = (int64_t)t->seen_count;
    }
    return fresh;
}

/* The bytes and offsets of the words that the caller has to say the ids of; returns how many bytes they are. */
API uint64_t words_fresh(const Table *t, uint8_t *bytes, int64_t *offsets) {
    uint64_t at = 0;
    int64_t found = 0;
    for (uint64_t i = t->first; i < t->count; i++) {
        const Word *w = &t->words[i];
        if (!w->fresh) continue;
        if (bytes) memcpy(bytes + at, t->arena + w->at, w->bytes);
        at += w->bytes;
        if (offsets) offsets[++found] = (int64_t)at;
    }
    return at;
}

/* The ids of those words; 0, or -1 without memory. */
API int words_learn(Table *t, const uint32_t *ids, const int64_t *offsets, int64_t count) {
    if (!grow((void **)&t->ids, &t->ids_space, t->ids_count + (uint64_t)offsets[count], sizeof *t->ids)) return -1;
    int64_t found = 0;
    for (uint64_t i = t->first; i < t->count && found < count; i++) {
        Word *w = &t->words[i];
        if (!w->fresh) continue;
        w->count = (int64_t)t->ids_count + offsets[found];
        w->ids = (uint32_t)(offsets[found + 1] - offsets[found]);
        w->fresh = 0;
        found++;
    }
    memcpy(t->ids + t->ids_count, ids, (uint64_t)offsets[count] * sizeof *ids);
    t->ids_count += (uint64_t)offsets[count];
    return 0;
}

/* How many ids the texts that were found have. */
API int64_t words_length(const Table *t) {
    int64_t total = 0;
    for (uint64_t i = 0; i < t->seen_count; i++) total += t->words[t->seen[i]].ids;
    return total;
}

/* The ids of the texts that were found, and where each text ends, from where its words end. */
API void words_ids(const Table *t, int64_t rows, int64_t *ends, uint32_t *out) {
    uint64_t i = 0;
    int64_t at = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (; i < (uint64_t)ends[row]; i++) {
            const Word *w = &t->words[t->seen[i]];
            const uint32_t *from = t->ids + w->count;
            for (uint32_t j = 0; j < w->ids; j++) out[at + j] = from[j];
            at += w->ids;
        }
        ends[row] = at;
    }
}
