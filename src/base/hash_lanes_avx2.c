/* base/hash_lanes_avx2.c - SHA-256 of 8 messages at once. */
#if defined(__x86_64__)
#define LANES      8
#define HASH_LANES sq_hash_lanes_avx2
#include "base/hash_template.h"
#else
typedef int sq_hash_no_avx2; /* ISO C wants something in a file */
#endif
