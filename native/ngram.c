/* See ngram.h for the contract. What bounds the speed is one cache line fetched from memory for each expert and
 * position; so keys are worked out some positions ahead, and their lines asked for, before they are needed. */
#define _DEFAULT_SOURCE /* mmap and madvise, in ISO mode too */
#include "ngram.h"

#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "saved states are little-endian; this machine is not"
#endif

enum { SLOTS = 5, PAST = 32, STRETCH = 64 };

static const uint64_t BASE = 0x9E3779B97F4A7C15u; /* of rolling hashes: odd */
static const uint64_t FAR = 0xD6E8FEB86659FD93u;  /* of one word over the next */
static const uint32_t VERSION = 1;

/* One context's counts in 64 bits: token, second (16 bits each), total (16), top, next (8 each), from the lowest up.
 * All 0 where the slot is free, and so is its tag, which is odd otherwise. */
typedef uint64_t counts;
typedef struct {
    counts counts[SLOTS];
    uint32_t tag[SLOTS], unused;
} bucket;
_Static_assert(sizeof(bucket) == NGRAM_BUCKET_BYTES, "a bucket is a cache line");

/* What was in a slot before. */
typedef struct {
    uint32_t slot; /* bucket * SLOTS + number in it */
    uint32_t tag;
    counts counts;
} undo;

/* Where the stream stands: a function of the tokens so far. Saved as it lies, so it has no padding. */
typedef struct {
    uint64_t position;
    uint64_t rolling[NGRAM_MAX_EXPERTS];
    uint64_t word[NGRAM_MAX_WORDS]; /* finished ones, the latest first; 0 for none */
    uint64_t pieces;                /* hash of the open word's tokens */
    uint64_t core, trail, trail_power; /* of its text; core is 0 while all of it would be stripped */
    uint64_t length;                   /* its tokens; 0: no word is open */
} cursor;

typedef struct {
    int64_t seen, true_ones; /* signed: these become doubles in one instruction */
} tally;

/* One expert: its part of the table, what it has learnt of itself, and what a question left to put back. */
typedef struct {
    int kind, length;
    uint32_t buckets;
    uint64_t oldest_power; /* of BASE: takes the oldest token out of a rolling hash */
    bucket *table;
    uint64_t contexts, given_up;
    tally tallies[NGRAM_EVIDENCE];
    uint32_t records;
    undo *record;
    uint8_t *mark_T;  /* NOT_COUNTED, NEW, or OLD + 2 * evidence + came true */
    counts *counts_T; /* this and the next lie in the caller's arrays */
    float *rate_T;
} expert;
enum { NOT_COUNTED = 0, NEW = 1, OLD = 2 };

struct ngram {
    ngram_tokens tokens;
    uint64_t tokens_digest;
    int experts;
    expert expert[NGRAM_MAX_EXPERTS];
    cursor accepted, now;
    uint32_t count;    /* tokens of the question */
    uint16_t *token_T; /* its tokens; before them lie the last PAST tokens of the history */
    uint8_t *open_T;   /* the caller's */
    uint8_t evidence_top[256], evidence_missed[256];
};

/* Some positions on their way: what must be known before their cache lines are touched. */
typedef struct {
    uint64_t key[NGRAM_MAX_EXPERTS][STRETCH];
    uint64_t pieces[STRETCH];
    uint64_t word[STRETCH][1 + NGRAM_MAX_WORDS]; /* the open one, then the finished ones; 0 for none */
    uint8_t class[STRETCH];
} stretch;
enum { BOUNDARY, CONTINUES, STARTS, UNKNOWN }; /* classes; the token after a question is unknown */

/* Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", with Stafford's constants. */
static inline uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t power_of(uint64_t base, int exponent) {
    uint64_t power = 1;
    for (int k = 0; k < exponent; k++) power *= base;
    return power;
}

/* ---- the stream's place ---- */

static inline int class_of(uint8_t kind, uint64_t length) {
    if (kind & NGRAM_BOUNDARY) return BOUNDARY;
    return length == 0 || (kind & NGRAM_STARTS) ? STARTS : CONTINUES;
}

static inline void finish_word(cursor *at) {
    int kept = at->core != 0;
    for (int k = NGRAM_MAX_WORDS - 1; k > 0; k--) at->word[k] = kept ? at->word[k - 1] : at->word[k];
    at->word[0] = kept ? at->core : at->word[0];
    at->core = at->trail = at->pieces = at->length = 0;
    at->trail_power = 1;
}

