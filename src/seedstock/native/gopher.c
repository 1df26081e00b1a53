/* Gopher's counts (signals/gopher_kernel.py has the same in numpy, and says what each one is).

   A document is read once. Words and lines get numbers by tables that compare bytes; an n-gram gets its number from
   that of its first n - 1 words and that of its last one, so nothing rests on a hash being unique. Only where an n-gram
   repeats can a longer one repeat: most places drop out at n = 2. */
#include "kernels.h"
#include "text.h"

enum {
    WORDS, CHARACTERS, HASHES, ELLIPSES, ALPHABETIC, STOP, LINES, BULLETS, ELLIPSIS_LINES, AGAIN_LINES,
    AGAIN_LINE_CHARACTERS, PARAGRAPHS, AGAIN_PARAGRAPHS, AGAIN_PARAGRAPH_CHARACTERS, HEAD_CHARACTERS, TOP2, TOP3, TOP4,
    AGAIN5, AGAIN6, AGAIN7, AGAIN8, AGAIN9, AGAIN10
};
_Static_assert(AGAIN10 + 1 == GOPHER_COLUMNS, "a column for each count");

#define VOCABULARY 16384 /* words that are remembered from one document to the next: they fit a core's cache */
#define LAST 10          /* the longest n-gram */

typedef struct {
    const uint8_t *at;
    uint64_t hash;
    uint32_t bytes, characters, hashes, ellipses;
    uint16_t stop; /* a bit for one of the eight stop words */
    uint8_t letters, bullet, dots;
} Word;

typedef struct {
    const uint8_t *at;
    size_t bytes;
    uint64_t hash;
} Line;

typedef struct {
    uint32_t first, lines; /* in the list of the document's lines */
    uint64_t hash;
} Paragraph;

typedef struct {
    uint64_t key;
    uint32_t count, first;
} Gram;

typedef struct {
    uint32_t *slots; /* 1 + index, 0 where free */
    size_t room, mask;
} Table;

typedef struct {
    const uint8_t *letters;
    Word *words;
    size_t words_room, words_count;
    Table words_table;
    Line *lines;
    size_t lines_room, lines_count;
    Table lines_table;
    uint32_t *line_ids;
    size_t line_ids_room;
    Paragraph *paragraphs;
    size_t paragraphs_room, paragraphs_count;
    Table paragraphs_table;
    uint32_t *ids; /* of the words of the head */
    size_t ids_room;
    uint64_t *before; /* characters before each word of the head */
    size_t before_room;
    Gram *grams;
    size_t grams_room;
    Table grams_table;
    uint32_t *places, *gram_of;
    size_t places_room, gram_of_room;
} State;

static int clear(Table *table, size_t count)
{
    size_t wanted = 64;
    while (wanted < 2 * count)
        wanted *= 2;
    if (!reserve((void **)&table->slots, &table->room, wanted, sizeof(uint32_t)))
        return 0;
    memset(table->slots, 0, wanted * sizeof(uint32_t));
    table->mask = wanted - 1;
    return 1;
}

static int is_letter(const State *state, const uint8_t *p, size_t left)
{
    uint32_t code;
    if (p[0] < 0x80)
        code = p[0];
    else if (p[0] < 0xE0 && left > 1)
        code = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
    else if (p[0] < 0xF0 && left > 2)
        code = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    else if (left > 3)
        code = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    else
        return 0;
    return code < 0x110000 && (state->letters[code >> 3] >> (code & 7) & 1);
}

static const char *const STOP_WORDS[8] = {"the", "be", "to", "of", "and", "that", "have", "with"};

static int trimmed(uint8_t c)
{
    return c && strchr(".,;:!?\"'()[]{}`*_", c) != NULL;
}

static uint16_t stop_bit(const uint8_t *p, size_t n)
{
    while (n && trimmed(p[0]))
        p++, n--;
    while (n && trimmed(p[n - 1]))
        n--;
    if (n < 2 || n > 4)
        return 0;
    char lower[5] = {0};
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
    for (int i = 0; i < 8; i++)
        if (!strcmp(lower, STOP_WORDS[i]))
            return (uint16_t)(1u << i);
    return 0;
}

