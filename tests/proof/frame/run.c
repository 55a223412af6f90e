/* run.c: the proofs of a file as an ordinary test, each on random values.
 *
 * It shows that the proofs still compile, and that what they claim is true of the compiled code. It
 * proves nothing. A round whose values do not meet what is given does not count.
 * SPDX-License-Identifier: Apache-2.0 */
#include "proof.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PROOFS_MAX = 32, ROUNDS = 20000 };

static struct {
    const char *name;
    void (*run)(void);
} proofs[PROOFS_MAX];
static unsigned proof_count;
static const char *proof_name = "";
static uint64_t seed, state;
static jmp_buf round_end;

void proof_add(const char *name, void (*run)(void))
{
    if (proof_count == PROOFS_MAX)
        abort();
    proofs[proof_count].name = name;
    proofs[proof_count++].run = run;
}

/* splitmix64, by Sebastiano Vigna: public domain. */
static uint64_t random_u64(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t any_u64(void)
{
    uint64_t value = random_u64();
    switch (random_u64() % 5) {
        case 0:
            return value % 16;
        case 1:
            return ~(value % 16);
        case 2:
            return value >> value % 64;
        case 3:
            return value & random_u64() & random_u64(); /* few ones */
        default:
            return value;
    }
}

uint64_t any_in(uint64_t least, uint64_t most)
{
    uint64_t count = most - least + 1;
    return count == 0 ? any_u64() : least + random_u64() % count;
}

void any_bytes(void *place, uint64_t len)
{
    for (unsigned char *byte = place; len-- > 0; byte++)
        *byte = (unsigned char)any_u64();
}

void proof_given_not(void) { longjmp(round_end, 1); }

void proof_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: %s: does not hold: %s (SHMHEAP_TEST_SEED=%" PRIu64 ")\n", file, line,
            proof_name, condition, seed);
    exit(1);
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    seed = number_of("SHMHEAP_TEST_SEED", (uint64_t)time(NULL));
    const uint64_t rounds = number_of("SHMHEAP_TEST_ROUNDS", ROUNDS);
    printf("SHMHEAP_TEST_SEED=%" PRIu64 "\n", seed);
    for (unsigned i = 0; i < proof_count; i++) {
        volatile uint64_t counted = 0;
        proof_name = proofs[i].name;
        state = seed;
        for (volatile uint64_t round = 0; round < rounds; round++)
            if (setjmp(round_end) == 0) {
                proofs[i].run();
                counted++;
            }
        printf("%s: %" PRIu64 " rounds of %" PRIu64 "\n", proof_name, counted, rounds);
        if (counted < rounds / 1000) {
            fprintf(stderr, "%s: too few rounds meet what is given\n", proof_name);
            return 1;
        }
    }
    return proof_count != 0 ? 0 : 1;
}
