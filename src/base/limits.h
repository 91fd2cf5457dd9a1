/* base/limits.h - every limit that a size from outside is held against, named once. */
#ifndef SQ_BASE_LIMITS_H
#define SQ_BASE_LIMITS_H

#define SQ_LIMIT_FILE_BYTES   ((size_t)4 << 30)  /* any one input file */
#define SQ_LIMIT_FIELD_CELLS  ((size_t)1 << 27)  /* cells of one observation, 134 million */
#define SQ_LIMIT_FIELD_SIDE   ((size_t)1 << 16)  /* cells along one side of a field */
#define SQ_LIMIT_FRAMES       ((size_t)1 << 20)  /* time steps in one file or sequence */
#define SQ_LIMIT_HEADER       ((size_t)64 << 10) /* bytes of a text header */
#define SQ_LIMIT_TENSOR_BYTES ((size_t)16 << 30) /* one tensor of a network */
#define SQ_LIMIT_NODES        65536              /* of one network */
#define SQ_LIMIT_ARENA_BYTES  ((size_t)64 << 30) /* what one context may ask for */
#define SQ_LIMIT_OBJECTS      ((size_t)1 << 16)  /* groups and datasets in one HDF5 file */
#define SQ_LIMIT_DEPTH        16                 /* groups in groups */
#define SQ_LIMIT_PACKED       ((size_t)4096)     /* bytes of values for a byte of compressed file */

#endif /* SQ_BASE_LIMITS_H */
