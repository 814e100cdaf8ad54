/* Drives ngram.c with random bytes: token tables, experts and tables of contexts of any shape; any sequence
 * of look, accept, save and load; saved states that were changed, some with a digest that fits the change.
 * Built with sanitisers by tests/sanitise. Every array has exactly the size that ngram.h asks for, so that
 * one byte beyond it is a finding.
 *
 *     fuzz_ngram SECONDS [FIRST]      cases FIRST, FIRST + 1, ... (0), each a function of its number alone
 *     fuzz_ngram 0 NUMBER             that case alone
 *
 * Beside what the sanitisers find it checks: that hints are sound; that whatever was looked at, saved and
 * loaded, a state saves the bytes of one that only accepted, in blocks of another length; that a changed
 * state is refused and leaves no history, unless its digest was made to fit. */
#include "ngram.c" /* for `digest`, which forges saved states */

#include <stdio.h>
#include <time.h>

enum { INPUT_BYTES = 2048, LONGEST = 200, KEPT = 3, HISTORY = 1 << 14 };

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
    int experts;
    ngram_expert expert[NGRAM_MAX_EXPERTS + 1];
    uint32_t block;
    ngram_tokens tokens;
} shape;

typedef struct {
    ngram *state;
    ngram_hints into;
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

static shape draw_shape(source *from) {
    static const uint32_t vocabularies[8] = {1, 2, 3, 4, 5, 8, 300, 65536};
    shape of = {.experts = 1 + (int)drawn(from, drawn(from, 4) ? 4 : NGRAM_MAX_EXPERTS)};
    of.block = drawn(from, 8) ? 1 + drawn(from, LONGEST) : 1 + drawn(from, 3);
    of.tokens.vocab = vocabularies[drawn(from, drawn(from, 40) ? 7 : 8)];
    for (int e = 0; e < of.experts; e++) {
        ngram_expert *one = &of.expert[e];
        one->kind = (int)drawn(from, 3);
        int longest = one->kind == NGRAM_TOKEN ? NGRAM_MAX_LENGTH : NGRAM_MAX_WORDS;
        one->length = drawn(from, 3) ? (int)drawn(from, 4) : (int)drawn(from, (uint32_t)longest + 1);
        if (one->length == 0 && one->kind != NGRAM_WITHIN) one->length = 1;
        one->table_bytes = 64 + drawn(from, drawn(from, 4) ? 256 : 1 << 14);
    }
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

static made make_of(const shape *of) {
    size_t positions = (size_t)of->block + 1, cells = (size_t)of->experts * positions;
    made one = {.into = {room(cells * 8), room(cells * 4), room(positions)}};
    one.state = ngram_new(&of->tokens, of->expert, of->experts, of->block, &one.into);
    return one;
}

static void unmake(made *one) {
    ngram_free(one->state);
    free(one->into.counts_ET);
    free(one->into.rate_ET);
    free(one->into.open_T);
}

static void refuse_bad_shapes(source *from, const shape *of) {
    shape bad = *of;
    switch (drawn(from, 8)) {
    case 0: bad.experts = drawn(from, 2) ? 0 : NGRAM_MAX_EXPERTS + 1; break;
    case 1: bad.expert[0].kind = 3 + (int)drawn(from, 5); break;
    case 2: bad.expert[0].kind = -1; break;
    case 3: bad.expert[0].length = NGRAM_MAX_LENGTH + 1 + (int)drawn(from, 99); break;
    case 4: bad.expert[0].length = -1 - (int)drawn(from, 99); break;
    case 5: bad.expert[0].table_bytes = drawn(from, 64); break;
    case 6: bad.expert[0].table_bytes = ((uint64_t)1 << 36) + drawn_64(from) / 2; break;
    default: bad.tokens.vocab = drawn(from, 2) ? 0 : 65537;
    }
    size_t positions = (size_t)bad.block + 1, cells = (size_t)(NGRAM_MAX_EXPERTS + 1) * positions;
    ngram_hints into = {room(cells * 8), room(cells * 4), room(positions)};
    demand(!ngram_new(&bad.tokens, bad.expert, bad.experts, bad.block, &into), "a bad argument passed");
    free(into.counts_ET);
    free(into.rate_ET);
    free(into.open_T);
}

/* ---- what is checked ---- */

static void check_hints(const shape *of, const made *one, uint32_t count, int known) {
    for (int e = 0; e < of->experts; e++) {
        uint64_t slots = of->expert[e].table_bytes / NGRAM_BUCKET_BYTES * SLOTS;
        demand(!known || ngram_contexts(one->state, e) <= slots, "too many contexts");
        for (uint32_t t = 0; t <= count; t++) {
            size_t at = (size_t)e * (of->block + 1) + t;
            counts found = one->into.counts_ET[at];
            float rate = one->into.rate_ET[at];
            demand((found == 0) == (rate == 0.0f), "a hint without a rate, or a rate without a hint");
            demand(one->into.open_T[t] <= 1, "a word is open or not");
            if (!found) continue;
            demand(rate > 0.0f && rate < 1.0f, "a rate beyond 0 .. 1");
            uint32_t top = top_in(found), next = next_in(found), total = total_in(found);
            demand(token_in(found) < of->tokens.vocab && second_in(found) < of->tokens.vocab, "no token");
            demand(top >= 1 && top <= 254 && total <= 65534, "counts out of range");
            demand(next <= top && top + next <= total, "unsound counts");
        }
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
    for (int e = 0; e < of->experts; e++) {
        size_t at = (size_t)e * (of->block + 1);
        demand(fresh.into.counts_ET[at] == one->into.counts_ET[at], "another hint");
        demand(fresh.into.rate_ET[at] == one->into.rate_ET[at], "another rate");
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
        /* Anywhere, or among the numbers in front of the first expert's contexts, which matter most. */
        uint32_t within = drawn(from, 2) || *size < 1400 ? (uint32_t)*size : 1400, at = drawn(from, within);
        if (how == 2) bytes[at] ^= (uint8_t)(1u << drawn(from, 8));
        else if (how == 3) bytes[at] = (uint8_t)drawn(from, 256);
        else memset(bytes + at, drawn(from, 2) ? 255 : 0, *size - at < 8 ? *size - at : 8);
    }
    *forged = drawn(from, 2) && *size > 8;
    if (*forged) {
        uint64_t sum = digest(VERSION, bytes, *size - 8);
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
