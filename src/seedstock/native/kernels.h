/* What the kernels are: functions over raw UTF-8 texts, data[offsets[i]] to data[offsets[i + 1]], that hold no lock. */
#ifndef SEEDSTOCK_KERNELS_H
#define SEEDSTOCK_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define GOPHER_COLUMNS 24
#define LONG_WORD 4096 /* bytes: shingles.LONG */

/* Counts of each text, out[rows][GOPHER_COLUMNS]; n-grams are looked for in its first longest words. Letters is a bit
   for each code point. 0 where there is no memory. */
int gopher_counts(const uint8_t *data, const int64_t *offsets, size_t rows, const uint8_t *letters, size_t longest,
                  int64_t *out);

/* The hashes of all runs of size words, out, and how many each text has, counts[rows]; -1 where a word is longer than
   LONG_WORD (its hash is not made here), -2 where there is no memory, else the number of hashes. */
int64_t shingle_hashes(const uint8_t *data, const int64_t *offsets, size_t rows, size_t size, uint64_t *out,
                       int64_t *counts);

/* The minima of each text's permuted shingles, out[rows][count], and how many shingles it has, counts[rows]; a text
   without any has the largest number in each. Returns as shingle_hashes. */
int64_t minhash_signatures(const uint8_t *data, const int64_t *offsets, size_t rows, size_t size,
                           const uint32_t *multipliers, const uint32_t *addends, size_t count, uint32_t *out,
                           int64_t *counts);

#endif
