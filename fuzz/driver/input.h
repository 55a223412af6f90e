/* input.h: reads the bytes of an input in sequence. After its end they are zeros.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* PLAIN: a function in which the fuzzer counts no edges. UNCHECKED: nor do sanitizers check it. */
#if defined(__clang__) && __clang_major__ >= 12
#define PLAIN __attribute__((no_sanitize("coverage")))
#define UNCHECKED __attribute__((no_sanitize("coverage", "address", "undefined"), noinline))
#else
#define PLAIN
#define UNCHECKED
#endif

struct input {
    const uint8_t *at, *end;
};

static inline int input_more(const struct input *input) { return input->at < input->end; }

static inline unsigned input_byte(struct input *input)
{
    return input_more(input) ? *input->at++ : 0;
}

static inline unsigned input_two(struct input *input)
{
    unsigned low = input_byte(input);
    return low | input_byte(input) << 8;
}

/* A number of len bytes, at most 8, lowest first. */
static inline uint64_t input_word(struct input *input, unsigned len)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < len; i++)
        word |= (uint64_t)input_byte(input) << 8 * i;
    return word;
}

/* The entry point for libFuzzer, AFL++ and replay_main.c. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#endif
