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
#define SQ_LIMIT_ROUNDS       1024               /* of one loop in it, which is unrolled */
#define SQ_LIMIT_GRAPHS       16                 /* graphs in graphs */
#define SQ_LIMIT_VALUES       ((size_t)1 << 18)  /* tensors of one network */
#define SQ_LIMIT_ALIVE        4096               /* of them in memory at one time */
#define SQ_LIMIT_PROFILES     64                 /* sets of shapes in one engine */
#define SQ_LIMIT_PORTS        1024               /* inputs, and outputs, of one network */
#define SQ_LIMIT_ATTRS        256                /* attributes of one node */
#define SQ_LIMIT_NAME         4096               /* bytes of a name in an engine */
#define SQ_LIMIT_CERTIFICATE  ((size_t)4 << 20)  /* bytes of a calibration certificate */
#define SQ_LIMIT_RECIPE       ((size_t)1 << 20)  /* bytes of a feature recipe */
#define SQ_LIMIT_SHAPE_BYTES  4096               /* of a constant that a shape hangs on */
#define SQ_LIMIT_OBJECTS      ((size_t)1 << 16)  /* groups and datasets in one HDF5 file */
#define SQ_LIMIT_DEPTH        16                 /* groups in groups */
#define SQ_LIMIT_INFLATED     ((size_t)1 << 30)  /* bytes that a gzipped file may grow to */
#define SQ_LIMIT_PACKED       ((size_t)4096)     /* bytes of values for a byte of compressed file */

#endif /* SQ_BASE_LIMITS_H */
