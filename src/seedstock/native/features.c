/* The measures of corpus/extract/features.py, step for step, over a page that markup.c has read. */
#include "page.h"

#include <math.h>

enum { TAGS = 12, ABOVE = 12, BITS = 36, LOCAL = 7, COLUMNS = 152, UPPER = 80 };
enum { ASK_DIGITS = 1, ASK_UPPER = 2 };

typedef struct {
    int64_t room;
    uint8_t *text;    /* [room]: the lines as they read, one after another */
    int64_t *text_at; /* [lines + 1] */
    int32_t *words;   /* [lines] */
    uint8_t *ask;     /* [lines]: what has to be looked up in tables of characters */
    float *columns;   /* [lines, 152] */
} Measured;

typedef struct { double chars, share, plain, good, commas, ends, digits, upper, again; } Line;

/* White space folded, none at either end: the bytes that were written to out, which may be s. */
static int64_t fold(const uint8_t *s, int64_t n, uint8_t *out)
{
    int64_t size = 0;
    for (int64_t at = 0; at < n;) {
        size_t blank = space(s + at, s + n);
        if (blank) { at += (int64_t)blank; continue; }
        const uint8_t *end = word_end(s + at, s + n);
        if (size) out[size++] = ' ';
        int64_t length = end - (s + at);
        memmove(out + size, s + at, (size_t)length);
        size += length, at += length;
    }
    return size;
}

/* The runs of a line in a row, references decoded, white space folded; a blank where nothing is left. */
static int64_t read_line(const Known *known, const Page *page, const uint8_t *s, int first, int last, uint8_t *out)
{
    int64_t size = 0, made = 0;
    for (int run = first; run < last; run++) {
        int64_t begin = page->run[2 * run], length = page->run[2 * run + 1] - begin;
        memcpy(out + size, s + begin, (size_t)length);
        size += length;
    }
    uint8_t *decoded = out + size; /* a reference may be longer when it is decoded: never in its own place */
    if (memchr(out, '&', (size_t)size)) {
        for (int64_t at = 0; at < size;) {
            int length = 0;
            int64_t taken = out[at] == '&' ? seedstock_reference(known, out + at, size - at, decoded + made, &length) : 0;
            if (taken) at += taken, made += length;
            else decoded[made++] = out[at++];
        }
        size = fold(decoded, made, out);
    } else size = fold(out, size, out);
    if (!size) out[size++] = ' ';
    return size;
}

static int32_t code(const uint8_t *s, int64_t n)
{
    if (s[0] < 0x80 || n < 2) return s[0];
    if (s[0] < 0xE0) return (s[0] & 31) << 6 | (s[1] & 63);
    if (s[0] < 0xF0 || n < 4) return n < 3 ? 0 : (s[0] & 15) << 12 | (s[1] & 63) << 6 | (s[2] & 63);
    return (s[0] & 7) << 18 | (s[1] & 63) << 12 | (s[2] & 63) << 6 | (s[3] & 63);
}

static int64_t last_character(const uint8_t *s, int64_t n)
{
    while (n > 1 && continued(s[n - 1])) n--;
    return n - 1;
}

static int among(const int32_t *list, int n, int32_t c)
{
    for (int i = 0; i < n; i++)
        if (list[i] == c) return 1;
    return 0;
}

static int sentence_ends(const Known *known, const uint8_t *s, int64_t n)
{
    int ends = known->characters[0], quotes = known->characters[1];
    int64_t at = last_character(s, n);
    int32_t c = code(s + at, n - at);
    if (among(known->endings, ends, c)) return 1;
    if (!at || !among(known->endings + ends, quotes, c)) return 0;
    int64_t before = last_character(s, at);
    return among(known->endings, ends, code(s + before, at - before));
}

/* Commas of Chinese and Japanese. */
static int wide_commas(const uint8_t *s, int64_t n)
{
    int count = 0;
    for (int64_t i = 0; i + 2 < n; i++)
        count += (s[i] == 0xEF && s[i + 1] == 0xBC && s[i + 2] == 0x8C) || (s[i] == 0xE3 && s[i + 1] == 0x80 && s[i + 2] == 0x81);
    return count;
}

