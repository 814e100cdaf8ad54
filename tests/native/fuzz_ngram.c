/* Drives the counts with random bytes: token tables, contexts and their tables of any shape; any sequence of
 * look, accept, save and load; saved states that were changed, some with a digest that fits the change.
 * Built with sanitisers by tests/sanitise. Every array has exactly the size that ngram.h asks for, so that
 * one byte beyond it is a finding.
 *
 *     fuzz_ngram SECONDS [FIRST]      cases FIRST, FIRST + 1, ... (0), each a function of its number alone
 *     fuzz_ngram 0 NUMBER             that case alone
 *
 * Beside what the sanitisers find it checks: that hints are sound; that whatever was looked at, saved and
 * loaded, a state saves the bytes of one that only accepted, in blocks of another length; that a changed
 * state is refused and leaves no history, unless its digest was made to fit. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "state.h" /* for the digest, which forges saved states, and what counts are packed in */

enum { INPUT_BYTES = 2048, LONGEST = 200, KEPT = 3, HISTORY = 1 << 14, VERSION = 1 };

static volatile uint64_t current_case;

static void fail(const char *what) {
    fprintf(stderr, "case %llu: %s\n", (unsigned long long)current_case, what);
    abort();
}

static void demand(int holds, const char *what) {
    if (!holds) fail(what);
}

/* ---- what is drawn from ---- */

typedef struct {
    const uint8_t *at, *end;
} source;

static uint32_t drawn(source *from, uint32_t below) { /* 0 where nothing is left */
    uint32_t number = 0;
    for (int k = 0; k < 3 && from->at < from->end; k++) number = number << 8 | *from->at++;
    return number % below;
}

static uint64_t drawn_64(source *from) {
    uint64_t number = 0;
    for (int k = 0; k < 8 && from->at < from->end; k++) number = number << 8 | *from->at++;
    return mixed(number);
}

static void *room(size_t bytes) {
    void *at = malloc(bytes ? bytes : 1);
    if (!at) exit(2);
    return at;
}

/* ---- one state and what it was told ---- */

typedef struct {
    int rows;
    ngram_context context[MOST_ROWS + 1];
    uint32_t block;
    ngram_tokens tokens;
} shape;

typedef struct {
    ngram *state;
    ngram_answers into;
} made;

typedef struct {
    uint32_t count;
    int known; /* 0 after a forged state was loaded: only its memory is watched */
    uint16_t token_T[HISTORY];
} history;

typedef struct {
    uint8_t *bytes;
    size_t size;
    history *then;
} saving;

/* Contexts of each expert, from the longest down; which expert's comes next is drawn. At least one in all. */
static void draw_contexts(source *from, shape *of) {
    static const int lowest[3] = {1, 0, 1};
    static const int longest[3] = {NGRAM_MAX_LENGTH, NGRAM_MAX_WORDS, NGRAM_MAX_WORDS};
    int next[3], left[3];
    uint32_t most = drawn(from, 4) ? 3 : NGRAM_MAX_CONTEXTS + 1;
    for (int x = 0; x < 3; x++) {
        left[x] = (int)drawn(from, most);
        next[x] = drawn(from, 3) ? 4 + (int)drawn(from, 6) : longest[x];
        if (next[x] > longest[x]) next[x] = longest[x];
    }
    if (left[0] + left[1] + left[2] == 0) left[drawn(from, 3)] = 1;
    for (int x; left[0] + left[1] + left[2] > 0;) {
        x = (int)drawn(from, 3);
        while (!left[x]) x = (x + 1) % 3;
        ngram_context *one = &of->context[of->rows];
        one->expert = x;
        one->length = next[x];
        one->table_bytes = 64 + drawn(from, drawn(from, 4) ? 256 : 1 << 14);
        next[x] -= 1 + (int)drawn(from, drawn(from, 2) ? 1 : 5);
        left[x] = next[x] < lowest[x] ? 0 : left[x] - 1;
        of->rows++;
    }
}

