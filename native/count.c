/* Looking up and counting: the question, position by position, and its undoing. */
#include "state.h"
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const float LARGEST_RATE = 0x1.fffffep-1f; /* the float before 1: what is nearer to 1 would be rounded to it */

/* ---- one context ---- */

/* Bit k is set where slot k has this tag. */
static inline unsigned slots_with(const bucket *line, uint32_t tag) {
#ifdef __SSE2__
    __m128i four = _mm_load_si128((const __m128i *)line->tag);
    return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(four, _mm_set1_epi32((int)tag))));
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
        if (met_in(line->counts[at]) < met_in(line->counts[best])) best = at;
    }
    return best;
}

static inline uint64_t made_of(uint32_t token, uint32_t second, uint32_t met, uint32_t top, uint32_t next) {
    return (uint64_t)token | (uint64_t)second << 16 | (uint64_t)met << 32 | (uint64_t)top << 48 | (uint64_t)next << 56;
}

/* Without a branch on what came: nobody can foresee that. */
static inline uint64_t counted(uint64_t one, uint32_t token) {
    uint32_t first = token_in(one), second = second_in(one), next = next_in(one);
    uint32_t is_first = first == token, is_second = (second == token) & (next > 0) & !is_first;
    uint32_t met = met_in(one) + 1, top = top_in(one) + is_first;
    uint32_t neither = !is_first & !is_second, replaced = neither & (next <= 1);
    next = next + is_second + (neither & (next == 0)) - (neither & (next > 1));
    second = replaced ? token : second;
    uint32_t overtaken = (next >= top) & (second == token);
    uint32_t winner = overtaken ? second : first, loser = overtaken ? first : second;
    uint32_t more = overtaken ? next : top, fewer = overtaken ? top : next;
    if (more == 255 || met == 65535) {
        /* Down, so that what is all stays all and what is not stays not. */
        more = more > 1 ? more / 2 : 1;
        fewer /= 2;
        met /= 2;
    }
    return made_of(winner, loser, met, more, fewer);
}

static inline uint32_t followed(uint32_t last, uint32_t token) {
    uint32_t again = (last & 0xFFFF) == token, run = last >> 16;
    run = (run & (0u - again)) + (run < 255 || !again);
    return token | run << 16;
}

/* ---- the contexts of one length over some positions ---- */

static inline __attribute__((always_inline)) void visit(const ngram *state, row *own, int kind, uint32_t first,
                                                        uint32_t end, const uint64_t *key, const uint8_t *class,
                                                        uint32_t *last) {
    const uint8_t wanted = kind == NGRAM_WITHIN ? CONTINUES : STARTS;
    /* Copies: a store through a pointer to bytes may change anything, as far as the compiler knows. */
    const uint16_t *token_T = state->token_T;
    const uint8_t *open_T = state->open_T;
    uint8_t *mark_T = own->mark_T;
    uint64_t *counts_T = own->counts_T, met = 0, given_up = 0;
    bucket *table = own->table;
    const uint64_t buckets = own->buckets;
    undo *record = own->record + own->records;
    for (uint32_t t = first; t < end; t++, key++, class++, last++) {
        int counts_here = kind == NGRAM_TOKEN ? *class != UNKNOWN : *class == wanted;
        uint32_t token = token_T[t], tag = (uint32_t)*key | 1, number = (uint32_t)bucket_of(*key, buckets);
        bucket *line = &table[number];
        unsigned equal = slots_with(line, tag);
        if (kind == NGRAM_WITHIN && !open_T[t]) equal = 0;
        mark_T[t] = NOT_COUNTED;
        if (equal) {
            int k = __builtin_ctz(equal);
            counts_T[t] = line->counts[k];
            *last = line->last[k];
            if (!counts_here) continue;
            mark_T[t] = OLD;
            *record++ = (undo){number * SLOTS + (uint32_t)k, tag, line->last[k], 0, line->counts[k]};
            line->counts[k] = counted(line->counts[k], token);
            line->last[k] = followed(line->last[k], token);
        } else {
            counts_T[t] = 0;
            *last = 0;
            if (!counts_here) continue;
            unsigned empty = slots_with(line, 0);
            int k = empty ? __builtin_ctz(empty) : least_met(line, tag);
            met += empty != 0;
            given_up += empty == 0;
            mark_T[t] = NEW;
            *record++ = (undo){number * SLOTS + (uint32_t)k, line->tag[k], line->last[k], 0, line->counts[k]};
            line->tag[k] = tag;
            line->counts[k] = made_of(token, 0, 1, 1, 0);
            line->last[k] = token | 1u << 16;
        }
    }
    own->met += met;
    own->given_up += given_up;
    own->records = (uint32_t)(record - own->record);
}