static void measure_text(const Known *known, const uint8_t *s, int64_t n, Line *line, int32_t *words, uint8_t *ask)
{
    int blanks = 0, commas = 0, count = 0, seen = 0, big = 0, small = 0, wide = 0;
    for (int64_t i = 0; i < n; i++) count += !continued(s[i]), blanks += s[i] == ' ', commas += s[i] == ',';
    if (count < n) commas += wide_commas(s, n);
    for (int64_t i = 0; i < n && !small; i++) {
        if (continued(s[i])) continue;
        if (++seen > UPPER) break;
        small = s[i] >= 'a' && s[i] <= 'z', big |= s[i] >= 'A' && s[i] <= 'Z', wide |= s[i] >= 0x80;
    }
    uint8_t first = s[0], last = s[last_character(s, n)];
    line->chars = count, line->commas = commas, line->ends = sentence_ends(known, s, n);
    line->digits = digit(first) + digit(last), line->upper = big && !small;
    *words = blanks + 1;
    *ask = (first >= 0x80 || last >= 0x80 ? ASK_DIGITS : 0) | (wide && !small ? ASK_UPPER : 0);
}

/* Marks the lines that read like another one; 0 where memory is short. */
static int mark_again(const Measured *out, int lines, Line *line)
{
    size_t slots = 16;
    while (slots < 2 * (size_t)lines) slots *= 2;
    int32_t *table = malloc(slots * sizeof *table);
    if (!table) return 0;
    memset(table, -1, slots * sizeof *table);
    for (int i = 0; i < lines; i++) {
        const uint8_t *s = out->text + out->text_at[i];
        size_t n = (size_t)(out->text_at[i + 1] - out->text_at[i]), at = (size_t)quick_hash(s, n) & (slots - 1);
        for (;; at = (at + 1) & (slots - 1)) {
            int other = table[at];
            if (other < 0) { table[at] = i; break; }
            if ((size_t)(out->text_at[other + 1] - out->text_at[other]) == n && !memcmp(out->text + out->text_at[other], s, n)) {
                line[i].again = line[other].again = 1;
                break;
            }
        }
    }
    free(table);
    return 1;
}

typedef struct {
    double *all, *plain, *good;        /* [lines + 1]: before each line */
    double *size, *best, *score, *two; /* [nodes] */
    uint64_t *own, *far, *near;        /* [nodes] */
    int32_t *depth;                    /* [nodes] */
} Work;

static uint64_t hints_of(const Known *known, const Page *page, const uint8_t *s, int node)
{
    int64_t begin = page->attributes[2 * node], end = page->attributes[2 * node + 1];
    if (!node) begin = page->root, end = page->root_end;
    uint64_t above = page->number[node] < known->n ? known->above[page->number[node]] : 0;
    return above | (end > begin ? seedstock_hints(known, s + begin, end - begin) : 0);
}

static int weigh(const Known *known, const Page *page, const uint8_t *s, const Line *line, Work *w)
{
    int top = 0;
    for (int i = 0; i < page->lines; i++) {
        w->all[i + 1] = w->all[i] + line[i].chars;
        w->plain[i + 1] = w->plain[i] + line[i].plain;
        w->good[i + 1] = w->good[i] + line[i].good;
        int up = page->parent[page->line[LINE * i]];
        if (up < 0) continue;
        w->score[up] += line[i].good;
        if (up && page->parent[up] >= 0) w->two[page->parent[up]] += line[i].good / 2;
    }
    double total = w->all[page->lines] + 1;
    for (int i = 0; i < page->nodes; i++) {
        int first = page->first[i], last = page->last[i], up = page->parent[i];
        w->size[i] = w->all[last] - w->all[first];
        w->best[i] = w->good[last] - w->good[first];
        w->score[i] = (w->score[i] + w->two[i]) * (w->plain[last] - w->plain[first] + 1) / (w->size[i] + 1);
        if (w->score[i] > w->score[top]) top = i;
        w->far[i] = w->near[i] = w->own[i] = hints_of(known, page, s, i);
        if (!i) continue;
        w->depth[i] = w->depth[up] + 1;
        w->near[i] |= w->own[up];
        if (!(w->size[up] > 0.6 * total)) w->far[i] |= w->far[up];
    }
    return top;
}

