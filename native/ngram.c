/* Making and freeing a state. What bounds the speed is one cache line fetched from memory for each context length and
 * position; so keys are worked out some positions ahead, and their lines asked for, before they are needed. */
#define _DEFAULT_SOURCE /* mmap and madvise, in ISO mode too */
#include "state.h"

#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

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

uint64_t ngram_digest(uint64_t seed, const void *from, size_t size) {
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

void ngram_empty(ngram *state) {
    for (int c = 0; c < state->rows; c++) {
        size_t bytes = state->row[c].buckets * sizeof(bucket);
#ifdef __linux__
        if (madvise(state->row[c].table, bytes, MADV_DONTNEED) == 0) continue;
#endif
        memset(state->row[c].table, 0, bytes);
    }
}

void ngram_forget(ngram *state) {
    memset(&state->accepted, 0, sizeof state->accepted);
    state->accepted.trail_power = 1;
    state->now = state->accepted;
    memset(state->token_T - PAST, 0, PAST * sizeof *state->token_T);
    state->count = 0;
    for (int c = 0; c < state->rows; c++) {
        state->row[c].met = state->row[c].given_up = 0;
        state->row[c].records = 0;
    }
    for (int x = 0; x < NGRAM_EXPERTS; x++) memset(state->expert[x].tallies, 0, sizeof state->expert[x].tallies);
}

static int in_range(const ngram_context *one) {
    uint64_t buckets = one->table_bytes / sizeof(bucket);
    if (buckets < 1 || buckets >= 1u << 30) return 0;
    switch (one->expert) {
    case NGRAM_TOKEN: return one->length >= 1 && one->length <= NGRAM_MAX_LENGTH;
    case NGRAM_WITHIN: return one->length >= 0 && one->length <= NGRAM_MAX_WORDS;
    case NGRAM_WORD: return one->length >= 1 && one->length <= NGRAM_MAX_WORDS;
    default: return 0;
    }
}

/* Every context in range, no expert with too many, and each expert's from the longest down. */
static int are_in_order(const ngram_context *contexts, int count) {
    int shortest[NGRAM_EXPERTS] = {NGRAM_MAX_LENGTH + 1, NGRAM_MAX_LENGTH + 1, NGRAM_MAX_LENGTH + 1};
    int rows[NGRAM_EXPERTS] = {0};
    for (int c = 0; c < count; c++) {
        const ngram_context *one = &contexts[c];
        if (!in_range(one) || one->length >= shortest[one->expert]) return 0;
        if (++rows[one->expert] > NGRAM_MAX_CONTEXTS) return 0;
        shortest[one->expert] = one->length;
    }
    return 1;
}

static void *copy_of(const void *from, size_t bytes) {
    void *to = malloc(bytes);
    if (to) memcpy(to, from, bytes);
    return to;
}

static int make_row(row *own, const ngram_context *wanted, size_t positions) {
    own->expert = wanted->expert;
    own->length = wanted->length;
    own->buckets = (uint32_t)(wanted->table_bytes / sizeof(bucket));
    own->oldest_power = 1;
    for (int k = 0; k < wanted->length; k++) own->oldest_power *= BASE;
    own->table = table_of(own->buckets * sizeof(bucket));
    own->record = malloc(positions * sizeof(undo));
    own->mark_T = malloc(positions);
    return own->table && own->record && own->mark_T;
}

static int make_rows(ngram *state, const ngram_context *contexts, int count, size_t positions,
                     const ngram_answers *into) {
    int whole = 1;
    for (int c = 0; c < count; c++) {
        expert *its = &state->expert[contexts[c].expert];
        its->row[its->rows++] = c;
        state->row[c].counts_T = into->counts_C + (size_t)c * positions;
        state->rows++;
        whole = make_row(&state->row[c], &contexts[c], positions) && whole;
    }
    for (int x = 0; x < NGRAM_EXPERTS; x++) {
        expert *own = &state->expert[x];
        own->hint_T = into->hint_X + (size_t)x * positions;
        own->rate_T = into->rate_X + (size_t)x * positions;
        own->mark_T = malloc(positions * sizeof *own->mark_T);
        whole = whole && own->mark_T;
    }
    return whole;
}

ngram *ngram_new(const ngram_tokens *tokens, const ngram_context *contexts, int count, uint32_t block_tokens,
                 const ngram_answers *into) {
    if (count < 1 || count > MOST_ROWS || tokens->vocab < 1 || tokens->vocab > 65536 || block_tokens < 1 ||
        block_tokens > NGRAM_MAX_BLOCK || !are_in_order(contexts, count))
        return NULL;
    ngram *state = calloc(1, sizeof *state);
    if (!state) return NULL;
    size_t vocab = tokens->vocab, positions = (size_t)block_tokens + 1;
    state->tokens.vocab = tokens->vocab;
    state->tokens.kind_V = copy_of(tokens->kind_V, vocab);
    state->tokens.hash_V3 = copy_of(tokens->hash_V3, vocab * 3 * 8);
    state->tokens.power_V3 = copy_of(tokens->power_V3, vocab * 3 * 8);
    state->token_T = calloc(PAST + positions, sizeof(uint16_t));
    if (state->token_T) state->token_T += PAST;
    state->open_T = into->open_T;
    int whole = state->tokens.kind_V && state->tokens.hash_V3 && state->tokens.power_V3 && state->token_T;
    if (!make_rows(state, contexts, count, positions, into) || !whole) {
        ngram_free(state);
        return NULL;
    }
    state->tokens_digest = ngram_digest(vocab, tokens->kind_V, vocab);
    state->tokens_digest = ngram_digest(state->tokens_digest, tokens->hash_V3, vocab * 3 * 8);
    state->tokens_digest = ngram_digest(state->tokens_digest, tokens->power_V3, vocab * 3 * 8);
    ngram_forget(state);
    ngram_extend(state, 0);
    return state;
}

void ngram_free(ngram *state) {
    if (!state) return;
    for (int c = 0; c < state->rows; c++) {
        free_table(state->row[c].table, state->row[c].buckets * sizeof(bucket));
        free(state->row[c].record);
        free(state->row[c].mark_T);
    }
    for (int x = 0; x < NGRAM_EXPERTS; x++) free(state->expert[x].mark_T);
    free((void *)state->tokens.kind_V);
    free((void *)state->tokens.hash_V3);
    free((void *)state->tokens.power_V3);
    if (state->token_T) free(state->token_T - PAST);
    free(state);
}

uint64_t ngram_accepted(const ngram *state) { return state->accepted.position; }

uint64_t ngram_table_bytes(const ngram *state) {
    uint64_t sum = 0;
    for (int c = 0; c < state->rows; c++) sum += state->row[c].buckets * sizeof(bucket);
    return sum;
}

uint64_t ngram_contexts_met(const ngram *state, int number) { return state->row[number].met; }
uint64_t ngram_given_up(const ngram *state, int number) { return state->row[number].given_up; }
