/* What followed which context: three experts' hints for every position of a token stream, from one history.
 *
 * A state holds a history of accepted tokens and, on top of it, at most one question: tokens that were looked
 * at and may never be accepted. For each position of a question it has each expert's hint, which depends on
 * the tokens before the position alone: a position is looked up first and counted then.
 *
 * Experts and contexts. An expert has contexts of some lengths, or none at all, the longest first. The token expert's are
 * the last `length` tokens. The within-word expert's are the tokens of the open word and the `length` finished
 * words before it; it says nothing where no word is open. The word-start expert's are the last `length` words, the open
 * one taken as finished: what would begin a word here.
 *
 * Classes of the next token. A boundary token is of no class of interest. Where no word is open every other token
 * starts one; where one is open, pieces marked as word starts do, and all others continue it. The token expert counts
 * every token, the word-start expert those that start a word, the within-word expert those that continue one.
 *
 * Words. What a token adds to the open word's normalised text are up to three strings: the leading
 * characters that are stripped from a word's ends, the core, the trailing ones; of each a hash and a power of
 * the base (hash(ab) = hash(a) power(b) + hash(b) mod 2^64). A token without a core has its whole text in
 * `lead`. Finished words without a core are skipped. A boundary forgets all words.
 *
 * Tables. One for each context length: buckets of one cache line, four contexts each. A context is found by a 64-bit key:
 * the upper half chooses the bucket, 31 bits of the lower are compared, so that a lookup takes a stranger for its own
 * with a chance of at most 4 * 2^-31. It remembers
 * - the token that followed last, and how many times in a row it has (to 255);
 * - `top`, the most frequent one, and a second, with their counts, and how often the context was met. While a third
 *   token comes, the second gives way by one count a time (Misra and Gries 1982); so top's count is exact while a
 *   context has had two different successors, and at most the true count beyond. Of two as frequent the later one is
 *   `top`. The three numbers are halved when top's count would pass 254 or the times met 65,534.
 * A full bucket gives up the context that was met least often (of several the first one counting from a slot that the
 * newcomer's key names), and never grows.
 *
 * Hints. An expert's hint is what followed last in the longest of its contexts that has been met. Its evidence: which
 * length that was, how many of the shorter ones name the same token (to 7), how many times in a row (1, 2, 3 to 5, more),
 * and whether `top` is all that is counted there. How often hints with the same evidence came true is counted over the tokens
 * that the expert counts, predict first and update then; that is the hint's rate.
 *
 * No function but ngram_new allocates; none is safe to call on one state from two threads at once. Little-endian
 * machines only. Tokens must be below `vocab`: callers check.
 */
#ifndef NGRAM_H
#define NGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { NGRAM_TOKEN = 0, NGRAM_WITHIN = 1, NGRAM_WORD = 2, NGRAM_EXPERTS = 3 };
enum { NGRAM_STARTS = 1, NGRAM_BOUNDARY = 2 }; /* bits of a token's kind */
enum {
    NGRAM_MAX_CONTEXTS = 8, /* of one expert */
    NGRAM_MAX_LENGTH = 31,  /* tokens of a token context, from 1 */
    NGRAM_MAX_WORDS = 4,    /* words of the others, from 0 (within-word) and 1 (word-start) */
    NGRAM_BUCKET_BYTES = 64,
    NGRAM_EVIDENCE = 512, /* kinds of evidence */
    NGRAM_MAX_BLOCK = 1 << 24,
};

typedef struct {
    int expert;           /* NGRAM_TOKEN, NGRAM_WITHIN, NGRAM_WORD */
    int length;           /* see above */
    uint64_t table_bytes; /* rounded down to whole buckets: at least one, fewer than 2^30 */
} ngram_context;

/* What is known of each token: arrays of `vocab`, or of 3 * vocab (lead, core, trail of a token together). */
typedef struct {
    uint32_t vocab; /* 1 .. 65536 */
    const uint8_t *kind_V;
    const uint64_t *hash_V3;
    const uint64_t *power_V3; /* 1 for an empty string; the core's is 1 exactly where there is no core */
} ngram_tokens;

/* Where answers are written: arrays of 3, or as many as there are contexts, times (block_tokens + 1), row by row, and of
 * block_tokens + 1. They are the caller's, and must live as long as the state.
 *
 * After ngram_look, elements 0 .. count hold what is known before each position (the last is the token after the
 * question). */
typedef struct {
    int32_t *hint_X; /* of each expert, -1 for none */
    float *rate_X;   /* at which hints with such evidence came true, (true + 2 min(run, met) / (met + 1)) / (seen + 2): above 0 and
                      * at most 1 - 2^-24; 0 without a hint */
    uint64_t *counts_C; /* of each context, from the lowest bits up: top, second (16 bits each), how often the context
                         * was met (16), top's count, second's count (8 each); all 0 where it was not met */
    uint8_t *open_T;    /* 1 where a word is open before the position */
} ngram_answers;

typedef struct ngram ngram; /* opaque */

/* Returns a state without history, or NULL where memory is short or an argument is out of its range. `block_tokens`
 * (1 .. NGRAM_MAX_BLOCK) is the longest question. An expert's contexts come in falling order of length; 1 to 17 in all.
 * The tables of `tokens` are copied. Pages of the tables of contexts are touched as they are used. */
ngram *ngram_new(const ngram_tokens *tokens, const ngram_context *contexts, int count, uint32_t block_tokens,
                 const ngram_answers *into);
void ngram_free(ngram *state); /* NULL is allowed */

/* Makes these tokens the question: 0 <= count <= block_tokens. What they share with the last question's beginning is
 * kept, the rest of it is undone. History is unchanged. Costs time in proportion to what differs, and a little for each
 * token that is kept. */
void ngram_look(ngram *state, const uint16_t *token_T, uint32_t count);

/* Makes the question part of the history, at a cost that does not depend on its length. */
void ngram_accept(ngram *state);

uint64_t ngram_accepted(const ngram *state);               /* tokens of the history */
uint64_t ngram_table_bytes(const ngram *state);            /* all tables together */
uint64_t ngram_contexts_met(const ngram *state, int row);  /* in the table of one length, the question's included */
uint64_t ngram_given_up(const ngram *state, int row);      /* contexts that had to make room there, likewise */

/* The history as bytes: `ngram_save` writes ngram_size bytes and returns how many. The question is undone first. */
size_t ngram_size(ngram *state);
size_t ngram_save(ngram *state, uint8_t *out);

/* Replaces history and question. Returns NULL, or why the bytes were refused, and then the state is without history:
 * another format, other contexts, another vocabulary or table size, damaged, cut short. */
const char *ngram_load(ngram *state, const uint8_t *from, size_t size);

#endif
