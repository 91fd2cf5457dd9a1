/* wx/cascade/cascade_kernels_c.c - the inner loops for any processor. */
#define TABLE sq_cascade_kernels_c
#define BYTES 16
#include "wx/cascade/cascade_template.h"
