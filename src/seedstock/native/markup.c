/* The markup pass of corpus/extract/markup.py over UTF-8, step for step: the same blocks, lines and places. */
#include "page.h"

typedef uint8_t u8;
enum { SKIPPED, LINK, HIDDEN, BREAK, EMPTY, ROOT, BLOCK };
enum { DEEPEST = 512, NEAR = 32, SLOTS = 1024, LONGEST_NAME = 15 };

static int name_char(u8 c) { return letter(c) || digit(c) || c == ':' || c == '_' || c == '.' || c == '-'; }

static int64_t find(const u8 *s, u8 c, int64_t at, int64_t end)
{
    const u8 *found = at < end ? memchr(s + at, c, (size_t)(end - at)) : NULL;
    return found ? found - s : -1;
}

/* Whether anything but white space lies in [at, end). */
static int speaks(const u8 *s, int64_t at, int64_t end)
{
    while (at < end) {
        size_t size = space(s + at, s + end);
        if (!size) return 1;
        at += (int64_t)size;
    }
    return 0;
}

typedef struct { int64_t begin, stop, name, name_end, attributes_end; int closing, named; } Tag;

/* The first tag at or after `at` and before `end`; 0 where there is none. */
static int next_tag(const u8 *s, int64_t at, int64_t end, Tag *tag)
{
    for (;; at++) {
        at = find(s, '<', at, end);
        if (at < 0 || at + 1 >= end) return 0;
        int64_t p = at + 1;
        int closing = s[p] == '/';
        if (p + closing < end && letter(s[p + closing])) {
            p += closing;
            tag->name = p;
            while (p < end && name_char(s[p])) p++;
            tag->name_end = p;
            while (p < end && s[p] != '>') {
                if (s[p++] != '=') continue;
                for (size_t size; p < end && (size = space(s + p, s + end));) p += (int64_t)size;
                if (p < end && (s[p] == '"' || s[p] == '\'')) {
                    int64_t quote = find(s, s[p], p + 1, end);
                    if (quote >= 0) p = quote + 1;
                }
            }
            if (p < end) {
                *tag = (Tag){at, p + 1, tag->name, tag->name_end, p, closing, 1};
                return 1;
            }
        }
        p = at + 1;
        int64_t stop = -1;
        if (end - p >= 3 && s[p] == '!' && s[p + 1] == '-' && s[p + 2] == '-') {
            int64_t q = p + 3;
            if (q < end && s[q] == '>') stop = q + 1;
            else if (q + 1 < end && s[q] == '-' && s[q + 1] == '>') stop = q + 2;
            else
                for (; stop < 0 && (q = find(s, '-', q, end)) >= 0; q++) {
                    if (q + 2 < end && s[q + 1] == '-' && s[q + 2] == '>') stop = q + 3;
                    else if (q + 3 < end && s[q + 1] == '-' && s[q + 2] == '!' && s[q + 3] == '>') stop = q + 4;
                }
        }
        if (stop < 0 && (s[p] == '!' || s[p] == '?' || s[p] == '/')) {
            int64_t q = find(s, '>', p + 1, end);
            if (q >= 0) stop = q + 1;
        }
        if (stop >= 0) {
            *tag = (Tag){at, stop, 0, 0, 0, 0, 0};
            return 1;
        }
    }
}

/* Names by number: the known ones first, then those of this page in the order of their coming. */
typedef struct {
    const Known *known;
    const u8 *s;
    int32_t slots[SLOTS];
    int32_t (*spans)[2];
    int count, room;
} Names;

static uint32_t hash(uint32_t h, uint32_t c) { return (h ^ c) * 16777619u; }

static int is_known(const Known *known, int number, const u8 *s, int64_t start, int64_t end)
{
    const char *name = known->names + 16 * number;
    if (end - start > LONGEST_NAME) return 0;
    for (int64_t i = start; i < end; i++)
        if ((u8)name[i - start] != lower(s[i])) return 0;
    return name[end - start] == 0;
}