static inline void append_text(cursor *at, const uint64_t hash[3], const uint64_t power[3]) {
    if (power[1] == 1) { /* no core; what is stripped before the first one is forgotten */
        at->trail = at->core ? at->trail * power[0] + hash[0] : 0;
        at->trail_power = at->core ? at->trail_power * power[0] : 1;
        return;
    }
    uint64_t lead = at->core ? hash[0] : 0;
    at->core = ((at->core * at->trail_power + at->trail) * power[0] + lead) * power[1] + hash[1];
    at->trail = hash[2];
    at->trail_power = power[2];
}

static inline void advance_words(const ngram *state, cursor *at, uint32_t token) {
    int class = class_of(state->tokens.kind_V[token], at->length);
    if (class != CONTINUES) finish_word(at);
    if (class == BOUNDARY) {
        memset(at->word, 0, sizeof at->word);
        return;
    }
    at->pieces = at->pieces * BASE + token + 1;
    at->length++;
    append_text(at, state->tokens.hash_V3 + 3 * (size_t)token, state->tokens.power_V3 + 3 * (size_t)token);
}

static inline void note(const cursor *at, stretch *out, uint32_t n) {
    out->pieces[n] = at->pieces;
    out->word[n][0] = at->core;
    memcpy(&out->word[n][1], at->word, sizeof at->word);
}

/* The hash of the last tokens, over the question's tokens first .. end - 1; with `out`, what it is before each. */
static uint64_t roll(const ngram *state, const expert *own, uint64_t position, uint64_t hash, uint32_t first,
                     uint32_t end, uint64_t *out) {
    const uint16_t *newest = state->token_T, *oldest = state->token_T - own->length;
    uint64_t length = (uint64_t)own->length, power = own->oldest_power;
    for (uint32_t t = first; t < end; t++) {
        if (out) out[t - first] = hash;
        uint64_t leaving = position + (t - first) < length ? 0 : (uint64_t)oldest[t] + 1;
        hash = hash * BASE + newest[t] + 1 - leaving * power;
    }
    return hash;
}

/* `at` moves over the question's tokens first .. end - 1; with `out`, what is known before each is noted. */
static cursor move(const ngram *state, cursor at, uint32_t first, uint32_t end, stretch *out) {
    for (int e = 0; e < state->experts; e++) {
        const expert *own = &state->expert[e];
        if (own->kind != NGRAM_TOKEN) continue;
        at.rolling[e] = roll(state, own, at.position, at.rolling[e], first, end, out ? out->key[e] : NULL);
    }
    uint8_t *open_T = state->open_T;
    for (uint32_t t = first; t < end; t++) {
        uint32_t token = state->token_T[t];
        if (out) {
            note(&at, out, t - first);
            open_T[t] = at.length > 0;
            out->class[t - first] = (uint8_t)class_of(state->tokens.kind_V[token], at.length);
        }
        advance_words(state, &at, token);
    }
    at.position += end - first;
    return at;
}

static inline uint64_t bucket_of(uint64_t key, uint64_t buckets) { return ((key >> 32) * buckets) >> 32; }

/* Each line is asked for as soon as its key is known, and little is done between two of them: a prefetch retires only
 * when its page was found, so that only those that are in flight together are waited for together. */
static void make_keys(const expert *own, int number, uint32_t size, stretch *out) {
    uint64_t *key = out->key[number], salt = ((uint64_t)number + 1) * FAR, buckets = own->buckets;
    const bucket *table = own->table;
    int length = own->length;
    if (own->kind == NGRAM_TOKEN) {
        for (uint32_t n = 0; n < size; n++) key[n] = mixed(salt + key[n]); /* from where `roll` left it */
    }
    for (uint32_t n = 0; own->kind != NGRAM_TOKEN && n < size; n++) {
        const uint64_t *word = out->word[n];
        uint64_t sum = salt;
        if (own->kind == NGRAM_WITHIN) sum += out->pieces[n];
        word += own->kind == NGRAM_WITHIN || !word[0];
        for (int k = 0; k < length; k++) sum = sum * FAR + word[k];
        key[n] = mixed(sum);
    }
    for (uint32_t n = 0; n < size; n++) __builtin_prefetch(&table[bucket_of(key[n], buckets)], 1);
}