static shape draw_shape(source *from) {
    static const uint32_t vocabularies[8] = {1, 2, 3, 4, 5, 8, 300, 65536};
    shape of = {.rows = 0};
    draw_contexts(from, &of);
    of.block = drawn(from, 8) ? 1 + drawn(from, LONGEST) : 1 + drawn(from, 3);
    of.tokens.vocab = vocabularies[drawn(from, drawn(from, 40) ? 7 : 8)];
    size_t vocab = of.tokens.vocab;
    uint8_t *kind_V = room(vocab);
    uint64_t *hash_V3 = room(vocab * 24), *power_V3 = room(vocab * 24), seed = drawn_64(from);
    for (size_t v = 0; v < vocab; v++) {
        uint64_t bits = mixed(seed + v * BASE);
        kind_V[v] = (uint8_t)(bits & 3);
        if (bits >> 8 & 1) kind_V[v] &= NGRAM_STARTS; /* fewer boundaries */
        if ((bits >> 16 & 63) == 0) kind_V[v] = (uint8_t)(bits >> 24);
        for (size_t k = 3 * v; k < 3 * v + 3; k++) {
            int empty = bits >> (32 + k % 3) & 1;
            hash_V3[k] = empty ? 0 : mixed(seed ^ k);
            power_V3[k] = empty ? 1 : mixed(seed + k) | 1;
        }
    }
    of.tokens.kind_V = kind_V;
    of.tokens.hash_V3 = hash_V3;
    of.tokens.power_V3 = power_V3;
    return of;
}

static ngram_answers room_for(int rows, uint32_t block) {
    size_t positions = (size_t)block + 1;
    size_t counts = (size_t)rows * positions * 8;
    return (ngram_answers){room(3 * positions * 4), room(3 * positions * 4), room(counts), room(positions)};
}

static void free_answers(ngram_answers *into) {
    free(into->hint_X);
    free(into->rate_X);
    free(into->counts_C);
    free(into->open_T);
}

static made make_of(const shape *of) {
    made one = {.into = room_for(of->rows, of->block)};
    one.state = ngram_new(&of->tokens, of->context, of->rows, of->block, &one.into);
    return one;
}

static void unmake(made *one) {
    ngram_free(one->state);
    free_answers(&one->into);
}

static void refuse_bad_shapes(source *from, const shape *of) {
    shape bad = *of;
    ngram_context *one = &bad.context[drawn(from, (uint32_t)bad.rows)];
    switch (drawn(from, 10)) {
    case 0: bad.rows = drawn(from, 2) ? 0 : MOST_ROWS + 1; break;
    case 1: one->expert = 3 + (int)drawn(from, 5); break;
    case 2: one->expert = -1; break;
    case 3: one->length = NGRAM_MAX_LENGTH + 1 + (int)drawn(from, 99); break;
    case 4: one->length = -1 - (int)drawn(from, 99); break;
    case 5: one->table_bytes = drawn(from, 64); break;
    case 6: one->table_bytes = ((uint64_t)1 << 36) + drawn_64(from) / 2; break;
    case 7: /* one more that is no shorter than the last of its expert */
        bad.context[bad.rows] = bad.context[bad.rows - 1];
        bad.context[bad.rows++].length += (int)drawn(from, 2);
        break;
    case 8: bad.block = drawn(from, 2) ? 0 : NGRAM_MAX_BLOCK + 1 + drawn(from, 99); break;
    default: bad.tokens.vocab = drawn(from, 2) ? 0 : 65537;
    }
    ngram_answers into = room_for(MOST_ROWS + 1, of->block);
    demand(!ngram_new(&bad.tokens, bad.context, bad.rows, bad.block, &into), "a bad argument passed");
    free_answers(&into);
}

/* ---- what is checked ---- */

static void check_counts(const shape *of, uint64_t found) {
    if (!found) return;
    uint32_t top = top_in(found), next = next_in(found), met = met_in(found);
    demand(token_in(found) < of->tokens.vocab && second_in(found) < of->tokens.vocab, "no token");
    demand(top >= 1 && top <= 254 && met <= 65534, "counts out of range");
    demand(next <= top && top + next <= met, "unsound counts");
}

/* An expert has a hint exactly where one of its contexts was met. */
static void check_hint(const shape *of, const made *one, int expert, uint32_t t) {
    size_t positions = (size_t)of->block + 1, at = (size_t)expert * positions + t;
    int32_t hint = one->into.hint_X[at];
    float rate = one->into.rate_X[at];
    uint64_t longest = 0; /* the counts of the longest context that was met */
    for (int c = 0; c < of->rows && !longest; c++)
        if (of->context[c].expert == expert) longest = one->into.counts_C[(size_t)c * positions + t];
    demand((hint == -1) == (longest == 0), "a hint without a context, or a context without a hint");
    demand((hint == -1) == (rate == 0.0f), "a hint without a rate, or a rate without a hint");
    if (hint == -1) return;
    demand(hint >= 0 && (uint32_t)hint < of->tokens.vocab, "no token");
    demand(rate > 0.0f && rate < 1.0f, "a rate beyond 0 .. 1");
    demand(expert != NGRAM_WITHIN || one->into.open_T[t], "a within-word hint where no word is open");
}

