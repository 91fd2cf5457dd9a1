/* svc/config/config_read.c - the file, by libinih, line by line into the tables' members. */
#include <ctype.h>
#include <errno.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "svc/config/config_private.h"
#include "svc/config/config_table.h"

enum { FILE_BYTES = 1 << 20 };

/* The text that libinih reads from, and where it is. */
typedef struct reader {
    const char *text;
    size_t length, at;
    int line;
    sq_config *config;
    squall_notes *problems;
    bool no_memory;
    char section[64];               /* the last one seen */
    void *item;                     /* its struct; NULL when the section is unknown */
    const sq_config_section *table; /* its rows */
    uint64_t given;                 /* rows that were given, by bit */
    int section_line;
} reader;

void sq_config_problem(squall_notes *problems, const sq_config *config, int line,
                       const char *section, const char *key, const char *text)
{
    char where[SQ_CONFIG_TEXT * 4 + 160];
    snprintf(where, sizeof where, "%s:%d: [%s]%s%s", config->path, line, section,
             key[0] != '\0' ? " " : "", key);
    sq_note(problems, where, "%s", text);
}

__attribute__((format(printf, 3, 4))) static void problem(reader *r, const char *key,
                                                          const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sq_config_problem(r->problems, r->config, r->line, r->section, key, text);
}

/* ---------------------------------------------------------------- values */

static bool is_word(const char *words, const char *value)
{
    const size_t length = strlen(value);
    for (const char *at = words; *at != '\0';) {
        const size_t word = strcspn(at, " ");
        if (word == length && strncmp(at, value, length) == 0) {
            return true;
        }
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

static bool parse_bool(const char *value, bool *out)
{
    *out = strcmp(value, "yes") == 0;
    return *out || strcmp(value, "no") == 0;
}

/* Put `value` into the member; the reason, or NULL when it fits. */
static const char *store(const sq_config_row *row, const char *value, void *item, char *reason,
                         size_t size)
{
    char *member = (char *)item + row->offset;
    char *end;
    double number;
    switch (row->type) {
    case SQ_CONFIG_IS_WORD:
        if (!is_word(row->words, value)) {
            snprintf(reason, size, "'%.100s' is none of: %s", value, row->words);
            return reason;
        }
        /* fall through */
    case SQ_CONFIG_IS_TEXT:
        if (strlen(value) >= row->size) {
            snprintf(reason, size, "longer than %zu bytes", row->size - 1);
            return reason;
        }
        memset(member, 0, row->size);
        memcpy(member, value, strlen(value));
        return NULL;
    case SQ_CONFIG_IS_BOOL:
        if (!parse_bool(value, (bool *)(void *)member)) {
            snprintf(reason, size, "'%.100s' is neither yes nor no", value);
            return reason;
        }
        return NULL;
    case SQ_CONFIG_IS_INT:
    case SQ_CONFIG_IS_REAL:
        break;
    }
    errno = 0;
    number = strtod(value, &end);
    const bool whole = row->type == SQ_CONFIG_IS_INT;
    if (errno != 0 || end == value || *end != '\0' || !(number >= row->low) ||
        !(number <= row->high) || (whole && number != floor(number))) {
        snprintf(reason, size, "'%.100s' is not a %snumber from %.10g to %.10g%s%s", value,
                 whole ? "whole " : "", row->low, row->high, row->unit[0] != '\0' ? " in " : "",
                 row->unit);
        return reason;
    }
    if (whole) {
        *(int32_t *)(void *)member = (int32_t)number;
    } else {
        *(double *)(void *)member = number;
    }
    return NULL;
}

static void set_standards(const sq_config_section *section, void *item)
{
    char reason[256];
    for (size_t i = 0; i < section->row_count; i++) {
        const sq_config_row *row = &section->rows[i];
        if (row->standard != NULL && row->standard[0] != '\0') {
            store(row, row->standard, item, reason, sizeof reason);
        }
    }
}

/* ---------------------------------------------------------------- sections */

/* Names end up in addresses and file names. */
static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    if (length == 0 || length >= SQ_CONFIG_NAME || !isalnum((unsigned char)name[0])) {
        return false;
    }
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && *name != '-' && *name != '_') {
            return false;
        }
    }
    return true;
}

/* Every named section's struct begins with these. */
typedef struct item_head {
    int32_t line;
    char name[SQ_CONFIG_NAME];
} item_head;

/* A new item of a named section; NULL, with the problem told, when it cannot be. */
static void *add_item(reader *r, const sq_config_section *section, const char *name)
{
    void **items = (void **)(void *)((char *)r->config + section->offset);
    size_t *count = (size_t *)(void *)((char *)r->config + section->count_offset);
    if (!is_name(name)) {
        problem(r, "", "its name must be letters, digits, '-' and '_', at most %d",
                SQ_CONFIG_NAME - 1);
        return NULL;
    }
    if (*count == SQ_CONFIG_ITEMS) {
        problem(r, "", "more than %d sections of this kind", SQ_CONFIG_ITEMS);
        return NULL;
    }
    for (size_t i = 0; i < *count; i++) {
        const item_head *other =
            (const item_head *)(void *)((char *)*items + i * section->item_bytes);
        if (strcmp(other->name, name) == 0) {
            problem(r, "", "there is one of this name already, in line %d", other->line);
            return NULL;
        }
    }
    void *grown = sq_regrow(*items, *count, *count + 1, section->item_bytes);
    if (grown == NULL) {
        r->no_memory = true;
        return NULL;
    }
    *items = grown;
    item_head *item = (item_head *)(void *)((char *)grown + (*count)++ * section->item_bytes);
    item->line = r->line;
    memcpy(item->name, name, strlen(name));
    set_standards(section, item);
    return item;
}