/* What must be known of the positions first .. end - 1 before their lines are touched; the last of a question of `count`
 * tokens is the one behind them. */
static cursor approach(const ngram *state, cursor at, uint32_t first, uint32_t end, uint32_t count, stretch *out) {
    if (first == end) return at;
    at = move(state, at, first, end <= count ? end : count, out);
    if (end > count) {
        uint32_t n = count - first;
        note(&at, out, n);
        out->class[n] = UNKNOWN;
        state->open_T[count] = at.length > 0;
        for (int e = 0; e < state->experts; e++) out->key[e][n] = at.rolling[e];
    }
    for (int e = 0; e < state->experts; e++) make_keys(&state->expert[e], e, end - first, out);
    return at;
}

/* ---- one context ---- */

static inline uint32_t token_in(counts one) { return one & 0xFFFF; }
static inline uint32_t second_in(counts one) { return (one >> 16) & 0xFFFF; }
static inline uint32_t total_in(counts one) { return (one >> 32) & 0xFFFF; }
static inline uint32_t top_in(counts one) { return (one >> 48) & 0xFF; }
static inline uint32_t next_in(counts one) { return (uint32_t)(one >> 56); }

static inline counts made_of(uint32_t token, uint32_t second, uint32_t total, uint32_t top, uint32_t next) {
    return (counts)token | (counts)second << 16 | (counts)total << 32 | (counts)top << 48 | (counts)next << 56;
}

/* Bit k is set where slot k has this tag. */
static inline unsigned slots_with(const bucket *line, uint32_t tag) {
#ifdef __SSE2__
    __m128i four = _mm_loadu_si128((const __m128i *)line->tag);
    int equal = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(four, _mm_set1_epi32((int)tag))));
    return (unsigned)equal | (unsigned)(line->tag[4] == tag) << 4;
#else
    unsigned equal = 0;
    for (int k = 0; k < SLOTS; k++) equal |= (unsigned)(line->tag[k] == tag) << k;
    return equal;
#endif
}

/* The slot of a full bucket that was met least often. */
static int least_met(const bucket *line, uint32_t tag) {
    int first = (int)((tag >> 1) % SLOTS), best = first;
    for (int k = 1; k < SLOTS; k++) {
        int at = (first + k) % SLOTS;
        if (total_in(line->counts[at]) < total_in(line->counts[best])) best = at;
    }
    return best;
}

/* Without a branch on what came: nobody can foresee that. */
static inline counts counted(counts one, uint32_t token) {
    uint32_t first = token_in(one), second = second_in(one), next = next_in(one);
    uint32_t is_first = first == token, is_second = (second == token) & (next > 0) & !is_first;
    uint32_t total = total_in(one) + 1, top = top_in(one) + is_first;
    uint32_t fallen = next > 1 ? next - 1 : 1;
    uint32_t replaced = !is_first & !is_second & (next <= 1);
    next = is_first ? next : is_second ? next + 1 : fallen;
    second = replaced ? token : second;
    uint32_t overtaken = next > top;
    uint32_t winner = overtaken ? second : first, loser = overtaken ? first : second;
    uint32_t more = overtaken ? next : top, fewer = overtaken ? top : next;
    if (more == 255 || total == 65535) {
        more = (more + 1) / 2;
        fewer /= 2;
        total = (total + 1) / 2;
    }
    return made_of(winner, loser, total, more, fewer);
}

/* ---- one expert over some positions ---- */