static void check_hints(const shape *of, const made *one, uint32_t count, int known) {
    for (int c = 0; c < of->rows; c++) {
        uint64_t slots = of->context[c].table_bytes / NGRAM_BUCKET_BYTES * SLOTS;
        demand(!known || ngram_contexts_met(one->state, c) <= slots, "too many contexts");
        const uint64_t *counts_T = one->into.counts_C + (size_t)c * (of->block + 1);
        for (uint32_t t = 0; t <= count; t++) check_counts(of, counts_T[t]);
    }
    for (uint32_t t = 0; t <= count; t++) {
        demand(one->into.open_T[t] <= 1, "a word is open or not");
        for (int x = 0; x < NGRAM_EXPERTS; x++) check_hint(of, one, x, t);
    }
}

static saving save(made *one) {
    saving out = {.size = ngram_size(one->state)};
    out.bytes = room(out.size);
    demand(ngram_save(one->state, out.bytes) == out.size, "the size was another");
    return out;
}

static void check_against_fresh(source *from, const shape *of, made *one, const history *past) {
    if (!past->known) return;
    made fresh = make_of(of);
    uint32_t cut = 1 + drawn(from, of->block);
    for (uint32_t first = 0; first < past->count; first += cut) {
        uint32_t count = past->count - first < cut ? past->count - first : cut;
        ngram_look(fresh.state, past->token_T + first, count);
        ngram_accept(fresh.state);
    }
    saving wanted = save(&fresh), found = save(one);
    demand(wanted.size == found.size && !memcmp(wanted.bytes, found.bytes, found.size), "history is another");
    ngram_look(fresh.state, NULL, 0);
    ngram_look(one->state, NULL, 0);
    for (int c = 0; c < of->rows; c++) {
        size_t at = (size_t)c * (of->block + 1);
        demand(fresh.into.counts_C[at] == one->into.counts_C[at], "other counts");
        demand(ngram_contexts_met(fresh.state, c) == ngram_contexts_met(one->state, c), "other contexts");
        demand(ngram_given_up(fresh.state, c) == ngram_given_up(one->state, c), "others made room");
    }
    for (int x = 0; x < NGRAM_EXPERTS; x++) {
        size_t at = (size_t)x * (of->block + 1);
        demand(fresh.into.hint_X[at] == one->into.hint_X[at], "another hint");
        demand(fresh.into.rate_X[at] == one->into.rate_X[at], "another rate");
    }
    demand(fresh.into.open_T[0] == one->into.open_T[0], "a word is open or not");
    free(wanted.bytes);
    free(found.bytes);
    unmake(&fresh);
}

/* ---- what is done ---- */

typedef struct {
    shape of;
    made one;
    history *past;
    saving kept[KEPT];
    uint16_t *last_T; /* the question, in an array of just its size */
    uint32_t last;
} session;

/* The next question: often the beginning of the last one, and often with a period, so that contexts come
 * again. */
static void look(source *from, session *on) {
    uint32_t kept = drawn(from, 2) ? drawn(from, on->last + 1) : 0, period = 1 + drawn(from, 20);
    uint32_t count = drawn(from, 3) ? drawn(from, on->of.block + 1) : kept;
    if (count < kept) kept = count;
    uint16_t *token_T = room(count * sizeof *token_T);
    uint64_t seed = drawn_64(from);
    int again = drawn(from, 6) != 0;
    if (kept) memcpy(token_T, on->last_T, kept * sizeof *token_T);
    for (uint32_t t = kept; t < count; t++)
        token_T[t] = (uint16_t)(mixed(seed + (again ? t % period : t)) % on->of.tokens.vocab);
    ngram_look(on->one.state, token_T, count);
    check_hints(&on->of, &on->one, count, on->past->known);
    free(on->last_T);
    on->last_T = token_T;
    on->last = count;
}

static void accept_question(session *on) {
    history *past = on->past;
    if (past->count + on->last > HISTORY) return;
    ngram_accept(on->one.state);
    if (on->last) memcpy(past->token_T + past->count, on->last_T, on->last * sizeof *on->last_T);
    past->count += on->last;
    demand(!past->known || ngram_accepted(on->one.state) == past->count, "accepted is another");
}

static void keep(session *on, saving *into) {
    if (!on->past->known) return;
    history *then = into->then ? into->then : room(sizeof *then);
    free(into->bytes);
    *into = save(&on->one);
    into->then = then;
    *then = *on->past;
}

/* A saved state cut short, made longer, or with some of its bytes changed; half of them with a digest that
 * fits. */
