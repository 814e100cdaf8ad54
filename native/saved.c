/* A history as bytes, and back. */
#include "state.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "saved states are little-endian; this machine is not"
#endif

/* What a saved state begins with; then each row, and after it its used buckets, each after its number; then the experts'
 * tallies; at the end a digest of all that precedes it. */
typedef struct {
    char magic[4];
    uint32_t version, rows, padding;
    uint64_t tokens_digest;
    cursor at;
    uint16_t past[PAST];
} head;
typedef struct {
    int32_t expert, length;
    uint32_t buckets, used;
    uint64_t met, given_up;
} part;
enum { VERSION = 1, USED_BYTES = 4 + NGRAM_BUCKET_BYTES, TALLY_BYTES = NGRAM_EVIDENCE * sizeof(tally) };
_Static_assert(sizeof(head) == 24 + sizeof(cursor) + 2 * PAST, "no padding in what is saved");

static uint32_t is_used(const bucket *line) { return (line->tag[0] | line->tag[1] | line->tag[2] | line->tag[3]) != 0; }

static uint32_t used_buckets(const row *own) {
    uint32_t used = 0;
    for (uint32_t n = 0; n < own->buckets; n++) used += is_used(&own->table[n]);
    return used;
}

size_t ngram_size(ngram *state) {
    ngram_undo_to(state, 0);
    size_t size = sizeof(head) + NGRAM_EXPERTS * TALLY_BYTES + 8;
    for (int c = 0; c < state->rows; c++) size += sizeof(part) + (size_t)used_buckets(&state->row[c]) * USED_BYTES;
    return size;
}

size_t ngram_save(ngram *state, uint8_t *out) {
    ngram_undo_to(state, 0);
    uint8_t *at = out;
    head first = {.magic = "NGR1", .version = VERSION, .rows = (uint32_t)state->rows};
    first.tokens_digest = state->tokens_digest;
    first.at = state->accepted;
    memcpy(first.past, state->token_T - PAST, sizeof first.past);
    memcpy(at, &first, sizeof first);
    at += sizeof first;
    for (int c = 0; c < state->rows; c++) {
        const row *own = &state->row[c];
        part one = {own->expert, own->length, own->buckets, used_buckets(own), own->met, own->given_up};
        memcpy(at, &one, sizeof one);
        at += sizeof one;
        for (uint32_t n = 0; n < own->buckets; n++) {
            if (!is_used(&own->table[n])) continue;
            memcpy(at, &n, 4);
            memcpy(at + 4, &own->table[n], NGRAM_BUCKET_BYTES);
            at += USED_BYTES;
        }
    }
    for (int x = 0; x < NGRAM_EXPERTS; x++, at += TALLY_BYTES) memcpy(at, state->expert[x].tallies, TALLY_BYTES);
    uint64_t sum = ngram_digest(VERSION, out, (size_t)(at - out));
    memcpy(at, &sum, 8);
    return (size_t)(at + 8 - out);
}

static int is_sound(const ngram *state, const bucket *line) {
    uint32_t vocab = state->tokens.vocab;
    for (int k = 0; k < SLOTS; k++) {
        uint64_t one = line->counts[k];
        uint32_t last = line->last[k];
        if (one == 0 && line->tag[k] == 0 && last == 0) continue;
        if (!(line->tag[k] & 1) || token_in(one) >= vocab || second_in(one) >= vocab || (last & 0xFFFF) >= vocab) return 0;
        if (last >> 16 == 0 || last >> 24) return 0;
        if (top_in(one) > 254 || met_in(one) > 65534) return 0;
        if (top_in(one) == 0 || top_in(one) < next_in(one) || top_in(one) + next_in(one) > met_in(one)) return 0;
    }
    return 1;
}

static int are_sound(const tally *tallies) {
    for (int k = 0; k < NGRAM_EVIDENCE; k++) {
        tally one = tallies[k];
        if (one.true_ones < 0 || one.true_ones > one.seen || one.seen > (int64_t)1 << 53) return 0;
    }
    return 1;
}

static const char *restore_row(const ngram *state, row *own, const uint8_t **at, const uint8_t *end) {
    part one;
    if ((size_t)(end - *at) < sizeof one) return "it is cut short";
    memcpy(&one, *at, sizeof one);
    *at += sizeof one;
    if (one.expert != own->expert || one.length != own->length) return "it was saved with other contexts";
    if (one.buckets != own->buckets) return "it was saved with another table size";
    if ((size_t)(end - *at) / USED_BYTES < one.used) return "it is cut short";
    for (uint32_t n = 0; n < one.used; n++, *at += USED_BYTES) {
        uint32_t number;
        memcpy(&number, *at, 4);
        if (number >= own->buckets) return "it is damaged";
        memcpy(&own->table[number], *at + 4, NGRAM_BUCKET_BYTES);
        if (!is_sound(state, &own->table[number])) return "it is damaged";
    }
    own->met = one.met;
    own->given_up = one.given_up;
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
    if (sum != ngram_digest(VERSION, at, size - 8)) return "it is damaged or cut short";
    if (first.rows != (uint32_t)state->rows) return "it was saved with other contexts";
    if (first.tokens_digest != state->tokens_digest) return "it was saved with another vocabulary";
    at += sizeof first;
    for (int c = 0; c < state->rows; c++) {
        const char *refused = restore_row(state, &state->row[c], &at, end);
        if (refused) return refused;
    }
    if ((size_t)(end - at) != NGRAM_EXPERTS * TALLY_BYTES) return "it is damaged";
    for (int x = 0; x < NGRAM_EXPERTS; x++, at += TALLY_BYTES) {
        memcpy(state->expert[x].tallies, at, TALLY_BYTES);
        if (!are_sound(state->expert[x].tallies)) return "it is damaged";
    }
    state->accepted = state->now = first.at;
    memcpy(state->token_T - PAST, first.past, sizeof first.past);
    return NULL;
}

const char *ngram_load(ngram *state, const uint8_t *from, size_t size) {
    ngram_forget(state);
    ngram_empty(state);
    const char *refused = restore(state, from, size);
    if (refused) {
        ngram_forget(state);
        ngram_empty(state);
    }
    ngram_extend(state, 0);
    return refused;
}
