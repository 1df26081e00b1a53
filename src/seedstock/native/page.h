/* A page of HTML in UTF-8, as markup.c finds it and features.c and compose.c read it. */
#ifndef SEEDSTOCK_PAGE_H
#define SEEDSTOCK_PAGE_H

#include "text.h"

enum { RAW = 1, FENCE = 2, PASSES = 4, IS_P = 8, IS_HEAD = 16, CELL = 32, ITEM = 64, VERBATIM = 128 }; /* of names */
enum { LINE = 6, STATES = 28, ENTITY = 8, LOW_CODES = 160 };

typedef struct {
    int32_t n;               /* known names of elements */
    const char *names;       /* [n, 16], padded with zeros */
    const uint8_t *kinds;    /* [n] */
    const uint8_t *marks;    /* [n] */
    const uint8_t *ends;     /* [n, n]: whether opening the first ends an open second */
    const uint16_t *tags;    /* [n]: bits of features.TAGS */
    const uint64_t *above;   /* [n]: bits of features.ABOVE */
    const int16_t *next;     /* [states, 28]: an automaton over a-z, the begin and the end of a word */
    const uint64_t *found;   /* [states]: bits of features.WORDS that a state says */
    uint64_t article, text, body;
    int32_t characters[2];   /* how many end a sentence, and how many quote */
    const int32_t *endings;  /* [characters[0] + characters[1]] */
    int32_t entities;
    const char *entity;      /* names one after another, sorted by their bytes */
    const int32_t *entity_at;/* [entities + 1] */
    const char *value;       /* their characters in UTF-8 */
    const int32_t *value_at; /* [entities + 1] */
    const int32_t *low;      /* [160]: what the first numbers mean, -1 for nothing */
} Known;

typedef struct {
    int32_t nodes, lines, runs, head, head_end, root, root_end;
    int32_t *parent, *first, *last, *number; /* [nodes]; number: of its name, n for an unknown one */
    int32_t *name, *attributes;              /* [nodes, 2] */
    int32_t *line;                           /* [lines, 6]: node, chars, linked, links, break, runs so far */
    int32_t *run;                            /* [runs, 2] */
} Page;

/* What the reference at s, which begins with an ampersand, stands for: the bytes that it takes, with those that are
   written to out (at most 8) in *made; 0 where it is none. As html.unescape has it. */
int64_t seedstock_reference(const Known *known, const uint8_t *s, int64_t n, uint8_t *out, int *made);

/* The bits of features.WORDS (and "body") that the class, id, role and itemprop of an element say. */
uint64_t seedstock_hints(const Known *known, const uint8_t *attributes, int64_t n);

static inline int continued(uint8_t c) { return (c & 0xC0) == 0x80; }

static inline int64_t characters(const uint8_t *s, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += !continued(s[i]);
    return count;
}

static inline int digit(uint8_t c) { return c >= '0' && c <= '9'; }
static inline int letter(uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static inline int hexadecimal(uint8_t c) { return digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f'); }
static inline uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c | 32 : c; }

#endif
