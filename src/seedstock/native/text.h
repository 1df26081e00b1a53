/* Words, lines and hashes of raw UTF-8: the rules of corpus/words.py. */
#ifndef SEEDSTOCK_TEXT_H
#define SEEDSTOCK_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Loops marked so are compiled for several instruction sets, of which the machine's best is taken at run time. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

#if defined(__GNUC__)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#else
#define LIKELY(x) (x)
#endif

/* 1: white space, 2: the line feed, 3: the first byte of a character that may be white space, 0: anything else. */
static const uint8_t CLASS[256] = {
    [9] = 1, [10] = 2, [11] = 1, [12] = 1, [13] = 1, [28] = 1, [29] = 1, [30] = 1, [31] = 1, [32] = 1,
    [0xC2] = 3, [0xE1] = 3, [0xE2] = 3, [0xE3] = 3,
};

/* Bytes of the white space of more than one byte at p, 0 where there is none: U+0085, 00A0, 1680, 2000 to 200A, 2028,
   2029, 202F, 205F, 3000. */
static inline size_t wide_space(const uint8_t *p, const uint8_t *end)
{
    if (p[0] == 0xC2)
        return end - p > 1 && (p[1] == 0x85 || p[1] == 0xA0) ? 2 : 0;
    if (end - p < 3)
        return 0;
    if (p[0] == 0xE1)
        return p[1] == 0x9A && p[2] == 0x80 ? 3 : 0;
    if (p[0] == 0xE3)
        return p[1] == 0x80 && p[2] == 0x80 ? 3 : 0;
    if (p[1] == 0x80)
        return (p[2] >= 0x80 && p[2] <= 0x8A) || p[2] == 0xA8 || p[2] == 0xA9 || p[2] == 0xAF ? 3 : 0;
    return p[1] == 0x81 && p[2] == 0x9F ? 3 : 0;
}

/* Bytes of the white space at p, 0 where a word begins. */
static inline size_t space(const uint8_t *p, const uint8_t *end)
{
    uint8_t kind = CLASS[*p];
    return kind == 0 ? 0 : kind < 3 ? 1 : wide_space(p, end);
}

/* The end of the word that begins at p. */
static inline const uint8_t *word_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end) {
        uint8_t kind = CLASS[*p];
        if (LIKELY(kind == 0))
            p++;
        else if (kind < 3 || wide_space(p, end))
            break;
        else
            p++;
    }
    return p;
}

/* The finaliser of SplitMix64, as words.mix. */
static inline uint64_t mix(uint64_t v)
{
    v += 0x9E3779B97F4A7C15u;
    v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9u;
    v = (v ^ (v >> 27)) * 0x94D049BB133111EBu;
    return v ^ (v >> 31);
}

/* A hash for tables that compare what they find; not for results. */
static inline uint64_t quick_hash(const uint8_t *p, size_t n)
{
    uint64_t h = n * 0x9E3779B97F4A7C15u, v;
    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&v, p, 8);
        h = (h ^ v) * 0xD1342543DE82EF95u;
        h ^= h >> 32;
    }
    v = 0;
    switch (n) { /* no byte beyond the end is read */
    case 7: v |= (uint64_t)p[6] << 48; /* fall through */
    case 6: v |= (uint64_t)p[5] << 40; /* fall through */
    case 5: v |= (uint64_t)p[4] << 32; /* fall through */
    case 4: v |= (uint64_t)p[3] << 24; /* fall through */
    case 3: v |= (uint64_t)p[2] << 16; /* fall through */
    case 2: v |= (uint64_t)p[1] << 8; /* fall through */
    case 1: v |= (uint64_t)p[0]; /* fall through */
    default: break;
    }
    h = (h ^ v) * 0xBF58476D1CE4E5B9u;
    h ^= h >> 29;
    h *= 0x94D049BB133111EBu;
    return h ^ (h >> 32);
}

/* Room for count items of size bytes in *block, which has *room; 0 where there is no memory. */
static inline int reserve(void **block, size_t *room, size_t count, size_t size)
{
    if (count <= *room)
        return 1;
    size_t wanted = *room ? *room : 1024;
    while (wanted < count)
        wanted *= 2;
    void *grown = realloc(*block, wanted * size);
    if (!grown)
        return 0;
    *block = grown;
    *room = wanted;
    return 1;
}

#endif
