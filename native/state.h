/* What the parts of the state share; ngram.h has the contract.
 *
 * place.c follows the stream and makes keys, count.c looks up and counts, saved.c writes and reads, ngram.c makes and frees.
 */
#ifndef NGRAM_STATE_H
#define NGRAM_STATE_H

#include <string.h>

#include "ngram.h"

enum { SLOTS = 4, PAST = 32, STRETCH = 64, MOST_ROWS = NGRAM_EXPERTS * NGRAM_MAX_CONTEXTS };
enum { BOUNDARY, CONTINUES, STARTS, UNKNOWN }; /* classes; the token after a question is unknown */

/* `counts` as ngram_answers has them. `last`: the token that followed last (16 bits), how many times in a row (8). All
 * 0 where the slot is free, and so is its tag, which is odd otherwise. */
typedef struct {
    uint64_t counts[SLOTS];
    uint32_t tag[SLOTS], last[SLOTS];
} bucket;
_Static_assert(sizeof(bucket) == NGRAM_BUCKET_BYTES, "a bucket is a cache line");

/* What was in a slot before. */
typedef struct {
    uint32_t slot; /* bucket * SLOTS + number in it */
    uint32_t tag, last, unused; /* `unused` is what alignment takes */
    uint64_t counts;
} undo;

/* Where the stream stands: a function of the tokens so far. Saved as it lies, so it has no padding. */
typedef struct {
    uint64_t position;
    uint64_t rolling[MOST_ROWS];
    uint64_t word[NGRAM_MAX_WORDS];    /* finished ones, the latest first; 0 for none */
    uint64_t pieces;                   /* hash of the open word's tokens */
    uint64_t core, trail, trail_power; /* of its text; core is 0 while all of it would be stripped */
    uint64_t length;                   /* its tokens; 0: no word is open */
} cursor;

/* The contexts of one length, and what a question left to put back. */
typedef struct {
    int expert, length;
    uint32_t buckets;
    uint64_t oldest_power; /* of the base: takes the oldest token out of a rolling hash */
    bucket *table;
    uint64_t met, given_up;
    uint32_t records;
    undo *record;
    uint8_t *mark_T;    /* NOT_COUNTED, NEW, OLD */
    uint64_t *counts_T; /* the caller's */
} row;
enum { NOT_COUNTED, NEW, OLD };

typedef struct {
    int64_t seen, true_ones; /* signed: these become doubles in one instruction */
} tally;

/* One expert: its rows, and what it has learnt of itself. */
typedef struct {
    int rows, row[NGRAM_MAX_CONTEXTS];
    tally tallies[NGRAM_EVIDENCE];
    uint16_t *mark_T; /* 0 where nothing was counted, else 1 + 2 * evidence + came true */
    int32_t *hint_T;  /* this and the next are the caller's */
    float *rate_T;
} expert;

struct ngram {
    ngram_tokens tokens;
    uint64_t tokens_digest;
    int rows;
    row row[MOST_ROWS];
    expert expert[NGRAM_EXPERTS];
    cursor accepted, now;
    uint32_t count;    /* tokens of the question */
    uint16_t *token_T; /* its tokens; before them lie the last PAST tokens of the history */
    uint8_t *open_T;   /* the caller's */
};

/* Some positions on their way: what must be known before their cache lines are touched, and what was found there. */
typedef struct {
    uint64_t key[MOST_ROWS][STRETCH];
    uint32_t last[MOST_ROWS][STRETCH];
    uint64_t pieces[STRETCH];
    uint64_t word[STRETCH][1 + NGRAM_MAX_WORDS]; /* the open one, then the finished ones; 0 for none */
    uint8_t class[STRETCH];
} stretch;

/* Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", with Stafford's constants. */
static inline uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

#define BASE 0x9E3779B97F4A7C15u /* of rolling hashes: odd */

static inline uint64_t bucket_of(uint64_t key, uint64_t buckets) { return ((key >> 32) * buckets) >> 32; }

static inline uint32_t token_in(uint64_t counts) { return counts & 0xFFFF; }
static inline uint32_t second_in(uint64_t counts) { return (counts >> 16) & 0xFFFF; }
static inline uint32_t met_in(uint64_t counts) { return (counts >> 32) & 0xFFFF; }
static inline uint32_t top_in(uint64_t counts) { return (counts >> 48) & 0xFF; }
static inline uint32_t next_in(uint64_t counts) { return (uint32_t)(counts >> 56); }

/* place.c */
/* `at` moves over the question's tokens first .. end - 1. */
cursor ngram_move(const ngram *state, cursor at, uint32_t first, uint32_t end);
/* The same, noting what must be known of the positions first .. end - 1 before their lines are touched, and asking for the
 * lines. The last position of a question of `count` tokens is the one behind them. */
cursor ngram_approach(const ngram *state, cursor at, uint32_t first, uint32_t end, uint32_t count, stretch *out);

/* count.c */
void ngram_extend(ngram *state, uint32_t count);
void ngram_undo_to(ngram *state, uint32_t kept);

/* ngram.c */
void ngram_forget(ngram *state); /* the history; the tables stay as they are */
void ngram_empty(ngram *state);  /* the tables; where the system allows it, without touching their pages */
uint64_t ngram_digest(uint64_t seed, const void *from, size_t size);

#endif
