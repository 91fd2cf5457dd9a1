/* nn/cuda/cuda.h - the backend for NVIDIA GPUs: kernels made when an engine is built, run through
 * the driver alone. libcuda.so.1 is opened when it is asked for, so that one program serves
 * machines with and without a GPU. The environment variable SQUALL_CUDA_DRIVER names another
 * library in its place. */
#ifndef SQ_NN_CUDA_CUDA_H
#define SQ_NN_CUDA_CUDA_H

#include "nn/backend/backend.h"

/** The backend as engines are opened with it: it knows every tactic. */
extern const sq_backend sq_cuda_backend;

/** The backend as engines are built with it for a compute capability times ten (90): it offers what
 * runs there. Of the same id and name. */
const sq_backend *sq_cuda_backend_for(int capability);

/** What the kernels' sources are to be compiled with for an engine with a step of `tactic`: a line
 * for each kernel that is made for a tactic alone. NULL: for every tactic there is. */
void sq_cuda_wanted(const char *tactic, sq_text *out);

/** One GPU. */
typedef struct sq_cuda_info {
    char name[128];
    int capability; /* compute capability times ten: 90 */
    int processors; /* streaming multiprocessors */
    size_t memory_bytes;
    int driver; /* CUDA version that the driver knows, times 1000: 13000 */
} sq_cuda_info;

/** GPU number `index`; SQUALL_E_DEVICE, with words, when there is no driver or no such GPU.
 * @param count  filled with how many there are; may be NULL */
SQUALL_MUST_USE squall_status sq_cuda_find(int index, sq_cuda_info *out, int *count,
                                           squall_error *err);

/** Whether kernels made for `isa` ("sm_80", "sm_90a") run on a compute capability: the same major
 * one, and no smaller minor one; with an "a" that very one. */
bool sq_cuda_fits(const char *isa, int capability);

#endif /* SQ_NN_CUDA_CUDA_H */