static uint8_t *changed(source *from, const saving *one, size_t *size, int *forged) {
    *size = one->size;
    uint32_t how = drawn(from, 6);
    if (how == 0) *size = drawn(from, (uint32_t)one->size);
    if (how == 1) *size += 1 + drawn(from, 200);
    uint8_t *bytes = room(*size);
    memset(bytes, (int)drawn(from, 256), *size);
    memcpy(bytes, one->bytes, *size < one->size ? *size : one->size);
    for (uint32_t n = how < 2 ? 0 : 1 + drawn(from, 4); n; n--) {
        /* Anywhere, or before the tallies, of which there are many, or among the first numbers of all. */
        size_t before = *size - NGRAM_EVIDENCE * NGRAM_EXPERTS * sizeof(tally), which = drawn(from, 4);
        uint32_t within = (uint32_t)(which == 0 ? *size : which < 3 ? before : 600), at = drawn(from, within);
        if (how == 2) bytes[at] ^= (uint8_t)(1u << drawn(from, 8));
        else if (how == 3) bytes[at] = (uint8_t)drawn(from, 256);
        else memset(bytes + at, drawn(from, 2) ? 255 : 0, *size - at < 8 ? *size - at : 8);
    }
    *forged = drawn(from, 2) && *size > 8;
    if (*forged) {
        uint64_t sum = ngram_digest(VERSION, bytes, *size - 8);
        memcpy(bytes + *size - 8, &sum, 8);
    }
    return bytes;
}

static void load_changed(source *from, session *on, const saving *kept) {
    size_t size;
    int forged;
    uint8_t *bytes = changed(from, kept, &size, &forged);
    int same = size == kept->size && !memcmp(bytes, kept->bytes, size);
    const char *refused = ngram_load(on->one.state, bytes, size);
    demand(refused || same || forged, "a changed state was loaded");
    demand(!refused || !same, "a saved state was refused");
    demand(!refused || ngram_accepted(on->one.state) == 0, "a refused state left a history");
    on->past->count = 0;
    on->past->known = refused != NULL;
    if (same) *on->past = *kept->then;
    free(bytes);
}

static void step(source *from, session *on) {
    uint32_t what = drawn(from, 16);
    saving *kept = &on->kept[drawn(from, KEPT)];
    if (what < 6) {
        look(from, on);
        return;
    }
    if (what < 9) {
        look(from, on);
        accept_question(on);
    } else if (what < 11) {
        accept_question(on);
    } else if (what < 12) {
        check_against_fresh(from, &on->of, &on->one, on->past);
    } else if (what < 13) {
        keep(on, kept);
    } else if (kept->bytes && what < 14) {
        demand(!ngram_load(on->one.state, kept->bytes, kept->size), "a saved state was refused");
        *on->past = *kept->then;
    } else if (kept->bytes) {
        load_changed(from, on, kept);
    }
    /* The question is no more, or at any rate not known here. */
    on->last = 0;
    ngram_look(on->one.state, NULL, 0);
    check_hints(&on->of, &on->one, 0, on->past->known);
}

static void one_case(const uint8_t *bytes, size_t size) {
    source from = {bytes, bytes + size};
    session on = {.of = draw_shape(&from)};
    if (drawn(&from, 8) == 0) refuse_bad_shapes(&from, &on.of);
    on.one = make_of(&on.of);
    demand(on.one.state != NULL, "no state");
    on.past = room(sizeof *on.past);
    on.past->count = 0;
    on.past->known = 1;
    while (from.at < from.end) step(&from, &on);
    check_against_fresh(&from, &on.of, &on.one, on.past);
    for (int k = 0; k < KEPT; k++) {
        free(on.kept[k].bytes);
        free(on.kept[k].then);
    }
    free(on.last_T);
    free(on.past);
    unmake(&on.one);
    free((void *)on.of.tokens.kind_V);
    free((void *)on.of.tokens.hash_V3);
    free((void *)on.of.tokens.power_V3);
}

extern void __sanitizer_set_death_callback(void (*)(void)) __attribute__((weak));

static void name_case(void) { fprintf(stderr, "found in case %llu\n", (unsigned long long)current_case); }

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: %s SECONDS [FIRST]\n", arguments[0]);
        return 2;
    }
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(name_case);
    uint64_t first = count > 2 ? strtoull(arguments[2], NULL, 10) : 0, number = first;
    time_t end = time(NULL) + strtol(arguments[1], NULL, 10);
    do {
        current_case = number;
        uint64_t seed = mixed(number + 1);
        size_t size = 64 + seed % (INPUT_BYTES - 63);
        uint8_t *bytes = room(size);
        for (size_t k = 0; k < size; k++) bytes[k] = (uint8_t)(mixed(seed + k * BASE) >> 56);
        one_case(bytes, size);
        free(bytes);
        number++;
    } while (time(NULL) < end);
    printf("%llu cases from %llu on\n", (unsigned long long)(number - first), (unsigned long long)first);
    return 0;
}
