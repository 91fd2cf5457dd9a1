/* ops/trust/trust_ledger.c - the ledger: lines of JSON, each signed and chained to the one before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "nn/plan/plan.h"
#include "ops/trust/trust.h"

#define LEDGER_BYTES ((size_t)256 << 20)
#define LEDGER_LINES ((size_t)1 << 20)

/* What kinds of lines there are, and who may write them. */
static const struct {
    const char *what;
    unsigned roles;
} kinds[] = {{"add", SQ_TRUST_TRAIN},     {"approve", SQ_TRUST_RELEASE},
             {"start", SQ_TRUST_OPERATE}, {"promote", SQ_TRUST_OPERATE},
             {"abort", SQ_TRUST_OPERATE}, {"undo", SQ_TRUST_OPERATE},
             {"remove", SQ_TRUST_TRAIN}};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static unsigned role_of(const char *what)
{
    unsigned found = 0;
    for (size_t i = 0; i < KINDS; i++) {
        found = strcmp(kinds[i].what, what) == 0 ? kinds[i].roles : found;
    }
    return found;
}

/* All of a line that is signed; the rest has a fixed form. */
static void format_signed(const sq_ledger_entry *entry, sq_json *json)
{
    char hex[SQ_HASH_TEXT];
    sq_json_object(json, NULL);
    sq_json_int(json, "sequence", entry->sequence);
    sq_json_time(json, "time", entry->time);
    sq_json_text(json, "what", entry->what);
    sq_json_text(json, "name", entry->name);
    sq_json_int(json, "version", entry->version);
    sq_json_text(json, "manifest", entry->manifest);
    sq_json_text(json, "note", entry->note);
    sq_json_text(json, "before", sq_hash_format(entry->before, hex));
    sq_json_text(json, "key", sq_hex_format(entry->key, sizeof entry->key, hex));
}

/* The whole line without its end; the hash of the entry is that of it. */
static void format_line(sq_ledger_entry *entry, sq_json *json)
{
    char hex[2 * SQ_SIGN_BYTES + 1];
    format_signed(entry, json);
    sq_json_text(json, "signature", sq_hex_format(entry->signature, sizeof entry->signature, hex));
    sq_json_end_object(json);
    if (!json->text.failed) {
        sq_hash(json->text.data, json->text.length, entry->hash);
    }
}

static bool take_text(const json_t *object, const char *key, char *out, size_t room)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) >= room || strlen(text) != json_string_length(value)) {
        return false;
    }
    snprintf(out, room, "%s", text);
    return true;
}

static bool take_hex(const json_t *object, const char *key, unsigned char *out, size_t length)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && sq_hex_parse(text, out, length);
}

static bool parse_line(const char *line, size_t length, sq_ledger_entry *out)
{
    char time[SQ_TIME_TEXT];
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    memset(out, 0, sizeof *out);
    out->sequence = json_integer_value(json_object_get(object, "sequence"));
    out->version = json_integer_value(json_object_get(object, "version"));
    const bool good = take_text(object, "time", time, sizeof time) &&
                      sq_time_parse(time, &out->time) &&
                      take_text(object, "what", out->what, sizeof out->what) &&
                      take_text(object, "name", out->name, sizeof out->name) &&
                      take_text(object, "manifest", out->manifest, sizeof out->manifest) &&
                      take_text(object, "note", out->note, sizeof out->note) &&
                      take_hex(object, "before", out->before, sizeof out->before) &&
                      take_hex(object, "key", out->key, sizeof out->key) &&
                      take_hex(object, "signature", out->signature, sizeof out->signature);
    json_decref(object);
    return good && role_of(out->what) != 0;
}