/* U+2022, 2023, 25E6, 25AA, 25AB, 25CF, 25CB, 25A0, 25A1, 25B6, 25C0 anywhere first, or a word that is -, * or +. */
static int is_bullet(const uint8_t *p, size_t n)
{
    if (n == 1)
        return p[0] == '-' || p[0] == '*' || p[0] == '+';
    if (n < 3 || p[0] != 0xE2)
        return 0;
    unsigned code = 0x2000u | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    switch (code) {
    case 0x2022: case 0x2023: case 0x25E6: case 0x25AA: case 0x25AB: case 0x25CF: case 0x25CB: case 0x25A0:
    case 0x25A1: case 0x25B6: case 0x25C0:
        return 1;
    default:
        return 0;
    }
}

/* Whatever depends on a word alone. */
static void describe(const State *state, Word *word)
{
    const uint8_t *p = word->at;
    size_t n = word->bytes, dots = 0;
    word->characters = word->hashes = word->ellipses = 0;
    word->letters = 0;
    for (size_t i = 0; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            word->characters++;
            if (!word->letters)
                word->letters = (uint8_t)is_letter(state, p + i, n - i);
        }
        word->hashes += p[i] == '#';
        if (p[i] == '.') {
            if (++dots == 3) {
                word->ellipses++;
                dots = 0;
            }
        } else {
            dots = 0;
            word->ellipses += p[i] == 0xE2 && n - i > 2 && p[i + 1] == 0x80 && p[i + 2] == 0xA6;
        }
    }
    word->stop = stop_bit(p, n);
    word->bullet = (uint8_t)is_bullet(p, n);
    word->dots = n > 2 && (!memcmp(p + n - 3, "...", 3) || !memcmp(p + n - 3, "\xE2\x80\xA6", 3));
}

/* The number of a word, or UINT32_MAX where there is no memory. */
static uint32_t number_word(State *state, const uint8_t *at, size_t bytes)
{
    uint64_t hash = quick_hash(at, bytes);
    Table *table = &state->words_table;
    size_t slot = hash & table->mask;
    while (table->slots[slot]) {
        Word *known = &state->words[table->slots[slot] - 1];
        if (known->hash == hash && known->bytes == bytes && !memcmp(known->at, at, bytes))
            return table->slots[slot] - 1;
        slot = (slot + 1) & table->mask;
    }
    if (!reserve((void **)&state->words, &state->words_room, state->words_count + 1, sizeof(Word)))
        return UINT32_MAX;
    Word *word = &state->words[state->words_count];
    word->at = at;
    word->hash = hash;
    word->bytes = (uint32_t)bytes;
    describe(state, word);
    table->slots[slot] = (uint32_t)++state->words_count;
    if (2 * state->words_count > table->mask) {
        if (!clear(table, 2 * state->words_count))
            return UINT32_MAX;
        for (size_t i = 0; i < state->words_count; i++) {
            slot = state->words[i].hash & table->mask;
            while (table->slots[slot])
                slot = (slot + 1) & table->mask;
            table->slots[slot] = (uint32_t)i + 1;
        }
    }
    return (uint32_t)state->words_count - 1;
}

/* The number of a line of this document; *again says whether it was there before. */
static uint32_t number_line(State *state, const uint8_t *at, size_t bytes, int *again)
{
    uint64_t hash = quick_hash(at, bytes);
    Table *table = &state->lines_table;
    size_t slot = hash & table->mask;
    while (table->slots[slot]) {
        Line *known = &state->lines[table->slots[slot] - 1];
        if (known->hash == hash && known->bytes == bytes && !memcmp(known->at, at, bytes)) {
            *again = 1;
            return table->slots[slot] - 1;
        }
        slot = (slot + 1) & table->mask;
    }
    *again = 0;
    if (!reserve((void **)&state->lines, &state->lines_room, state->lines_count + 1, sizeof(Line)))
        return UINT32_MAX;
    state->lines[state->lines_count] = (Line){at, bytes, hash};
    table->slots[slot] = (uint32_t)++state->lines_count;
    if (2 * state->lines_count > table->mask) {
        if (!clear(table, 2 * state->lines_count))
            return UINT32_MAX;
        for (size_t i = 0; i < state->lines_count; i++) {
            slot = state->lines[i].hash & table->mask;
            while (table->slots[slot])
                slot = (slot + 1) & table->mask;
            table->slots[slot] = (uint32_t)i + 1;
        }
    }
    return (uint32_t)state->lines_count - 1;
}