static int same(const u8 *s, const int32_t *span, int64_t start, int64_t end)
{
    if (span[1] - span[0] != end - start) return 0;
    for (int64_t i = start; i < end; i++)
        if (lower(s[span[0] + i - start]) != lower(s[i])) return 0;
    return 1;
}

/* The number of a name, or -1 where memory is short. A page of very many names shares the last of them. */
static int number_of(Names *names, int64_t start, int64_t end)
{
    uint32_t h = 2166136261u;
    for (int64_t i = start; i < end; i++) h = hash(h, lower(names->s[i]));
    int n = names->known->n;
    for (uint32_t at = h % SLOTS;; at = (at + 1) % SLOTS) {
        int32_t number = names->slots[at];
        if (number < 0) {
            names->spans[names->count][0] = (int32_t)start;
            names->spans[names->count][1] = (int32_t)end;
            names->slots[at] = n + names->count;
            return n + names->count++;
        }
        if (number < n ? is_known(names->known, number, names->s, start, end)
                       : same(names->s, names->spans[number - n], start, end))
            return number;
    }
}

/* Where "</name" with what may follow it stands at or after `at`: its start, or -1. */
static int64_t closing_of(const u8 *s, const char *name, int64_t at, int64_t size)
{
    int length = (int)strlen(name);
    for (;; at++) {
        at = find(s, '<', at, size);
        if (at < 0) return -1;
        if (at + 2 + length >= size || s[at + 1] != '/') continue;
        int i = 0;
        while (i < length && lower(s[at + 2 + i]) == (u8)name[i]) i++;
        u8 after = s[at + 2 + length];
        if (i == length && (after == '/' || after == '>' || after == ' ' || (after >= '\t' && after <= '\r'))) return at;
    }
}