/* Hold one line against the one before it, and its signature against the ring. */
static squall_status check_line(const char *line, size_t length, const sq_ledger_entry *last,
                                const sq_ring *ring, const char *where, sq_ledger_entry *entry,
                                squall_error *err)
{
    static const unsigned char zeros[SQ_HASH_BYTES] = {0};
    sq_json again = {0}, covered = {0};
    squall_status status = SQUALL_OK;
    if (!parse_line(line, length, entry)) {
        return sq_fail(err, SQUALL_E_CORRUPT, where, "is no line of a ledger");
    }
    format_line(entry, &again);
    format_signed(entry, &covered);
    const int64_t expected = last != NULL ? last->sequence + 1 : 1;
    if (again.text.failed || covered.text.failed) {
        status = sq_fail(err, SQUALL_E_MEMORY, where, "no memory");
    } else if (again.text.length != length || memcmp(again.text.data, line, length) != 0) {
        status = sq_fail(err, SQUALL_E_CORRUPT, where, "is not, byte for byte, what squall writes");
    } else if (entry->sequence != expected) {
        status = sq_fail(err, SQUALL_E_CORRUPT, where, "has number %lld where %lld is due",
                         (long long)entry->sequence, (long long)expected);
    } else if (memcmp(entry->before, last != NULL ? last->hash : zeros, sizeof zeros) != 0) {
        status = sq_fail(err, SQUALL_E_CORRUPT, where,
                         "is not chained to the line before it: one of them was changed");
    } else if (last != NULL && entry->time < last->time) {
        status = sq_fail(err, SQUALL_E_CORRUPT, where, "is older than the line before it");
    } else if (!sq_sign_check(entry->key, covered.text.data, covered.text.length,
                              entry->signature)) {
        status = sq_fail(err, SQUALL_E_SIGNATURE, where, "is not what its key signed");
    } else {
        entry->is_void = sq_ring_is_revoked(ring, entry->key, entry->time);
        status = entry->is_void ? SQUALL_OK
                                : sq_ring_judge(ring, entry->key, role_of(entry->what), entry->time,
                                                where, NULL, err);
    }
    sq_json_free(&again);
    sq_json_free(&covered);
    return status;
}

squall_status sq_ledger_parse(const char *text, size_t size, const char *name, const sq_ring *ring,
                              sq_ledger *out, squall_error *err)
{
    char where[128];
    size_t room = 0;
    squall_status status = SQUALL_OK;
    memset(out, 0, sizeof *out);
    for (size_t at = 0; at < size && status == SQUALL_OK;) {
        const char *end = memchr(text + at, '\n', size - at);
        snprintf(where, sizeof where, "%.100s:%zu", name, out->count + 1);
        if (end == NULL || out->count == LEDGER_LINES) {
            status = end == NULL
                         ? sq_fail(err, SQUALL_E_TRUNCATED, where, "its last line does not end")
                         : sq_fail(err, SQUALL_E_LIMIT, where, "more than %zu lines", LEDGER_LINES);
            break;
        }
        if (out->count == room) {
            const size_t more = room > 0 ? 2 * room : 16;
            sq_ledger_entry *grown = sq_regrow(out->entries, room, more, sizeof *grown);
            if (grown == NULL) {
                status = sq_fail(err, SQUALL_E_MEMORY, where, "no memory");
                break;
            }
            out->entries = grown;
            room = more;
        }
        const sq_ledger_entry *last = out->count > 0 ? &out->entries[out->count - 1] : NULL;
        const size_t length = (size_t)(end - text) - at;
        status = check_line(text + at, length, last, ring, where, &out->entries[out->count], err);
        out->count += status == SQUALL_OK ? 1 : 0;
        at += length + 1;
    }
    if (status != SQUALL_OK) {
        sq_ledger_free(out);
    }
    return status;
}

squall_status sq_ledger_read(const char *path, const sq_ring *ring, sq_ledger *out,
                             squall_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    memset(out, 0, sizeof *out);
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return SQUALL_OK;
    }
    SQ_TRY(sq_file_read(path, LEDGER_BYTES, &bytes, &size, err));
    const squall_status status = sq_ledger_parse((const char *)bytes, size, path, ring, out, err);
    sq_free(bytes);
    return status;
}

void sq_ledger_free(sq_ledger *ledger)
{
    sq_free(ledger->entries);
    memset(ledger, 0, sizeof *ledger);
}

/* ---------------------------------------------------------------- append */

/* Cut off what is behind the last line end; a line that does not end was never finished. */
static squall_status cut_tail(int fd, const char *path, squall_error *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0) {
        return sq_fail(err, SQUALL_E_IO, path, "cannot be looked at: %m");
    }
    off_t end = about.st_size;
    char byte = '\n';
    while (end > 0 && pread(fd, &byte, 1, end - 1) == 1 && byte != '\n') {
        end--;
    }
    if (end != about.st_size && ftruncate(fd, end) != 0) {
        return sq_fail(err, SQUALL_E_IO, path, "its unfinished last line cannot be cut off: %m");
    }
    return SQUALL_OK;
}