/* Whether a paragraph (a run of line numbers) was there before: 1, 0, or -1 where there is no memory. */
static int known_paragraph(State *state, uint32_t first, uint32_t lines)
{
    uint64_t hash = lines;
    for (uint32_t i = 0; i < lines; i++)
        hash = mix(hash ^ state->line_ids[first + i]);
    Table *table = &state->paragraphs_table;
    size_t slot = hash & table->mask;
    while (table->slots[slot]) {
        Paragraph *known = &state->paragraphs[table->slots[slot] - 1];
        if (known->hash == hash && known->lines == lines &&
            !memcmp(state->line_ids + known->first, state->line_ids + first, lines * sizeof(uint32_t)))
            return 1;
        slot = (slot + 1) & table->mask;
    }
    if (!reserve((void **)&state->paragraphs, &state->paragraphs_room, state->paragraphs_count + 1, sizeof(Paragraph)))
        return -1;
    state->paragraphs[state->paragraphs_count] = (Paragraph){first, lines, hash};
    table->slots[slot] = (uint32_t)++state->paragraphs_count;
    if (2 * state->paragraphs_count > table->mask) {
        if (!clear(table, 2 * state->paragraphs_count))
            return -1;
        for (size_t i = 0; i < state->paragraphs_count; i++) {
            slot = state->paragraphs[i].hash & table->mask;
            while (table->slots[slot])
                slot = (slot + 1) & table->mask;
            table->slots[slot] = (uint32_t)i + 1;
        }
    }
    return 0;
}

/* Adds the characters of the n words at place to *covered, those before *until aside. */
static inline void cover(const uint64_t *before, size_t place, size_t n, size_t *until, int64_t *covered)
{
    size_t from = place > *until ? place : *until;
    *covered += (int64_t)(before[place + n] - before[from]);
    *until = place + n;
}

static int ngrams(State *state, size_t words, int64_t *out)
{
    if (words < 2)
        return 1;
    if (!reserve((void **)&state->places, &state->places_room, words, sizeof(uint32_t)) ||
        !reserve((void **)&state->gram_of, &state->gram_of_room, words, sizeof(uint32_t)))
        return 0;
    const uint64_t *before = state->before;
    uint32_t *places = state->places, *gram_of = state->gram_of;
    size_t alive = words;
    for (size_t i = 0; i < words; i++) {
        places[i] = (uint32_t)i;
        gram_of[i] = state->ids[i];
    }
    for (size_t n = 2; n <= LAST; n++) {
        Table *table = &state->grams_table;
        size_t grams = 0, kept = 0;
        if (!clear(table, alive) || !reserve((void **)&state->grams, &state->grams_room, alive, sizeof(Gram)))
            return 0;
        Gram *found = state->grams;
        for (size_t i = 0; i < alive; i++) {
            size_t place = places[i];
            /* The n-gram without its first word must repeat as well. */
            if (place + n > words || (n > 2 && (i + 1 == alive || places[i + 1] != place + 1)))
                continue;
            uint64_t key = (uint64_t)gram_of[i] << 32 | state->ids[place + n - 1];
            size_t slot = mix(key) & table->mask;
            uint32_t gram;
            for (;;) {
                if (!table->slots[slot]) {
                    found[grams] = (Gram){key, 0, (uint32_t)place};
                    table->slots[slot] = (uint32_t)++grams;
                    gram = (uint32_t)grams - 1;
                    break;
                }
                gram = table->slots[slot] - 1;
                if (found[gram].key == key)
                    break;
                slot = (slot + 1) & table->mask;
            }
            found[gram].count++;
            places[kept] = (uint32_t)place;
            gram_of[kept++] = gram;
        }
        size_t until = 0;
        alive = 0;
        if (n < 5) {
            /* The most frequent, then the one of most characters, then the first. */
            size_t best = SIZE_MAX;
            uint64_t length = 0;
            for (size_t g = 0; g < grams; g++) {
                if (found[g].count < 2)
                    continue;
                uint64_t own = before[found[g].first + n] - before[found[g].first];
                if (best == SIZE_MAX || found[g].count > found[best].count ||
                    (found[g].count == found[best].count && own > length))
                    best = g, length = own;
            }
            for (size_t i = 0; i < kept; i++)
                if (gram_of[i] == best)
                    cover(before, places[i], n, &until, &out[TOP2 + n - 2]);
        } else {
            for (size_t i = 0; i < kept; i++)
                if (found[gram_of[i]].first != places[i])
                    cover(before, places[i], n, &until, &out[AGAIN5 + n - 5]);
        }
        for (size_t i = 0; i < kept; i++)
            if (found[gram_of[i]].count > 1) {
                places[alive] = places[i];
                gram_of[alive++] = gram_of[i];
            }
        if (!alive)
            break;
    }
    return 1;
}

