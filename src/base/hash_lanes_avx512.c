/* base/hash_lanes_avx512.c - SHA-256 of 16 messages at once. */
#if defined(__x86_64__)
#define LANES      16
#define HASH_LANES sq_hash_lanes_avx512
#include "base/hash_template.h"
#else
typedef int sq_hash_no_avx512; /* ISO C wants something in a file */
#endif