static inline __attribute__((always_inline)) void visit(const ngram *state, expert *own, int kind, uint32_t first,
                                                        uint32_t end, const uint64_t *key, const uint8_t *class) {
    const uint8_t wanted = kind == NGRAM_WITHIN ? CONTINUES : STARTS;
    /* Copies: a store through a pointer to bytes may change anything, as far as the compiler knows. */
    const uint16_t *token_T = state->token_T;
    const uint8_t *open_T = state->open_T, *of_top = state->evidence_top, *of_missed = state->evidence_missed;
    uint8_t *mark_T = own->mark_T;
    counts *counts_T = own->counts_T;
    float *rate_T = own->rate_T;
    bucket *table = own->table;
    const uint64_t buckets = own->buckets;
    undo *record = own->record + own->records;
    uint64_t contexts = 0, given_up = 0;
    for (uint32_t t = first; t < end; t++, key++, class++) {
        int counts_here = kind == NGRAM_TOKEN ? *class != UNKNOWN : *class == wanted;
        uint32_t token = token_T[t], tag = (uint32_t)*key | 1, number = (uint32_t)bucket_of(*key, buckets);
        bucket *line = &table[number];
        unsigned equal = slots_with(line, tag);
        if (kind == NGRAM_WITHIN && !open_T[t]) equal = 0;
        counts_T[t] = 0;
        rate_T[t] = 0.0f;
        mark_T[t] = NOT_COUNTED;
        if (!equal) {
            if (!counts_here) continue;
            unsigned empty = slots_with(line, 0);
            int k = empty ? __builtin_ctz(empty) : least_met(line, tag);
            contexts += empty != 0;
            given_up += empty == 0;
            mark_T[t] = NEW;
            *record++ = (undo){number * SLOTS + (uint32_t)k, line->tag[k], line->counts[k]};
            line->tag[k] = tag;
            line->counts[k] = made_of(token, 0, 1, 1, 0);
            continue;
        }
        int k = __builtin_ctz(equal);
        counts was = line->counts[k];
        uint32_t top = top_in(was), total = total_in(was), missed = total - top;
        uint32_t evidence = 8u * of_top[top] + of_missed[missed < 255 ? missed : 255];
        tally *tally = &own->tallies[evidence];
        double met = (int32_t)total + 1;
        counts_T[t] = was;
        rate_T[t] = (float)(((double)tally->true_ones * met + (int32_t)(2 * top)) / ((double)(tally->seen + 2) * met));
        if (!counts_here) continue;
        uint32_t came_true = token_in(was) == token;
        tally->seen++;
        tally->true_ones += came_true;
        mark_T[t] = (uint8_t)(OLD + 2 * evidence + came_true);
        *record++ = (undo){number * SLOTS + (uint32_t)k, tag, was};
        line->counts[k] = counted(was, token);
    }
    own->contexts += contexts;
    own->given_up += given_up;
    own->records = (uint32_t)(record - own->record);
}

static void visit_all(ngram *state, uint32_t first, uint32_t end, const stretch *from) {
    for (int e = 0; e < state->experts; e++) {
        expert *own = &state->expert[e];
        switch (own->kind) {
        case NGRAM_TOKEN: visit(state, own, NGRAM_TOKEN, first, end, from->key[e], from->class); break;
        case NGRAM_WITHIN: visit(state, own, NGRAM_WITHIN, first, end, from->key[e], from->class); break;
        default: visit(state, own, NGRAM_WORD, first, end, from->key[e], from->class);
        }
    }
}

/* ---- the question ---- */

static void extend(ngram *state, uint32_t count) {
    stretch ahead[2];
    uint32_t first = state->count, end, next;
    end = count + 1 - first < STRETCH ? count + 1 : first + STRETCH;
    cursor at = approach(state, state->now, first, end, count, &ahead[0]);
    for (int turn = 0; first <= count; turn = !turn, first = end, end = next) {
        next = count + 1 - end < STRETCH ? count + 1 : end + STRETCH;
        at = approach(state, at, end, next, count, &ahead[!turn]);
        visit_all(state, first, end, &ahead[turn]);
    }
    state->now = at;
    state->count = count;
}

static void undo_one(expert *own, uint32_t kept, uint32_t count) {
    for (uint32_t t = count; t-- > kept;) {
        uint8_t mark = own->mark_T[t];
        if (mark == NOT_COUNTED) continue;
        uint32_t n = --own->records;
        if (n >= STRETCH) __builtin_prefetch(&own->table[own->record[n - STRETCH].slot / SLOTS], 1);
        undo one = own->record[n];
        bucket *line = &own->table[one.slot / SLOTS];
        line->tag[one.slot % SLOTS] = one.tag;
        line->counts[one.slot % SLOTS] = one.counts;
        if (mark == NEW) {
            own->contexts -= one.counts == 0;
            own->given_up -= one.counts != 0;
        } else {
            tally *tally = &own->tallies[(mark - OLD) / 2];
            tally->seen--;
            tally->true_ones -= (mark - OLD) % 2;
        }
    }
}

static void undo_to(ngram *state, uint32_t kept) {
    if (kept == state->count) return;
    for (int e = 0; e < state->experts; e++) undo_one(&state->expert[e], kept, state->count);
    state->now = state->accepted;
        state->count = kept;
}