static int document(State *state, const uint8_t *p, const uint8_t *end, size_t longest, int64_t *out)
{
    size_t head = 0, lines = 0, paragraph = 0;
    int64_t paragraph_characters = 0;
    int empty = 1; /* whether the line before was empty: the next one opens a paragraph */
    unsigned stops = 0;
    state->lines_count = state->paragraphs_count = 0;
    if (state->words_count > VOCABULARY || !state->words_table.slots) {
        state->words_count = 0;
        if (!clear(&state->words_table, VOCABULARY))
            return 0;
    }
    if (!clear(&state->lines_table, 64) || !clear(&state->paragraphs_table, 32) ||
        !reserve((void **)&state->before, &state->before_room, 1, sizeof(uint64_t)))
        return 0;
    state->before[0] = 0;
    while (p <= end) {
        /* One line: its words, then itself. */
        const uint8_t *first = NULL, *last = NULL;
        int64_t characters = 0;
        const Word *word = NULL;
        while (p < end && *p != '\n') {
            size_t white = space(p, end);
            if (white) {
                p += white;
                continue;
            }
            const uint8_t *stop = word_end(p, end);
            uint32_t id = number_word(state, p, (size_t)(stop - p));
            if (id == UINT32_MAX)
                return 0;
            word = &state->words[id];
            if (!first) {
                first = p;
                out[BULLETS] += word->bullet;
            }
            last = p = stop;
            characters += word->characters;
            stops |= word->stop;
            out[WORDS]++;
            out[HASHES] += word->hashes;
            out[ELLIPSES] += word->ellipses;
            out[ALPHABETIC] += word->letters;
            if (head < longest) {
                if (!reserve((void **)&state->ids, &state->ids_room, head + 1, sizeof(uint32_t)) ||
                    !reserve((void **)&state->before, &state->before_room, head + 2, sizeof(uint64_t)))
                    return 0;
                state->ids[head] = id;
                state->before[head + 1] = state->before[head] + word->characters;
                head++;
            }
        }
        int over = p >= end;
        p++;
        if (first) {
            int again;
            if (!reserve((void **)&state->line_ids, &state->line_ids_room, lines + 1, sizeof(uint32_t)))
                return 0;
            if ((state->line_ids[lines] = number_line(state, first, (size_t)(last - first), &again)) == UINT32_MAX)
                return 0;
            if (empty)
                paragraph = lines;
            empty = 0;
            lines++;
            out[CHARACTERS] += characters;
            paragraph_characters += characters;
            out[ELLIPSIS_LINES] += word->dots;
            if (again) {
                out[AGAIN_LINES]++;
                out[AGAIN_LINE_CHARACTERS] += characters;
            }
        }
        if ((!first || over) && !empty) {
            int again = known_paragraph(state, (uint32_t)paragraph, (uint32_t)(lines - paragraph));
            if (again < 0)
                return 0;
            out[PARAGRAPHS]++;
            if (again) {
                out[AGAIN_PARAGRAPHS]++;
                out[AGAIN_PARAGRAPH_CHARACTERS] += paragraph_characters;
            }
            paragraph_characters = 0;
            empty = 1;
        }
    }
    out[LINES] = (int64_t)lines;
    for (; stops; stops &= stops - 1)
        out[STOP]++;
    out[HEAD_CHARACTERS] = (int64_t)state->before[head];
    return ngrams(state, head, out);
}

int gopher_counts(const uint8_t *data, const int64_t *offsets, size_t rows, const uint8_t *letters, size_t longest,
                  int64_t *out)
{
    State state = {.letters = letters};
    int good = 1;
    memset(out, 0, rows * GOPHER_COLUMNS * sizeof(int64_t));
    for (size_t row = 0; good && row < rows; row++)
        good = document(&state, data + offsets[row], data + offsets[row + 1], longest, out + row * GOPHER_COLUMNS);
    void *blocks[] = {state.words, state.words_table.slots, state.lines, state.lines_table.slots, state.line_ids,
                      state.paragraphs, state.paragraphs_table.slots, state.ids, state.before, state.grams,
                      state.grams_table.slots, state.places, state.gram_of};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    return good;
}