static void fill(const Known *known, const Page *page, const Line *line, const Work *w, int top, const Measured *out)
{
    int count = page->lines, title = 0;
    double total = w->all[count] + 1, best_total = w->good[count] + 1;
    double all_lines = log1p(count), all_best = log1p(best_total);
    for (int i = 0; i < count; i++) {
        int number = page->number[page->line[LINE * i]];
        if (number < known->n && known->tags[number] & 4) { title = i; break; }
    }
    for (int i = 0; i < count; i++) {
        const int32_t *about = page->line + LINE * i;
        int node = about[0], up = page->parent[node], number = page->number[node];
        unsigned tags = number < known->n ? known->tags[number] : 0;
        float *to = out->columns + (int64_t)COLUMNS * i, *local = to;
        double length = log1p(line[i].chars), words = out->words[i];
        local[0] = (float)length, local[1] = (float)line[i].share, local[2] = (float)line[i].ends;
        local[3] = (float)log1p(line[i].plain), local[4] = line[i].good > 0;
        local[5] = (float)((words < 50 ? words : 50) / 50), local[6] = tags & 1;
        for (int side = 0; side < 4; side++) { /* this line is the one after next of the line two before, and so on */
            int other = i + (side < 2 ? 2 - side : 1 - side);
            if (other >= 0 && other < count) memcpy(out->columns + (int64_t)COLUMNS * other + LOCAL * (1 + side), local, LOCAL * sizeof *local);
        }
        to += LOCAL * 5;
        *to++ = (float)about[3], *to++ = (float)log1p(line[i].commas), *to++ = (float)line[i].digits;
        *to++ = (float)line[i].upper, *to++ = (float)about[4], *to++ = (float)line[i].again;
        *to++ = (float)(line[i].chars / (words + 1)), *to++ = (float)(line[i].ends * length);
        *to++ = (float)((double)i / count), *to++ = (float)(w->all[i] / total), *to++ = (float)(w->good[i] / best_total);
        *to++ = i >= title, *to++ = i >= page->first[top] && i < page->last[top];
        *to++ = i < page->first[top], *to++ = i >= page->last[top];
        *to++ = (float)(w->score[up > 0 ? up : 0] / (w->score[top] + 1));
        *to++ = (float)(w->depth[node] - w->depth[top]), *to++ = (float)all_lines, *to++ = (float)all_best;
        for (int level = 0, at = node; level < 4; level++, at = page->parent[at] > 0 ? page->parent[at] : 0) {
            *to++ = (float)(w->best[at] / best_total), *to++ = (float)(w->best[at] / (w->size[at] + 1));
            *to++ = (float)log1p(w->best[at]);
        }
        *to++ = i && page->parent[about[-LINE]] == up;
        *to++ = i + 1 < count && page->parent[about[LINE]] == up;
        for (int bit = 0; bit < TAGS; bit++) *to++ = tags >> bit & 1;
        for (int bit = 0; bit < BITS; bit++) *to++ = w->far[node] >> bit & 1;
        for (int bit = 0; bit < BITS; bit++) *to++ = w->near[node] >> bit & 1;
    }
}

/* Returns 0; 1 where there is no room for the text, 2 where memory is short. `columns` is all zeros beforehand. */
int seedstock_features(const Known *known, const uint8_t *s, const Page *page, const Measured *out)
{
    size_t lines = (size_t)page->lines, nodes = (size_t)page->nodes;
    int code = 2;
    Line *line = calloc(lines + 1, sizeof *line);
    double *sums = calloc(3 * (lines + 1) + 4 * nodes, sizeof *sums);
    uint64_t *bits = calloc(3 * nodes, sizeof *bits);
    int32_t *depth = calloc(nodes, sizeof *depth);
    int64_t at = 0;
    if (!line || !sums || !bits || !depth) goto end;
    code = 1;
    for (int i = 0, run = 0; i < page->lines; i++) {
        const int32_t *about = page->line + LINE * i;
        int64_t length = 0;
        for (int r = run; r < about[5]; r++) length += page->run[2 * r + 1] - page->run[2 * r];
        /* Joined and decoded, side by side: a decoded reference is at most twice as long. */
        if (length * 3 + ENTITY > out->room - at) goto end;
        out->text_at[i] = at;
        at += read_line(known, page, s, run, about[5], out->text + at);
        out->text_at[i + 1] = at;
        measure_text(known, out->text + out->text_at[i], at - out->text_at[i], &line[i], &out->words[i], &out->ask[i]);
        line[i].share = (double)about[2] / about[1];
        line[i].plain = line[i].chars * (1 - line[i].share);
        line[i].good = line[i].share < 0.4 && line[i].plain > 60 && line[i].ends > 0 ? line[i].plain : 0;
        run = about[5];
    }
    code = 2;
    if (!mark_again(out, page->lines, line)) goto end;
    double *rest = sums + 3 * (lines + 1);
    Work w = {sums, sums + lines + 1, sums + 2 * (lines + 1), rest, rest + nodes, rest + 2 * nodes, rest + 3 * nodes,
              bits, bits + nodes, bits + 2 * nodes, depth};
    fill(known, page, line, &w, weigh(known, page, s, line, &w), out);
    code = 0;
end:
    free(line), free(sums), free(bits), free(depth);
    return code;
}