void ngram_look(ngram *state, const uint16_t *token_T, uint32_t count) {
    uint32_t same = 0, shorter = count < state->count ? count : state->count;
    while (same < shorter && token_T[same] == state->token_T[same]) same++;
    undo_to(state, same);
    if (same == count) return; /* what was found at this position still stands */
    memcpy(state->token_T + same, token_T + same, (count - same) * sizeof *token_T);
    extend(state, count);
}

void ngram_accept(ngram *state) {
    uint32_t last = state->count;
    memmove(state->token_T - PAST, state->token_T + last - PAST, PAST * sizeof *state->token_T);
    state->accepted = state->now;
    state->count = 0;
    state->open_T[0] = state->open_T[last];
    for (int e = 0; e < state->experts; e++) {
        expert *own = &state->expert[e];
        own->records = 0;
        own->counts_T[0] = own->counts_T[last];
        own->rate_T[0] = own->rate_T[last];
    }
}

uint64_t ngram_accepted(const ngram *state) { return state->accepted.position; }

uint64_t ngram_table_bytes(const ngram *state) {
    uint64_t sum = 0;
    for (int e = 0; e < state->experts; e++) sum += state->expert[e].buckets * sizeof(bucket);
    return sum;
}

uint64_t ngram_contexts(const ngram *state, int number) { return state->expert[number].contexts; }
uint64_t ngram_given_up(const ngram *state, int number) { return state->expert[number].given_up; }

/* ---- making and forgetting ---- */

static void without_history(ngram *state) {
    memset(&state->accepted, 0, sizeof state->accepted);
    state->accepted.trail_power = 1;
    state->now = state->accepted;
    memset(state->token_T - PAST, 0, PAST * sizeof *state->token_T);
    state->count = 0;
    for (int e = 0; e < state->experts; e++) {
        expert *own = &state->expert[e];
        memset(own->tallies, 0, sizeof own->tallies);
        own->contexts = own->given_up = 0;
        own->records = 0;
    }
}

static void empty_tables(ngram *state) {
    for (int e = 0; e < state->experts; e++)
        memset(state->expert[e].table, 0, state->expert[e].buckets * sizeof(bucket));
}

static bucket *table_of(size_t bytes) {
#ifdef __linux__
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED) return NULL;
    /* A table of small pages costs a miss of the TLB beside every miss of the caches. */
    madvise(table, bytes, MADV_HUGEPAGE);
    return table;
#else
    void *table = aligned_alloc(NGRAM_BUCKET_BYTES, bytes);
    if (table) memset(table, 0, bytes);
    return table;
#endif
}

static void free_table(bucket *table, size_t bytes) {
    if (!table) return;
#ifdef __linux__
    munmap(table, bytes);
#else
    (void)bytes;
    free(table);
#endif
}

static uint64_t digest(uint64_t seed, const void *from, size_t size) {
    const uint8_t *at = from;
    uint64_t sum = seed ^ size;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum = mixed(sum ^ word) + BASE;
    }
    uint64_t word = 0;
    memcpy(&word, at, size);
    return mixed(sum ^ word);
}

static int in_range(const ngram_expert *one) {
    uint64_t buckets = one->table_bytes / sizeof(bucket);
    if (buckets < 1 || buckets > UINT32_MAX / SLOTS) return 0;
    switch (one->kind) {
    case NGRAM_TOKEN: return one->length >= 1 && one->length <= NGRAM_MAX_LENGTH;
    case NGRAM_WITHIN: return one->length >= 0 && one->length <= NGRAM_MAX_WORDS;
    case NGRAM_WORD: return one->length >= 1 && one->length <= NGRAM_MAX_WORDS;
    default: return 0;
    }
}

static void *copy_of(const void *from, size_t bytes) {
    void *to = malloc(bytes);
    if (to) memcpy(to, from, bytes);
    return to;
}

static void set_evidence(ngram *state) {
    static const uint8_t top_from[8] = {0, 2, 3, 4, 6, 10, 20, 50};
    static const uint8_t missed_from[8] = {0, 1, 2, 3, 5, 9, 21, 61};
    for (int n = 0; n < 256; n++) {
        for (uint8_t k = 0; k < 8; k++) {
            if (n >= top_from[k]) state->evidence_top[n] = k;
            if (n >= missed_from[k]) state->evidence_missed[n] = k;
        }
    }
}