/* The line for `entry` behind the last of `ledger`, signed. */
static squall_status make_line(const sq_ledger *ledger, const sq_ring *ring, const char *secret,
                               const char *path, sq_ledger_entry *entry, sq_json *line,
                               squall_error *err)
{
    unsigned char seed[SQ_SIGN_SEED_BYTES];
    sq_json covered = {0};
    SQ_TRY(sq_key_read_secret(secret, seed, err));
    sq_sign_public(seed, entry->key);
    const sq_ledger_entry *last = ledger->count > 0 ? &ledger->entries[ledger->count - 1] : NULL;
    entry->sequence = last != NULL ? last->sequence + 1 : 1;
    memset(entry->before, 0, sizeof entry->before);
    if (last != NULL) {
        memcpy(entry->before, last->hash, sizeof entry->before);
        entry->time = entry->time < last->time ? last->time : entry->time;
    }
    format_signed(entry, &covered);
    if (!covered.text.failed) {
        sq_sign(seed, covered.text.data, covered.text.length, entry->signature);
    }
    sq_sign_forget(seed, sizeof seed);
    sq_json_free(&covered);
    format_line(entry, line);
    sq_text_add(&line->text, "\n");
    if (line->text.failed) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory");
    }
    return sq_ring_judge(ring, entry->key, role_of(entry->what), entry->time, secret, NULL, err);
}

static squall_status write_line(int fd, const char *path, const sq_text *text, squall_error *err)
{
    const off_t before = lseek(fd, 0, SEEK_END);
    const bool whole = before >= 0 &&
                       write(fd, text->data, text->length) == (ssize_t)text->length &&
                       fsync(fd) == 0;
    if (whole) {
        return SQUALL_OK;
    }
    const int problem = errno;
    if (before >= 0) {
        (void)!ftruncate(fd, before);
    }
    return sq_fail(err, SQUALL_E_IO, path, "a line cannot be written: %s", strerror(problem));
}

squall_status sq_ledger_append(const char *path, const sq_ring *ring, const char *secret_path,
                               sq_ledger_entry *entry, squall_error *err)
{
    sq_ledger ledger = {0};
    sq_json line = {0};
    squall_status status = SQUALL_OK;
    entry->time = entry->time == SQ_TIME_NONE ? sq_time_now() : entry->time;
    if (role_of(entry->what) == 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, path, "'%.16s' is no kind of line", entry->what);
    }
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return sq_fail(err, SQUALL_E_IO, path, "cannot be opened: %m");
    }
    if (flock(fd, LOCK_EX) != 0) {
        status = sq_fail(err, SQUALL_E_IO, path, "cannot be locked: %m");
        goto done;
    }
    SQ_TRY_GOTO(cut_tail(fd, path, err));
    SQ_TRY_GOTO(sq_ledger_read(path, ring, &ledger, err));
    SQ_TRY_GOTO(make_line(&ledger, ring, secret_path, path, entry, &line, err));
    SQ_TRY_GOTO(write_line(fd, path, &line.text, err));
done:
    close(fd);
    sq_json_free(&line);
    sq_ledger_free(&ledger);
    return status;
}

/* ---------------------------------------------------------------- questions */

const sq_ledger_entry *sq_ledger_find(const sq_ledger *ledger, const char *what, const char *name,
                                      int64_t version)
{
    for (size_t i = ledger->count; i-- > 0;) {
        const sq_ledger_entry *entry = &ledger->entries[i];
        if (!entry->is_void && (what == NULL || strcmp(entry->what, what) == 0) &&
            strcmp(entry->name, name) == 0 && entry->version == version) {
            return entry;
        }
    }
    return NULL;
}

size_t sq_ledger_approvals(const sq_ledger *ledger, const sq_ring *ring, const char *name,
                           int64_t version, const char *manifest)
{
    const sq_ring_key *keys[8] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < ledger->count && count < 8; i++) {
        const sq_ledger_entry *entry = &ledger->entries[i];
        const sq_ring_key *key = NULL;
        if (entry->is_void || strcmp(entry->what, "approve") != 0 ||
            strcmp(entry->name, name) != 0 || entry->version != version ||
            strcmp(entry->manifest, manifest) != 0 ||
            sq_ring_judge(ring, entry->key, SQ_TRUST_RELEASE, entry->time, "approval", &key,
                          NULL) != SQUALL_OK) {
            continue;
        }
        bool again = false; /* a person counts once, also with two keys */
        for (size_t k = 0; k < count; k++) {
            again = again || strcmp(keys[k]->name, key->name) == 0;
        }
        if (!again) {
            keys[count++] = key;
        }
    }
    return count;
}

bool sq_ledger_has(const sq_ledger *ledger, const unsigned char *hash)
{
    for (size_t i = 0; i < ledger->count; i++) {
        if (memcmp(ledger->entries[i].hash, hash, SQ_HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}
