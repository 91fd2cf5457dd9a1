/* base/hash_template.h - SHA-256 (FIPS 180-4) of several messages of one length side by side, a
 * lane of a vector each.
 *
 * The including file defines LANES and HASH_LANES, the name of the function. */
#include <stdint.h>
#include <string.h>

#include "base/hash_many.h"

typedef uint32_t lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));

static const uint32_t round_keys[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

#define TURN(x, n) (((x) >> (n)) | ((x) << (32 - (n))))

/* One block of every message; word t of lane l is words[t][l]. */
static void add_block(lanes *state, lanes *words)
{
    lanes a = state[0], b = state[1], c = state[2], d = state[3];
    lanes e = state[4], f = state[5], g = state[6], h = state[7];
#pragma GCC unroll 16
    for (int t = 0; t < 64; t++) {
        if (t >= 16) {
            const lanes x = words[(t + 1) & 15], y = words[(t + 14) & 15];
            words[t & 15] += (TURN(x, 7) ^ TURN(x, 18) ^ (x >> 3)) + words[(t + 9) & 15] +
                             (TURN(y, 17) ^ TURN(y, 19) ^ (y >> 10));
        }
        const lanes one = h + (TURN(e, 6) ^ TURN(e, 11) ^ TURN(e, 25)) + (g ^ (e & (f ^ g))) +
                          round_keys[t] + words[t & 15];
        const lanes two = (TURN(a, 2) ^ TURN(a, 13) ^ TURN(a, 22)) + ((a & b) | (c & (a | b)));
        h = g;
        g = f;
        f = e;
        e = d + one;
        d = c;
        c = b;
        b = a;
        a = one + two;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void HASH_LANES(const unsigned char *const *data, size_t bytes, unsigned char (*out)[SQ_HASH_BYTES])
{
    lanes state[8], words[16];
    const uint64_t bits = (uint64_t)bytes * 8;
    for (int i = 0; i < 8; i++) {
        state[i] = (lanes){0} + initial[i];
    }
    for (size_t at = 0; at < bytes; at += 64) {
        for (int l = 0; l < LANES; l++) {
            uint32_t block[16];
            memcpy(block, data[l] + at, sizeof block);
            for (int t = 0; t < 16; t++) {
                words[t][l] = __builtin_bswap32(block[t]);
            }
        }
        add_block(state, words);
    }
    /* The last block holds the mark of the end and the length in bits: whole blocks came before. */
    for (int t = 0; t < 16; t++) {
        words[t] = (lanes){0} + (t == 0    ? UINT32_C(0x80000000)
                                 : t == 14 ? (uint32_t)(bits >> 32)
                                 : t == 15 ? (uint32_t)bits
                                           : UINT32_C(0));
    }
    add_block(state, words);
    for (int l = 0; l < LANES; l++) {
        for (int i = 0; i < 8; i++) {
            const uint32_t word = __builtin_bswap32(state[i][l]);
            memcpy(out[l] + 4 * i, &word, sizeof word);
        }
    }
}