static int make_expert(expert *own, const ngram_expert *wanted, size_t positions) {
    own->kind = wanted->kind;
    own->length = wanted->length;
    own->buckets = (uint32_t)(wanted->table_bytes / sizeof(bucket));
    own->oldest_power = power_of(BASE, wanted->length);
    own->table = table_of(own->buckets * sizeof(bucket));
    own->record = malloc(positions * sizeof(undo));
    own->mark_T = malloc(positions);
    return own->table && own->record && own->mark_T;
}

ngram *ngram_new(const ngram_tokens *tokens, const ngram_expert *experts, int count, uint32_t block_tokens,
                 const ngram_hints *into) {
    if (count < 1 || count > NGRAM_MAX_EXPERTS || tokens->vocab < 1 || tokens->vocab > 65536 || block_tokens < 1 ||
        block_tokens > NGRAM_MAX_BLOCK)
        return NULL;
    for (int e = 0; e < count; e++)
        if (!in_range(&experts[e])) return NULL;
    ngram *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    size_t vocab = tokens->vocab, positions = (size_t)block_tokens + 1;
    state->tokens.vocab = tokens->vocab;
    state->tokens.kind_V = copy_of(tokens->kind_V, vocab);
    state->tokens.hash_V3 = copy_of(tokens->hash_V3, vocab * 3 * 8);
    state->tokens.power_V3 = copy_of(tokens->power_V3, vocab * 3 * 8);
    state->token_T = malloc((PAST + positions) * sizeof(uint16_t));
    if (state->token_T) state->token_T += PAST;
    state->open_T = into->open_T;
    int whole = state->tokens.kind_V && state->tokens.hash_V3 && state->tokens.power_V3 && state->token_T;
    for (int e = 0; e < count; e++) {
        expert *own = &state->expert[state->experts++];
        own->counts_T = into->counts_ET + (size_t)e * positions;
        own->rate_T = into->rate_ET + (size_t)e * positions;
        whole = make_expert(own, &experts[e], positions) && whole;
    }
    if (!whole) {
        ngram_free(state);
        return NULL;
    }
    state->tokens_digest = digest(vocab, tokens->kind_V, vocab);
    state->tokens_digest = digest(state->tokens_digest, tokens->hash_V3, vocab * 3 * 8);
    state->tokens_digest = digest(state->tokens_digest, tokens->power_V3, vocab * 3 * 8);
    set_evidence(state);
    without_history(state);
    extend(state, 0);
    return state;
}

void ngram_free(ngram *state) {
    if (!state) return;
    for (int e = 0; e < state->experts; e++) {
        expert *own = &state->expert[e];
        free_table(own->table, own->buckets * sizeof(bucket));
        free(own->record);
        free(own->mark_T);
    }
    free((void *)state->tokens.kind_V);
    free((void *)state->tokens.hash_V3);
    free((void *)state->tokens.power_V3);
    if (state->token_T) free(state->token_T - PAST);
    free(state);
}

/* ---- as bytes ---- */

/* What a saved state begins with; then each expert, and after it its used buckets, each after its number; at the end
 * a digest of all that precedes it. */
typedef struct {
    char magic[4];
    uint32_t version, experts, padding;
    uint64_t tokens_digest;
    cursor at;
    uint16_t past[PAST];
} head;
typedef struct {
    int32_t kind, length;
    uint32_t buckets, used;
    uint64_t contexts, given_up;
    tally tallies[NGRAM_EVIDENCE];
} part;
enum { USED_BYTES = 4 + NGRAM_BUCKET_BYTES };
_Static_assert(sizeof(head) == 24 + sizeof(cursor) + 2 * PAST, "no padding in what is saved");

static uint32_t used_buckets(const expert *own) {
    uint32_t used = 0;
    for (uint32_t n = 0; n < own->buckets; n++) {
        uint32_t any = 0;
        for (int k = 0; k < SLOTS; k++) any |= own->table[n].tag[k];
        used += any != 0;
    }
    return used;
}

size_t ngram_size(ngram *state) {
    undo_to(state, 0);
    size_t size = sizeof(head) + 8;
    for (int e = 0; e < state->experts; e++)
        size += sizeof(part) + (size_t)used_buckets(&state->expert[e]) * USED_BYTES;
    return size;
}