/* ---- one expert over some positions: the hint and its rate ---- */

/* How many times in a row, in four kinds: 1, 2, 3 to 5, more. */
static inline uint32_t of_run(uint32_t run) { return (run > 1) + (run > 2) + (run > 5); }

static void rate(const ngram *state, expert *own, uint8_t wanted, uint32_t first, uint32_t end, const stretch *from) {
    int32_t *hint_T = own->hint_T;
    float *rate_T = own->rate_T;
    uint16_t *mark_T = own->mark_T;
    const uint16_t *token_T = state->token_T;
    const int rows = own->rows;
    const uint32_t *last_N[NGRAM_MAX_CONTEXTS];
    const uint64_t *counts_T[NGRAM_MAX_CONTEXTS];
    for (int k = 0; k < rows; k++) {
        last_N[k] = from->last[own->row[k]];
        counts_T[k] = state->row[own->row[k]].counts_T;
    }
    for (uint32_t t = first; t < end; t++) {
        uint32_t n = t - first;
        unsigned found = 0;
        for (int k = 0; k < rows; k++) found |= (unsigned)(last_N[k][n] != 0) << k;
        hint_T[t] = -1;
        rate_T[t] = 0.0f;
        mark_T[t] = 0;
        if (!found) continue;
        int chosen = __builtin_ctz(found);
        uint32_t last = last_N[chosen][n], hint = last & 0xFFFF, run = last >> 16, agreeing = 0;
        for (int k = chosen + 1; k < rows; k++) {
            uint32_t other = last_N[k][n];
            agreeing += (other != 0) & ((other & 0xFFFF) == hint);
        }
        uint64_t counts = counts_T[chosen][t];
        uint32_t met = met_in(counts), alone = top_in(counts) == met;
        uint32_t evidence = (((uint32_t)chosen * 8 + agreeing) * 4 + of_run(run)) * 2 + alone;
        tally *tally = &own->tallies[evidence];
        uint32_t once = run < met ? run : met; /* what was met was halved, how many times in a row was not */
        double times = (int32_t)met + 1;
        double raw = ((double)tally->true_ones * times + (int32_t)(2 * once)) / ((double)(tally->seen + 2) * times);
        hint_T[t] = (int32_t)hint;
        rate_T[t] = raw < (double)LARGEST_RATE ? (float)raw : LARGEST_RATE;
        /* Without a branch on the class of the token: nobody can foresee that. */
        uint32_t counts_here = (wanted == UNKNOWN) != (from->class[n] == wanted);
        uint32_t came_true = counts_here & (hint == token_T[t]);
        tally->seen += counts_here;
        tally->true_ones += came_true;
        mark_T[t] = (uint16_t)(counts_here * (1 + 2 * evidence + came_true));
    }
}

