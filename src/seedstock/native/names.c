/* Character references as html.unescape decodes them, and what the names of an element hint at. */
#include "page.h"

enum { ATTRIBUTES = 2048, NAMES = 8, NAME = 64, REFERENCE = 32 };

static int encode(uint8_t *out, int64_t c)
{
    if (c < 0x80) { out[0] = (uint8_t)c; return 1; }
    if (c < 0x800) { out[0] = (uint8_t)(0xC0 | c >> 6), out[1] = (uint8_t)(0x80 | (c & 63)); return 2; }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12), out[1] = (uint8_t)(0x80 | (c >> 6 & 63)), out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18), out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63)), out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static int numbered(const Known *known, int64_t c, uint8_t *out)
{
    if (c < LOW_CODES) return known->low[c] < 0 ? 0 : encode(out, known->low[c]);
    if ((c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) return encode(out, 0xFFFD);
    if ((c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE) return 0;
    return encode(out, c);
}

/* The number of an entity's name, or -1. */
static int named(const Known *known, const uint8_t *s, int64_t n)
{
    int low = 0, high = known->entities - 1;
    while (low <= high) {
        int at = low + (high - low) / 2;
        int64_t begin = known->entity_at[at], size = known->entity_at[at + 1] - begin;
        int order = memcmp(known->entity + begin, s, (size_t)(size < n ? size : n));
        if (!order) order = size < n ? -1 : size > n;
        if (!order) return at;
        if (order < 0) low = at + 1;
        else high = at - 1;
    }
    return -1;
}

int64_t seedstock_reference(const Known *known, const uint8_t *s, int64_t n, uint8_t *out, int *made)
{
    int64_t at = 1;
    if (n > 1 && s[1] == '#') {
        int hex = n > 2 && (s[2] | 32) == 'x';
        int64_t begin = at = 2 + hex, value = 0;
        for (; at < n && (hex ? hexadecimal(s[at]) : digit(s[at])); at++) {
            value = value * (hex ? 16 : 10) + (digit(s[at]) ? s[at] - '0' : (s[at] | 32) - 'a' + 10);
            if (value > 0x110000) value = 0x110000;
        }
        if (at == begin) return 0;
        *made = numbered(known, value, out);
        return at + (at < n && s[at] == ';');
    }
    for (int count = 0; at < n; at++) {
        uint8_t c = s[at];
        if (c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' || c == ';') break;
        if (!continued(c) && ++count > REFERENCE) break;
    }
    if (at == 1) return 0;
    at += at < n && s[at] == ';';
    for (; at > 2; at--) {
        int number = named(known, s + 1, at - 1);
        if (number >= 0) {
            int64_t begin = known->value_at[number];
            *made = known->value_at[number + 1] - (int)begin;
            memcpy(out, known->value + begin, (size_t)*made);
            return at;
        }
    }
    return 0;
}

static int blank(uint8_t c) { return CLASS[c] == 1 || CLASS[c] == 2; }

typedef struct {
    const Known *known;
    uint64_t found;
    int count; /* names so far */
} Hints;

/* One name: its words run through the automaton. */
static void add(Hints *hints, const uint8_t *s, int64_t n)
{
    const int16_t *next = hints->known->next;
    uint64_t own = 0;
    if (n > NAME) n = NAME;
    for (int64_t at = 0; at < n;) {
        if (s[at] < 'a' || s[at] > 'z') { at++; continue; }
        int state = next[26];
        for (; at < n && s[at] >= 'a' && s[at] <= 'z'; at++) own |= hints->known->found[state = next[STATES * state + s[at] - 'a']];
        own |= hints->known->found[next[STATES * state + 27]];
    }
    if ((own & hints->known->article) && (own & hints->known->text)) own |= hints->known->body;
    hints->found |= own;
}

static void split(Hints *hints, const uint8_t *s, int64_t n)
{
    for (int64_t at = 0; at < n && hints->count < NAMES;) {
        while (at < n && blank(s[at])) at++;
        int64_t begin = at;
        while (at < n && !blank(s[at])) at++;
        if (at > begin) hints->count++, add(hints, s + begin, at - begin);
    }
}

static int64_t find(const uint8_t *s, int64_t n, const char *what, int64_t at)
{
    int64_t size = (int64_t)strlen(what);
    for (; at + size <= n; at++) {
        const uint8_t *next = memchr(s + at, what[0], (size_t)(n - size + 1 - at));
        if (!next) return -1;
        at = next - s;
        if (!memcmp(next, what, (size_t)size)) return at;
    }
    return -1;
}

static const char *const KEYS[] = {"class", "id", "role", "itemprop"};

/* The value of a wanted attribute whose name would begin at `at`: its end, with the value in *begin and *stop; or -1. */
static int64_t value_of(const uint8_t *s, int64_t n, int64_t at, int64_t *begin, int64_t *stop)
{
    for (int k = 0; k < 4; k++) {
        int64_t size = (int64_t)strlen(KEYS[k]), p = at + size, i = 0;
        if (p > n) continue;
        while (i < size && lower(s[at + i]) == (uint8_t)KEYS[k][i]) i++;
        if (i < size) continue;
        while (p < n && blank(s[p])) p++;
        if (p >= n || s[p++] != '=') return -1;
        while (p < n && blank(s[p])) p++;
        if (p < n && (s[p] == '"' || s[p] == '\'')) {
            const uint8_t *quote = memchr(s + p + 1, s[p], (size_t)(n - p - 1));
            if (!quote) return -1;
            *begin = p + 1, *stop = quote - s;
            return *stop + 1;
        }
        *begin = p;
        while (p < n && !blank(s[p]) && s[p] != '"' && s[p] != '\'' && s[p] != '>') p++;
        *stop = p;
        return p > *begin ? p : -1;
    }
    return -1;
}

uint64_t seedstock_hints(const Known *known, const uint8_t *attributes, int64_t n)
{
    uint8_t s[ATTRIBUTES], small[ATTRIBUTES];
    size_t length = 0;
    for (int64_t i = 0; i < n; i++) { /* a character beyond ASCII is one question mark */
        if (continued(attributes[i])) continue;
        if (length == ATTRIBUTES) break;
        s[length++] = attributes[i] < 128 ? attributes[i] : '?';
    }
    for (size_t i = 0; i < length; i++) small[i] = lower(s[i]);
    int64_t size = (int64_t)length;
    Hints hints = {known, 0, 0};
    int equal = memchr(s, '=', length) != NULL, quoted = memchr(s, '"', length) != NULL;
    if (equal && !memchr(s, '\'', length) && find(s, size, "itemprop", 0) < 0 && find(s, size, "role", 0) < 0) {
        int some = 0;
        for (int k = 0; k < 2; k++) {
            const char *key = k ? " id=\"" : "class=\"";
            int64_t at = find(s, size, key, 0), end;
            if (at < 0) continue;
            at += (int64_t)strlen(key);
            end = find(s, size, "\"", at);
            if (end < 0) end = size - 1;
            if (end > at) split(&hints, small + at, end - at);
            some = 1;
        }
        if (some || quoted) return hints.found;
    }
    for (int64_t at = 0; at < size;) {
        int64_t begin = 0, stop = 0, end = at ? -1 : value_of(s, size, 0, &begin, &stop);
        if (end < 0 && blank(s[at])) end = value_of(s, size, at + 1, &begin, &stop);
        if (end < 0) { at++; continue; }
        while (begin < stop && (s[begin] == '"' || s[begin] == '\'')) begin++;
        while (stop > begin && (s[stop - 1] == '"' || s[stop - 1] == '\'')) stop--;
        split(&hints, small + begin, stop - begin);
        at = end;
    }
    return hints.found;
}
