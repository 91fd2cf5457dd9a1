/* wx/cascade/cascade_kernels_avx512.c - the inner loops for AVX-512. */
#if defined(__x86_64__)
#define TABLE sq_cascade_kernels_avx512
#define BYTES 64
#include "wx/cascade/cascade_template.h"
#else
typedef int sq_cascade_no_avx512; /* ISO C wants something in a file */
#endif