size_t ngram_save(ngram *state, uint8_t *out) {
    undo_to(state, 0);
    uint8_t *at = out;
    head first = {.magic = "NGR1", .version = VERSION, .experts = (uint32_t)state->experts};
    first.tokens_digest = state->tokens_digest;
    first.at = state->accepted;
    memcpy(first.past, state->token_T - PAST, sizeof first.past);
    memcpy(at, &first, sizeof first);
    at += sizeof first;
    for (int e = 0; e < state->experts; e++) {
        const expert *own = &state->expert[e];
        part one = {own->kind, own->length, own->buckets, used_buckets(own), own->contexts, own->given_up, {{0, 0}}};
        memcpy(one.tallies, own->tallies, sizeof one.tallies);
        memcpy(at, &one, sizeof one);
        at += sizeof one;
        for (uint32_t n = 0; n < own->buckets; n++) {
            const bucket *line = &own->table[n];
            if (!(line->tag[0] | line->tag[1] | line->tag[2] | line->tag[3] | line->tag[4])) continue;
            memcpy(at, &n, 4);
            memcpy(at + 4, line, NGRAM_BUCKET_BYTES);
            at += USED_BYTES;
        }
    }
    uint64_t sum = digest(VERSION, out, (size_t)(at - out));
    memcpy(at, &sum, 8);
    return (size_t)(at + 8 - out);
}

static int sound(const ngram *state, const bucket *line) {
    for (int k = 0; k < SLOTS; k++) {
        counts one = line->counts[k];
        if (one == 0 && line->tag[k] == 0) continue;
        if (!(line->tag[k] & 1) || token_in(one) >= state->tokens.vocab || second_in(one) >= state->tokens.vocab)
            return 0;
        if (top_in(one) == 0 || top_in(one) < next_in(one) || top_in(one) + next_in(one) > total_in(one)) return 0;
    }
    return line->unused == 0;
}

static const char *restore_part(const ngram *state, expert *own, const uint8_t **at, const uint8_t *end) {
    part one;
    if ((size_t)(end - *at) < sizeof one) return "it is cut short";
    memcpy(&one, *at, sizeof one);
    *at += sizeof one;
    if (one.kind != own->kind || one.length != own->length) return "it was saved with other experts";
    if (one.buckets != own->buckets) return "it was saved with another table size";
    if ((size_t)(end - *at) / USED_BYTES < one.used) return "it is cut short";
    for (uint32_t n = 0; n < one.used; n++, *at += USED_BYTES) {
        uint32_t number;
        memcpy(&number, *at, 4);
        if (number >= own->buckets) return "it is damaged";
        memcpy(&own->table[number], *at + 4, NGRAM_BUCKET_BYTES);
        if (!sound(state, &own->table[number])) return "it is damaged";
    }
    own->contexts = one.contexts;
    own->given_up = one.given_up;
    memcpy(own->tallies, one.tallies, sizeof one.tallies);
    return NULL;
}

static const char *restore(ngram *state, const uint8_t *at, size_t size) {
    head first;
    uint64_t sum;
    if (size < sizeof first + 8) return "it is cut short";
    const uint8_t *end = at + size - 8;
    memcpy(&first, at, sizeof first);
    memcpy(&sum, end, 8);
    if (memcmp(first.magic, "NGR1", 4) || first.version != VERSION) return "it is not a saved state of this version";
    if (sum != digest(VERSION, at, size - 8)) return "it is damaged or cut short";
    if (first.experts != (uint32_t)state->experts) return "it was saved with other experts";
    if (first.tokens_digest != state->tokens_digest) return "it was saved with another vocabulary";
    at += sizeof first;
    for (int e = 0; e < state->experts; e++) {
        const char *refused = restore_part(state, &state->expert[e], &at, end);
        if (refused) return refused;
    }
    if (at != end) return "it is damaged";
    state->accepted = state->now = first.at;
    memcpy(state->token_T - PAST, first.past, sizeof first.past);
    return NULL;
}

const char *ngram_load(ngram *state, const uint8_t *from, size_t size) {
    without_history(state);
    empty_tables(state);
    const char *refused = restore(state, from, size);
    if (refused) {
        without_history(state);
        empty_tables(state);
    }
    extend(state, 0);
    return refused;
}
