/* Searches over the bytes of a whole page, a block at a time: what is looked for is rare. */
#include "page.h"

enum { BLOCK = 256 };

/* How many bytes are control characters other than tab, line feed, form feed and carriage return. */
WIDE int64_t seedstock_controls(const uint8_t *s, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        uint8_t c = s[i];
        count += (uint8_t)((c < 32) & (c != 9) & (c != 10) & (c != 12) & (c != 13)) | (uint8_t)(c == 127);
    }
    return count;
}

WIDE int64_t seedstock_count(const uint8_t *s, int64_t n, int32_t byte)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += s[i] == (uint8_t)byte;
    return count;
}

/* Characters of UTF-8. */
WIDE int64_t seedstock_characters(const uint8_t *s, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += (s[i] & 0xC0) != 0x80;
    return count;
}

/* Whether the first, a middle and the last byte of the word stand as far apart as in it anywhere from s on. */
WIDE static int likely(const uint8_t *s, int64_t n, const uint8_t *word, int64_t size)
{
    uint8_t first = word[0], middle = word[size / 2], last = word[size - 1], found = 0;
    const uint8_t *two = s + size / 2, *three = s + size - 1;
    for (int64_t i = 0; i < n; i++) found |= (uint8_t)((s[i] == first) & (two[i] == middle) & (three[i] == last));
    return found;
}

/* Where a word of at least one byte stands from `at` on, one place after another and none inside another: how many were
   written, at most `most`. */
int64_t seedstock_find(const uint8_t *s, int64_t n, const uint8_t *word, int64_t size, int64_t at, int64_t most, int64_t *out)
{
    int64_t count = 0, last = n - size + 1; /* a word begins before this */
    while (at < last && count < most) {
        int64_t block = last - at < BLOCK ? last - at : BLOCK, next = at + block;
        if (likely(s + at, block, word, size))
            for (int64_t i = at; i < at + block && count < most; i++)
                if (s[i] == word[0] && !memcmp(s + i, word, (size_t)size)) {
                    out[count++] = i;
                    i += size - 1;
                    if (i + 1 > next) next = i + 1;
                }
        at = next;
    }
    return count;
}
