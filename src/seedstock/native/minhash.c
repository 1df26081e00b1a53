/* Shingles and MinHash signatures, number by number as dedup/shingles.py and dedup/minhash.py make them in numpy. */
#include "kernels.h"
#include "text.h"

#define STEP 0xD1342543DE82EF95u
#define LANES 16

/* As shingles.hash_words: the bytes plus one as a polynomial in STEP, mixed with their number. */
static inline uint64_t hash_word(const uint8_t *p, size_t n)
{
    uint64_t even = 0, odd = 0;
    size_t i = n;
    if (i & 1)
        even = (uint64_t)p[--i] + 1;
    /* Two chains of half the length: a product waits for the one before it. */
    while (i) {
        i -= 2;
        even = even * (STEP * STEP) + (uint64_t)p[i] + 1;
        odd = odd * (STEP * STEP) + (uint64_t)p[i + 1] + 1;
    }
    return mix((even + odd * STEP) ^ ((uint64_t)n << 48));
}

typedef struct {
    uint64_t *hashes;
    size_t room;
} Words;

/* The number of words of a text, their hashes in words; -1 or -2 as shingle_hashes. */
static int64_t hash_words(Words *words, const uint8_t *p, const uint8_t *end)
{
    size_t count = 0;
    while (p < end) {
        size_t white = space(p, end);
        if (white) {
            p += white;
            continue;
        }
        const uint8_t *stop = word_end(p, end);
        if (stop - p > LONG_WORD)
            return -1;
        if (!reserve((void **)&words->hashes, &words->room, count + 1, sizeof(uint64_t)))
            return -2;
        words->hashes[count++] = hash_word(p, (size_t)(stop - p));
        p = stop;
    }
    return (int64_t)count;
}

static inline uint64_t shingle(const uint64_t *words, size_t size)
{
    uint64_t rolled = words[0];
    for (size_t i = 1; i < size; i++)
        rolled = rolled * STEP + words[i];
    return mix(rolled);
}

int64_t shingle_hashes(const uint8_t *data, const int64_t *offsets, size_t rows, size_t size, uint64_t *out,
                       int64_t *counts)
{
    Words words = {0};
    int64_t total = 0, found = 0;
    for (size_t row = 0; row < rows; row++) {
        found = hash_words(&words, data + offsets[row], data + offsets[row + 1]);
        if (found < 0)
            break;
        counts[row] = (size_t)found >= size ? found - (int64_t)size + 1 : 0;
        for (int64_t i = 0; i < counts[row]; i++)
            out[total++] = shingle(words.hashes + i, size);
    }
    free(words.hashes);
    return found < 0 ? found : total;
}

/* Minima of LANES permutations over all hashes. */
WIDE static void minima(const uint32_t *restrict hashes, size_t n, const uint32_t *restrict multipliers,
                        const uint32_t *restrict addends, uint32_t *restrict out)
{
    uint32_t m[LANES], a[LANES], least[LANES];
    memcpy(m, multipliers, sizeof m);
    memcpy(a, addends, sizeof a);
    memset(least, 0xFF, sizeof least);
    for (size_t i = 0; i < n; i++) {
        uint32_t hash = hashes[i];
        for (int k = 0; k < LANES; k++) {
            uint32_t v = hash * m[k] + a[k];
            least[k] = v < least[k] ? v : least[k];
        }
    }
    memcpy(out, least, sizeof least);
}

int64_t minhash_signatures(const uint8_t *data, const int64_t *offsets, size_t rows, size_t size,
                           const uint32_t *multipliers, const uint32_t *addends, size_t count, uint32_t *out,
                           int64_t *counts)
{
    Words words = {0};
    uint32_t *low = NULL;
    size_t low_room = 0;
    int64_t total = 0, found = 0;
    for (size_t row = 0; row < rows; row++) {
        found = hash_words(&words, data + offsets[row], data + offsets[row + 1]);
        if (found < 0)
            break;
        counts[row] = (size_t)found >= size ? found - (int64_t)size + 1 : 0;
        if (!reserve((void **)&low, &low_room, (size_t)counts[row] + 1, sizeof(uint32_t))) {
            found = -2;
            break;
        }
        for (int64_t i = 0; i < counts[row]; i++)
            low[i] = (uint32_t)shingle(words.hashes + i, size);
        total += counts[row];
        uint32_t *own = out + row * count;
        size_t k = 0;
        for (; k + LANES <= count; k += LANES)
            minima(low, (size_t)counts[row], multipliers + k, addends + k, own + k);
        if (k < count) { /* the last permutations, with others that nobody asked for */
            uint32_t m[LANES] = {0}, a[LANES] = {0}, least[LANES];
            memcpy(m, multipliers + k, (count - k) * sizeof(uint32_t));
            memcpy(a, addends + k, (count - k) * sizeof(uint32_t));
            minima(low, (size_t)counts[row], m, a, least);
            memcpy(own + k, least, (count - k) * sizeof(uint32_t));
        }
    }
    free(words.hashes);
    free(low);
    return found < 0 ? found : total;
}
