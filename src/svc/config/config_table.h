/* svc/config/config_table.h - the keys, one row each. Private to the room. */
#ifndef SQ_SVC_CONFIG_CONFIG_TABLE_H
#define SQ_SVC_CONFIG_CONFIG_TABLE_H

#include "svc/config/config.h"

typedef enum sq_config_type {
    SQ_CONFIG_IS_TEXT, /* char[size] */
    SQ_CONFIG_IS_WORD, /* char[size], one of `words` */
    SQ_CONFIG_IS_INT,  /* int32_t within low..high */
    SQ_CONFIG_IS_REAL, /* double within low..high */
    SQ_CONFIG_IS_BOOL  /* yes or no */
} sq_config_type;

typedef struct sq_config_row {
    const char *key;
    sq_config_type type;
    size_t offset, size; /* of the member */
    double low, high;
    const char *words;    /* allowed, with spaces */
    const char *standard; /* its default, as it would be written; NULL: must be given */
    const char *unit, *help;
} sq_config_row;

typedef struct sq_config_section {
    const char *name;
    bool named; /* "[region nl]" */
    size_t item_bytes;
    size_t offset;       /* in sq_config: of the struct, or of the array's pointer */
    size_t count_offset; /* of the array's count */
    const sq_config_row *rows;
    size_t row_count;
    const char *help;
} sq_config_section;

extern const sq_config_section sq_config_sections[];
extern const size_t sq_config_section_count;

#endif /* SQ_SVC_CONFIG_CONFIG_TABLE_H */
