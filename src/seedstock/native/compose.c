/* Chosen lines put together with the place of every stretch, as corpus/extract/compose.py does, in bytes. */
#include "page.h"

enum { DIGITS = 9, HEX_DIGITS = 8, NAME = 32 };

typedef struct {
    int64_t room, places, size, count; /* bytes of text and stretches that there is room for; those written */
    uint8_t *text;
    int64_t *place; /* [places, 4]: text start, text end, source start, source end */
} Composed;

/* Adds what the source has at [low, high) as `size` bytes more of text; 0 where there is no room for it. */
static int place(Composed *out, int64_t first, int64_t size, int64_t low, int64_t high)
{
    if (!size) return 1;
    int64_t *last = out->count > first ? out->place + 4 * (out->count - 1) : NULL;
    if (last && size == high - low && last[1] - last[0] == last[3] - last[2] && last[1] == out->size - size && last[3] == low) {
        last[1] = out->size, last[3] = high;
        return 1;
    }
    if (out->count == out->places) return 0;
    last = out->place + 4 * out->count++;
    last[0] = out->size - size, last[1] = out->size, last[2] = low, last[3] = high;
    return 1;
}

/* The end of what looks like a character reference at `at`; at + 1 where it is an ampersand alone. */
static int64_t reference_end(const uint8_t *s, int64_t at, int64_t stop)
{
    int64_t p = at + 1, begin;
    if (p < stop && s[p] == '#') {
        int hex = p + 1 < stop && (s[p + 1] | 32) == 'x';
        begin = p = p + 1 + hex;
        while (p < stop && p - begin < (hex ? HEX_DIGITS : DIGITS) && (hex ? hexadecimal(s[p]) : digit(s[p]))) p++;
        if (p == begin) return at + 1;
    } else {
        begin = p;
        if (p < stop && letter(s[p]))
            while (p < stop && p - begin < NAME && (letter(s[p]) || digit(s[p]))) p++;
        if (p - begin < 2) return at + 1;
    }
    return p + (p < stop && s[p] == ';');
}

static int all_blank(const uint8_t *s, int64_t n)
{
    for (int64_t at = 0; at < n;) {
        size_t size = space(s + at, s + n);
        if (!size) return 0;
        at += (int64_t)size;
    }
    return n > 0;
}

/* Without the white space at its end. */
static int64_t stripped(const uint8_t *s, int64_t n)
{
    while (n > 0) {
        int64_t last = n - 1;
        while (last > 0 && continued(s[last])) last--;
        if (space(s + last, s + n) != (size_t)(n - last)) break;
        n = last;
    }
    return n;
}

static int64_t blanks(const uint8_t *s, int64_t at, int64_t stop)
{
    for (size_t size; at < stop && (size = space(s + at, s + stop));) at += (int64_t)size;
    return at;
}

/* Words with single blanks between them. */
static int64_t chunk(const uint8_t *s, int64_t at, int64_t stop)
{
    for (;;) {
        while (at < stop && s[at] != '&' && !space(s + at, s + stop)) at++;
        if (at + 1 >= stop || s[at] != ' ' || s[at + 1] == '&' || space(s + at + 1, s + stop)) return at;
        at++;
    }
}

/* One run of a line; *blank: whether the last piece of the line ends with a blank. 0 where there is no room. */
static int add_run(const Known *known, const uint8_t *s, int64_t at, int64_t stop, int verbatim, int64_t base, int64_t first,
                   int *blank, Composed *out)
{
    while (at < stop) {
        int64_t end, size;
        uint8_t *to = out->text + out->size;
        if (s[at] == '&') {
            end = reference_end(s, at, stop);
            int made = 0;
            int64_t taken = end > at + 1 ? seedstock_reference(known, s + at, end - at, to, &made) : 0;
            memcpy(to + made, s + at + taken, (size_t)(end - at - taken));
            size = made + end - at - taken;
            if (!verbatim && all_blank(to, size)) to[0] = ' ', size = 1;
        } else if (verbatim) {
            const uint8_t *next = memchr(s + at, '&', (size_t)(stop - at));
            end = next ? next - s : stop, size = end - at;
            memcpy(to, s + at, (size_t)size);
        } else if (space(s + at, s + stop)) {
            end = blanks(s, at, stop), size = 1;
            to[0] = ' ';
        } else {
            end = chunk(s, at, stop), size = end - at;
            memcpy(to, s + at, (size_t)size);
        }
        if (verbatim || size != 1 || to[0] != ' ' || (out->size > base && !*blank)) {
            *blank = size > 0 && to[size - 1] == ' ';
            out->size += size;
            if (!place(out, first, size, at, end)) return 0;
        }
        at = end;
    }
    return 1;
}

