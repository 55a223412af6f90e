/* proof.h: what each proof is written with: any value, what is given, what has to hold.
 *
 * A file of proofs has two readers. CBMC (tools/prove) takes any_* for every value at once. The
 * compiler makes an ordinary test of it, which runs each proof on random values (run.c).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROOF_H
#define PROOF_H

#include <stdint.h>

/* PROOF(name) { ... } is a proof. proofs.toml has its bounds. */
#if defined(__CPROVER__)

uint64_t nondet_u64(void);

static inline uint64_t any_u64(void) { return nondet_u64(); }
static inline uint64_t any_in(uint64_t least, uint64_t most)
{
    uint64_t ones = most; /* a mask, so that the upper bits are known to be 0 */
    for (unsigned i = 1; i < 64; i *= 2)
        ones |= ones >> i;
    uint64_t value = nondet_u64() & ones;
    __CPROVER_assume(least <= value && value <= most);
    return value;
}
static inline void any_bytes(void *place, uint64_t len)
{
    (void)len;
    __CPROVER_havoc_object(place);
}

#define PROOF(name)                                                                                \
    void prove_##name(void);                                                                       \
    void prove_##name(void)
#define GIVEN(condition) __CPROVER_assume(condition)
#define HOLDS(condition) __CPROVER_assert(condition, #condition)

#else

uint64_t any_u64(void);                              /* often a small or a special number */
uint64_t any_in(uint64_t least, uint64_t most);      /* least to most */
void any_bytes(void *place, uint64_t len);           /* all bytes of an object */
void proof_add(const char *name, void (*run)(void)); /* before main */
_Noreturn void proof_given_not(void);                /* ends the round: it does not count */
_Noreturn void proof_failed(const char *file, int line, const char *condition);

#define PROOF(name)                                                                                \
    static void prove_##name(void);                                                                \
    __attribute__((constructor)) static void add_##name(void) { proof_add(#name, prove_##name); }  \
    static void prove_##name(void)
#define GIVEN(condition) ((condition) ? (void)0 : proof_given_not())
#define HOLDS(condition) ((condition) ? (void)0 : proof_failed(__FILE__, __LINE__, #condition))

#endif

static inline int any_bool(void) { return (int)any_in(0, 1); }

#endif
