/* wx/cascade/cascade_kernels_avx2.c - the inner loops for AVX2. */
#if defined(__x86_64__)
#define TABLE sq_cascade_kernels_avx2
#define BYTES 32
#include "wx/cascade/cascade_template.h"
#else
typedef int sq_cascade_no_avx2; /* ISO C wants something in a file */
#endif