static void visit_all(ngram *state, uint32_t first, uint32_t end, stretch *of) {
    for (int c = 0; c < state->rows; c++) {
        row *own = &state->row[c];
        switch (own->expert) {
        case NGRAM_TOKEN: visit(state, own, NGRAM_TOKEN, first, end, of->key[c], of->class, of->last[c]); break;
        case NGRAM_WITHIN: visit(state, own, NGRAM_WITHIN, first, end, of->key[c], of->class, of->last[c]); break;
        default: visit(state, own, NGRAM_WORD, first, end, of->key[c], of->class, of->last[c]);
        }
    }
    static const uint8_t wanted[NGRAM_EXPERTS] = {UNKNOWN, CONTINUES, STARTS}; /* UNKNOWN: every one that is known */
    for (int x = 0; x < NGRAM_EXPERTS; x++) rate(state, &state->expert[x], wanted[x], first, end, of);
}

/* ---- the question ---- */

void ngram_extend(ngram *state, uint32_t count) {
    stretch ahead[2];
    uint32_t first = state->count, end, next;
    end = count + 1 - first < STRETCH ? count + 1 : first + STRETCH;
    cursor at = ngram_approach(state, state->now, first, end, count, &ahead[0]);
    for (int turn = 0; first <= count; turn = !turn, first = end, end = next) {
        next = count + 1 - end < STRETCH ? count + 1 : end + STRETCH;
        at = ngram_approach(state, at, end, next, count, &ahead[!turn]);
        visit_all(state, first, end, &ahead[turn]);
    }
    state->now = at;
    state->count = count;
}

static void undo_row(row *own, uint32_t kept, uint32_t count) {
    for (uint32_t t = count; t-- > kept;) {
        if (own->mark_T[t] == NOT_COUNTED) continue;
        uint32_t n = --own->records;
        if (n >= STRETCH) __builtin_prefetch(&own->table[own->record[n - STRETCH].slot / SLOTS], 1);
        undo one = own->record[n];
        bucket *line = &own->table[one.slot / SLOTS];
        line->tag[one.slot % SLOTS] = one.tag;
        line->last[one.slot % SLOTS] = one.last;
        line->counts[one.slot % SLOTS] = one.counts;
        if (own->mark_T[t] == OLD) continue;
        own->met -= one.counts == 0;
        own->given_up -= one.counts != 0;
    }
}

static void undo_rates(expert *own, uint32_t kept, uint32_t count) {
    for (uint32_t t = kept; t < count; t++) {
        if (!own->mark_T[t]) continue;
        tally *tally = &own->tallies[(own->mark_T[t] - 1) / 2];
        tally->seen--;
        tally->true_ones -= (own->mark_T[t] - 1) % 2;
    }
}

void ngram_undo_to(ngram *state, uint32_t kept) {
    if (kept == state->count) return;
    for (int c = 0; c < state->rows; c++) undo_row(&state->row[c], kept, state->count);
    for (int x = 0; x < NGRAM_EXPERTS; x++) undo_rates(&state->expert[x], kept, state->count);
    state->now = ngram_move(state, state->accepted, 0, kept);
    state->count = kept;
}

void ngram_look(ngram *state, const uint16_t *token_T, uint32_t count) {
    uint32_t same = 0, shorter = count < state->count ? count : state->count;
    while (same < shorter && token_T[same] == state->token_T[same]) same++;
    ngram_undo_to(state, same);
    if (same == count) return; /* what was found at this position still stands */
    memcpy(state->token_T + same, token_T + same, (count - same) * sizeof *token_T);
    ngram_extend(state, count);
}

void ngram_accept(ngram *state) {
    uint32_t last = state->count;
    memmove(state->token_T - PAST, state->token_T + last - PAST, PAST * sizeof *state->token_T);
    state->accepted = state->now;
    state->count = 0;
    state->open_T[0] = state->open_T[last];
    for (int c = 0; c < state->rows; c++) {
        state->row[c].records = 0;
        state->row[c].counts_T[0] = state->row[c].counts_T[last];
    }
    for (int x = 0; x < NGRAM_EXPERTS; x++) {
        state->expert[x].hint_T[0] = state->expert[x].hint_T[last];
        state->expert[x].rate_T[0] = state->expert[x].rate_T[last];
    }
}
