/* nn/cpu/cpu.h - the fast CPU backend: kernels for each instruction set, chosen when run. */
#ifndef SQ_NN_CPU_CPU_H
#define SQ_NN_CPU_CPU_H

#include "nn/backend/backend.h"

/** The CPU backend. It need not know every operator: what it lacks runs on ref. */
extern const sq_backend sq_cpu_backend;

/** The blocked layout that this host's convolutions like best: C16 (AVX-512), C8 (AVX2, NEON) or
 * PLAIN. */
squall_layout sq_cpu_layout(void);

#endif /* SQ_NN_CPU_CPU_H */