/* Returns 0; 1 where the page has more names than there is room for, 2 where memory is short. */
int seedstock_markup(const Known *known, const u8 *s, int64_t size, int64_t last, int64_t end, Page *out)
{
    int n = known->n, code = 0;
    Names *names = calloc(1, sizeof *names);
    int32_t(*spans)[2] = malloc(sizeof(int32_t[2]) * SLOTS);
    int32_t stack[DEEPEST], tag_of[DEEPEST];
    char open[SLOTS + 256] = {0}, endless[256] = {0};
    if (!names || !spans) { free(names); free(spans); return 2; }
    names->known = known, names->s = s, names->spans = spans;
    memset(names->slots, -1, sizeof names->slots);
    for (int i = 0; i < n; i++) {
        uint32_t h = 2166136261u;
        for (const char *c = known->names + 16 * i; *c; c++) h = hash(h, (uint32_t)*c);
        uint32_t at = h % SLOTS;
        while (names->slots[at] >= 0) at = (at + 1) % SLOTS;
        names->slots[at] = i;
    }
    int depth = 1, nodes = 1, lines = 0, runs = 0, run0 = 0;
    int chars = 0, linked = 0, links = 0, link = 0, after_break = 0;
    int64_t at = 0;
    Tag tag;
    stack[0] = 0, tag_of[0] = -1;
    out->parent[0] = -1, out->first[0] = 0, out->last[0] = -1, out->number[0] = n;
    out->name[0] = out->name[1] = out->attributes[0] = out->attributes[1] = 0;
    out->head = out->head_end = out->root = out->root_end = 0;
    while (at < last && next_tag(s, at, last, &tag)) {
        if (tag.begin > at) {
            if (runs > run0 || speaks(s, at, tag.begin)) {
                if (runs == run0) chars = linked = 0;
                out->run[2 * runs] = (int32_t)at, out->run[2 * runs + 1] = (int32_t)tag.begin;
                runs++;
                int count = (int)characters(s + at, tag.begin - at);
                chars += count;
                if (link) linked += count;
            }
        }
        at = tag.stop;
        if (!tag.named) continue;
        if (names->count >= SLOTS - 300) { code = 1; break; }
        int name = number_of(names, tag.name, tag.name_end);
        int kind = name < n ? known->kinds[name] : BLOCK, marks = name < n ? known->marks[name] : 0;
        if (kind == SKIPPED) continue;
        if (kind == LINK) { links += !tag.closing; link = !tag.closing; continue; }
        if (kind == HIDDEN) {
            int slash = tag.attributes_end > tag.name_end && s[tag.attributes_end - 1] == '/';
            if (tag.closing || endless[name] || (slash && !(marks & RAW))) continue;
            int64_t found = closing_of(s, known->names + 16 * name, tag.stop, size);
            if (found >= 0) {
                if ((marks & IS_HEAD) && !out->head_end) out->head = (int32_t)tag.begin, out->head_end = (int32_t)found;
                at = find(s, '>', found + 2, size);
                at = at < 0 ? end : at + 1;
            } else if (marks & RAW) at = last = end;
            else endless[name] = 1;
            continue;
        }
        if (runs > run0) {
            int32_t *line = out->line + 6 * lines++;
            line[0] = stack[depth - 1], line[1] = chars, line[2] = linked, line[3] = links, line[4] = after_break, line[5] = runs;
            run0 = runs;
        }
        links = 0;
        after_break = kind == BREAK;
        if (kind == BREAK || kind == EMPTY) continue;
        if (tag.closing) {
            if (depth > 1 && tag_of[depth - 1] == name) out->last[stack[--depth]] = lines;
            else if (open[name]) {
                int passes = marks & (FENCE | PASSES), floor = depth > NEAR + 1 ? depth - NEAR - 1 : 0;
                for (int d = depth - 1; d > floor; d--) {
                    if (tag_of[d] == name) {
                        while (depth > d) out->last[stack[--depth]] = lines;
                        break;
                    }
                    if (!passes && tag_of[d] < n && (known->marks[tag_of[d]] & FENCE)) break;
                }
            }
            continue;
        }
        if (kind == ROOT) {
            if (tag.attributes_end > tag.name_end)
                out->root = (int32_t)tag.name_end, out->root_end = (int32_t)tag.attributes_end;
            continue;
        }
        if (name < n)
            while (depth > 1 && tag_of[depth - 1] < n && known->ends[name * n + tag_of[depth - 1]]) out->last[stack[--depth]] = lines;
        if (depth > 1 && tag_of[depth - 1] < n && (known->marks[tag_of[depth - 1]] & IS_P)) {
            out->last[stack[--depth]] = lines;
            link = 0;
        }
        if (depth < DEEPEST) {
            out->parent[nodes] = stack[depth - 1], out->first[nodes] = lines, out->last[nodes] = -1;
            out->number[nodes] = name < n ? name : n;
            out->name[2 * nodes] = (int32_t)tag.name, out->name[2 * nodes + 1] = (int32_t)tag.name_end;
            out->attributes[2 * nodes] = (int32_t)tag.name_end, out->attributes[2 * nodes + 1] = (int32_t)tag.attributes_end;
            stack[depth] = nodes++, tag_of[depth++] = name;
            open[name] = 1;
        }
    }
    if (at < end && (runs > run0 || speaks(s, at, end))) {
        if (runs == run0) chars = linked = 0;
        out->run[2 * runs] = (int32_t)at, out->run[2 * runs + 1] = (int32_t)end;
        runs++;
        chars += (int)characters(s + at, end - at);
    }
    if (runs > run0) {
        int32_t *line = out->line + 6 * lines++;
        line[0] = stack[depth - 1], line[1] = chars, line[2] = linked, line[3] = links, line[4] = after_break, line[5] = runs;
    }
    for (int i = 0; i < nodes; i++)
        if (out->last[i] < 0) out->last[i] = lines;
    out->nodes = nodes, out->lines = lines, out->runs = runs;
    free(names), free(spans);
    return code;
}