/* What must be given and was not. */
static void end_section(reader *r)
{
    for (size_t i = 0; r->item != NULL && i < r->table->row_count; i++) {
        const sq_config_row *row = &r->table->rows[i];
        if (row->standard == NULL && (r->given >> i & 1) == 0) {
            sq_config_problem(r->problems, r->config, r->section_line, r->section, row->key,
                              "must be given");
        }
    }
    r->item = NULL;
}

static void begin_section(reader *r, const char *name)
{
    end_section(r);
    snprintf(r->section, sizeof r->section, "%s", name);
    r->given = 0;
    r->section_line = r->line;
    for (size_t i = 0; i < sq_config_section_count; i++) {
        const sq_config_section *section = &sq_config_sections[i];
        const size_t length = strlen(section->name);
        if (strncmp(name, section->name, length) != 0) {
            continue;
        }
        if (!section->named && name[length] == '\0') {
            r->table = section;
            r->item = (char *)r->config + section->offset;
            return;
        }
        if (section->named && (name[length] == ' ' || name[length] == '\0')) {
            r->table = section;
            r->item = add_item(r, section, name + length + strspn(name + length, " "));
            return;
        }
    }
    problem(
        r, "",
        "no such section; there are server, limits, retention, replay, release, key NAME, broker "
        "NAME, source NAME, engine NAME, region NAME, location NAME");
}

/* libinih tells of a section only when a key follows; a section without one counts, too. */
static void see_section(reader *r, const char *line)
{
    char name[sizeof r->section];
    const char *at = line + strspn(line, " \t");
    const size_t length = strcspn(at + (*at != '\0' ? 1 : 0), "]\r\n");
    if (*at == '[' && at[length + 1] == ']') {
        snprintf(name, sizeof name, "%.*s", (int)length, at + 1);
        begin_section(r, name);
    }
}

/* libinih's fgets(). It takes at most `room` - 1 bytes a line; what is longer it would take for two
 * lines. */
static char *read_line(char *line, int room, void *stream)
{
    reader *r = stream;
    if (r->at >= r->length) {
        return NULL;
    }
    const char *from = r->text + r->at;
    const char *end = memchr(from, '\n', r->length - r->at);
    const size_t length = end != NULL ? (size_t)(end - from) + 1 : r->length - r->at;
    r->line++;
    r->at += length;
    if (length > (size_t)room - 1) {
        problem(r, "", "a line of %zu bytes; at most %d are taken", length, room - 2);
        snprintf(line, (size_t)room, "\n");
        return line;
    }
    memcpy(line, from, length);
    line[length] = '\0';
    see_section(r, line);
    return line;
}

static int on_value(void *user, const char *section, const char *key, const char *value)
{
    reader *r = user;
    char reason[320];
    if (section[0] == '\0') {
        problem(r, key, "stands before the first section");
    }
    if (r->item == NULL) {
        return 1;
    }
    for (size_t i = 0; i < r->table->row_count; i++) {
        if (strcmp(r->table->rows[i].key, key) != 0) {
            continue;
        }
        if ((r->given >> i & 1) != 0) {
            problem(r, key,
                    "is given twice, or its line is followed by one that begins with a "
                    "space");
            return 1;
        }
        r->given |= (uint64_t)1 << i;
        const char *why = store(&r->table->rows[i], value, r->item, reason, sizeof reason);
        if (why != NULL) {
            problem(r, key, "%s", why);
        }
        return 1;
    }
    problem(r, key, "no such key in this section");
    return 1;
}

/* ---------------------------------------------------------------- the whole */

squall_status sq_config_parse(const char *text, size_t length, const char *path, sq_config **out,
                              squall_notes *problems, squall_error *err)
{
    const size_t before = squall_notes_count(problems);
    sq_config *config = sq_alloc(1, sizeof *config);
    if (config == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
    }
    snprintf(config->path, sizeof config->path, "%s", path);
    for (size_t i = 0; i < sq_config_section_count; i++) {
        if (!sq_config_sections[i].named) {
            set_standards(&sq_config_sections[i], (char *)config + sq_config_sections[i].offset);
        }
    }
    reader r = {.text = text, .length = length, .config = config, .problems = problems};
    const int bad = ini_parse_stream(read_line, &r, on_value, &r);
    if (bad > 0) {
        r.line = bad;
        problem(&r, "", "neither [section], key = value nor a comment");
    }
    end_section(&r);
    squall_status status = SQUALL_OK;
    if (r.no_memory || bad < 0) {
        status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
    } else {
        sq_config_check(config, problems);
        const size_t found = squall_notes_count(problems) - before;
        if (found > 0) {
            status = sq_fail(err, SQUALL_E_FORMAT, path, "%zu thing%s wrong in it", found,
                             found > 1 ? "s are" : " is");
        }
    }
    if (status != SQUALL_OK) {
        sq_config_destroy(&config);
        return status;
    }
    *out = config;
    return SQUALL_OK;
}

squall_status sq_config_read(const char *path, sq_config **out, squall_notes *problems,
                             squall_error *err)
{
    unsigned char *bytes;
    size_t size;
    SQ_TRY(sq_file_read(path, FILE_BYTES, &bytes, &size, err));
    const squall_status status =
        sq_config_parse((const char *)bytes, size, path, out, problems, err);
    sq_free(bytes);
    return status;
}

void sq_config_destroy(sq_config **config)
{
    if (config == NULL || *config == NULL) {
        return;
    }
    sq_free((*config)->keys);
    sq_free((*config)->brokers);
    sq_free((*config)->sources);
    sq_free((*config)->engines);
    sq_free((*config)->regions);
    sq_free((*config)->locations);
    sq_free((*config)->trials);
    sq_free(*config);
    *config = NULL;
}
