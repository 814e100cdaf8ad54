/* What memory allows, for tests/benchmarks/ngram.py: cache lines at random places of a table, each asked
 * for some steps ahead and then read and written, as the counts do with their buckets, and nothing else. */
#define _DEFAULT_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { STRETCH = 3 * 64 }; /* the lines of three contexts at 64 positions */

typedef struct {
    uint64_t word[8];
} line;

static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* A table as ngram.c makes one: anonymous, its pages large where they can be. NULL where there is no
 * memory. */
void *map_lines(size_t bytes) {
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (table == MAP_FAILED) return NULL;
    madvise(table, bytes, MADV_HUGEPAGE);
    return table;
}

void unmap_lines(void *table, size_t bytes) { munmap(table, bytes); }

/* Writes to each page once. */
void touch_lines(line *table, size_t bytes) {
    for (size_t at = 0; at < bytes / sizeof(line); at += 4096 / sizeof(line)) table[at].word[0] = 1;
}

/* Reads and writes `stretches` times STRETCH lines; returns what nobody can foresee, so that it is done. */
uint64_t change_lines(line *table, size_t bytes, uint64_t stretches, uint64_t seed) {
    uint32_t at[2][STRETCH];
    uint64_t lines = bytes / sizeof(line), sum = 0;
    for (uint64_t s = 0; s <= stretches; s++) {
        uint32_t *next = at[s & 1], *now = at[(s & 1) ^ 1];
        for (int k = 0; k < STRETCH; k++) {
            next[k] = (uint32_t)(((mixed(seed + s * STRETCH + (uint64_t)k) >> 32) * lines) >> 32);
            __builtin_prefetch(&table[next[k]], 1);
        }
        for (int k = 0; s && k < STRETCH; k++) sum += table[now[k]].word[k & 7]++;
    }
    return sum;
}