/* Leaves [low, high) of the text from the stretches from `first` on, with the text before it at `base` for its place. */
static void cut(Composed *out, int64_t first, int64_t base, int64_t low, int64_t high)
{
    int64_t kept = first;
    for (int64_t i = first; i < out->count; i++) {
        int64_t p[4];
        memcpy(p, out->place + 4 * i, sizeof p);
        if (p[1] <= low || p[0] >= high) continue;
        int plain = p[1] - p[0] == p[3] - p[2];
        int64_t before = p[0] < low ? low - p[0] : 0, after = p[1] > high ? p[1] - high : 0;
        if (plain) p[2] += before, p[3] -= after;
        p[0] += before - (low - base), p[1] -= after + (low - base);
        memcpy(out->place + 4 * kept++, p, sizeof p);
    }
    out->count = kept;
    memmove(out->text + base, out->text + low, (size_t)(high - low));
    out->size = base + high - low;
}

static int marks_of(const Known *known, const Page *page, int node)
{
    return page->number[node] < known->n ? known->marks[page->number[node]] : 0;
}

static int is_verbatim(const Known *known, const Page *page, int node)
{
    for (; node > 0; node = page->parent[node])
        if (marks_of(known, page, node) & VERBATIM) return 1;
    return 0;
}

static const char *gap(const Known *known, const Page *page, int before, int after)
{
    int one = page->line[LINE * before], two = page->line[LINE * after];
    if (one == two) return after == before + 1 ? "\n" : "\n\n";
    int both = marks_of(known, page, one) & marks_of(known, page, two);
    if (both & CELL) return page->parent[one] == page->parent[two] ? "\t" : "\n";
    return both & ITEM ? "\n" : "\n\n";
}

/* Returns 0; 1 where there is no room for the text, 2 where there is none for the stretches. */
int seedstock_compose(const Known *known, const uint8_t *s, const Page *page, const int32_t *chosen, int64_t n, Composed *out)
{
    int before = -1;
    out->size = out->count = 0;
    for (int64_t i = 0; i < n; i++) {
        int number = chosen[i], node = page->line[LINE * number], verbatim = is_verbatim(known, page, node), blank = 0;
        int from = number ? page->line[LINE * (number - 1) + 5] : 0, to = page->line[LINE * number + 5];
        int64_t length = 2 + ENTITY, first = out->count, start = out->size;
        for (int r = from; r < to; r++) length += 2 * (int64_t)(page->run[2 * r + 1] - page->run[2 * r]);
        if (length > out->room - out->size) return 1;
        const char *between = before >= 0 ? gap(known, page, before, number) : "";
        int64_t base = start + (int64_t)strlen(between);
        memcpy(out->text + start, between, (size_t)(base - start));
        out->size = base;
        for (int r = from; r < to; r++)
            if (!add_run(known, s, page->run[2 * r], page->run[2 * r + 1], verbatim, base, first, &blank, out)) return 2;
        int64_t low = base, high = out->size;
        if (verbatim) {
            while (low < high && out->text[low] == '\n') low++;
            while (high > low && out->text[high - 1] == '\n') high--;
        }
        high = low + stripped(out->text + low, high - low);
        cut(out, first, base, low, high);
        if (high > low) before = number;
        else out->size = start, out->count = first;
    }
    return 0;
}
