/* Counts of what followed which context, for any number of experts, in one table of bounded size.
 *
 * A state holds a history of accepted tokens and, on top of it, at most one question: tokens that were looked
 * at and may never be accepted. For each position of a question it has each expert's hint, which depends on
 * the tokens before the position alone: a position is looked up first and counted then.
 *
 * Experts. A token expert's context is the last `length` tokens. A within-word expert's is the tokens of the
 * open word and the `length` finished words before it; it has no hint where no word is open. A word-start
 * expert's is the last `length` words, the open one taken as finished: what would begin a word here.
 *
 * Classes of the next token. A boundary token is of no class of interest. Where no word is open every other token
 * starts one; where one is open, pieces marked as word starts do, and all others continue it. Token experts count
 * every token, word-start experts those that start a word, within-word experts those that continue one.
 *
 * Words. What a token adds to the open word's normalised text are up to three strings: the leading
 * characters that are stripped from a word's ends, the core, the trailing ones; of each a hash and a power of
 * the base (hash(ab) = hash(a) power(b) + hash(b) mod 2^64). A token without a core has its whole text in
 * `lead`. Finished words without a core are skipped. A boundary forgets all words.
 *
 * Table. Each expert has its own: buckets of one cache line, five contexts each. A context is found by a 64-bit key:
 * the upper half chooses the bucket, 31 bits of the lower are compared, so that a lookup takes a stranger for
 * its own with a chance of at most 5 * 2^-31. It remembers its two most frequent next tokens and how often it was
 * met. While a third token comes, the second gives way by one count a time (Misra and Gries 1982); so `top` is exact
 * while a context has had two different successors, and at most the true count beyond. All three are halved when
 * `top` would pass 254 or `total` 65,534. A full bucket gives up the context that was met least often (of several
 * the first one counting from a slot that the newcomer's key names), and never grows.
 *
 * Rates. An expert's hints fall into 64 kinds of evidence, by `top` and by `total - top`. How often those of
 * a kind came true is counted over the tokens that the expert counts, predict first and update then.
 *
 * No function allocates but ngram_new and ngram_load's caller; none is safe to call on one state from two
 * threads at once. Little-endian machines only. Tokens must be below `vocab`: callers check.
 */
#ifndef NGRAM_H
#define NGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { NGRAM_TOKEN = 0, NGRAM_WITHIN = 1, NGRAM_WORD = 2 };
enum { NGRAM_STARTS = 1, NGRAM_BOUNDARY = 2 }; /* bits of a token's kind */
enum {
    NGRAM_MAX_EXPERTS = 16,
    NGRAM_MAX_LENGTH = 31, /* tokens of a token expert's context, from 1 */
    NGRAM_MAX_WORDS = 4,   /* words of the other experts' contexts, from 0 and 1 */
    NGRAM_BUCKET_BYTES = 64,
    NGRAM_EVIDENCE = 64, /* kinds of evidence */
    NGRAM_MAX_BLOCK = 1 << 24,
};

typedef struct {
    int kind;             /* NGRAM_TOKEN, NGRAM_WITHIN, NGRAM_WORD */
    int length;           /* see above */
    uint64_t table_bytes; /* rounded down to whole buckets: at least one, fewer than 2^32 / 5 */
} ngram_expert;

/* What is known of each token: arrays of `vocab`, or of 3 * vocab (lead, core, trail of a token together). */
typedef struct {
    uint32_t vocab; /* 1 .. 65536 */
    const uint8_t *kind_V;
    const uint64_t *hash_V3;
    const uint64_t *power_V3; /* 1 for an empty string; the core's is 1 exactly where there is no core */
} ngram_tokens;

typedef struct ngram ngram; /* opaque */

/* Where answers are written: arrays of experts * (block_tokens + 1), expert by expert, and of block_tokens + 1. They are
 * the caller's, and must live as long as the state.
 *
 * After ngram_look, elements 0 .. count hold what is known before each position (the last is the token after the
 * question). `counts` are an expert's counts of its context, from the lowest bits up: the hint, which is the most
 * frequent next token (16 bits), the second (16), how often the context was met (16), how often the hint came (8) and the
 * second (8); all 0 where the context was not met. `rate`, 0 .. 1 exclusive, is how often hints with such
 * evidence came true, (true + 2 top / (total + 1)) / (seen + 2); 0 without a hint. */
typedef struct {
    uint64_t *counts_ET;
    float *rate_ET;
    uint8_t *open_T; /* 1 where a word is open before the position */
} ngram_hints;

/* Returns a state without history, or NULL where memory is short or an argument is out of its range. `block_tokens`
 * (1 .. NGRAM_MAX_BLOCK) is the longest question. The tables of `tokens` are copied. Pages of the tables of
 * contexts are touched as they are used. */
ngram *ngram_new(const ngram_tokens *tokens, const ngram_expert *experts, int count, uint32_t block_tokens,
                 const ngram_hints *into);
void ngram_free(ngram *state); /* NULL is allowed */

/* Makes these tokens the question: 0 <= count <= block_tokens. What they share with the last question's beginning is
 * kept, the rest of it is undone. History is unchanged. Costs time in proportion to what differs. */
void ngram_look(ngram *state, const uint16_t *token_T, uint32_t count);

/* Makes the question part of the history, at a cost that does not depend on its length. */
void ngram_accept(ngram *state);

uint64_t ngram_accepted(const ngram *state);             /* tokens of the history */
uint64_t ngram_table_bytes(const ngram *state);          /* all tables together */
uint64_t ngram_contexts(const ngram *state, int expert); /* contexts in its table, the question's included */
uint64_t ngram_given_up(const ngram *state, int expert); /* contexts that had to make room, likewise */

/* The history as bytes: `ngram_save` writes ngram_size bytes and returns how many. The question is undone first. */
size_t ngram_size(ngram *state);
size_t ngram_save(ngram *state, uint8_t *out);

/* Replaces history and question. Returns NULL, or why the bytes were refused, and then the state is without history:
 * another format, other experts, another vocabulary or table size, damaged, cut short. */
const char *ngram_load(ngram *state, const uint8_t *from, size_t size);

#endif
