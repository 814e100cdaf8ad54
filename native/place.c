/* Where the stream stands: words, rolling hashes, and the keys of the contexts at each position. */
#include "state.h"

static const uint64_t FAR = 0xD6E8FEB86659FD93u; /* of one word over the next */

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
static uint64_t roll(const ngram *state, const row *own, uint64_t position, uint64_t hash, uint32_t first,
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

/* With `out`, what is known before each token is noted. */
static cursor move(const ngram *state, cursor at, uint32_t first, uint32_t end, stretch *out) {
    for (int c = 0; c < state->rows; c++) {
        const row *own = &state->row[c];
        if (own->expert != NGRAM_TOKEN) continue;
        at.rolling[c] = roll(state, own, at.position, at.rolling[c], first, end, out ? out->key[c] : NULL);
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

cursor ngram_move(const ngram *state, cursor at, uint32_t first, uint32_t end) {
    return move(state, at, first, end, NULL);
}

/* Little is done between two prefetches: one retires only when its page was found, so that only those that are in flight
 * together are waited for together. */
static void make_keys(const row *own, int number, uint32_t size, stretch *out) {
    uint64_t *key = out->key[number], salt = ((uint64_t)number + 1) * FAR, buckets = own->buckets;
    const bucket *table = own->table;
    int length = own->length;
    if (own->expert == NGRAM_TOKEN) {
        for (uint32_t n = 0; n < size; n++) key[n] = mixed(salt + key[n]); /* from where `roll` left it */
    }
    for (uint32_t n = 0; own->expert != NGRAM_TOKEN && n < size; n++) {
        const uint64_t *word = out->word[n];
        uint64_t sum = salt;
        if (own->expert == NGRAM_WITHIN) sum += out->pieces[n];
        word += own->expert == NGRAM_WITHIN || !word[0];
        for (int k = 0; k < length; k++) sum = sum * FAR + word[k];
        key[n] = mixed(sum);
    }
    for (uint32_t n = 0; n < size; n++) __builtin_prefetch(&table[bucket_of(key[n], buckets)], 1);
}

cursor ngram_approach(const ngram *state, cursor at, uint32_t first, uint32_t end, uint32_t count, stretch *out) {
    if (first == end) return at;
    at = move(state, at, first, end <= count ? end : count, out);
    if (end > count) {
        uint32_t n = count - first;
        note(&at, out, n);
        out->class[n] = UNKNOWN;
        state->open_T[count] = at.length > 0;
        for (int c = 0; c < state->rows; c++) out->key[c][n] = at.rolling[c];
    }
    for (int c = 0; c < state->rows; c++) make_keys(&state->row[c], c, end - first, out);
    return at;
}
