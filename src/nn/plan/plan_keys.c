/* nn/plan/plan_keys.c - keys as files of text: one a line, "squall-ed25519-public HEX comment". */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nn/plan/plan_internal.h"
#include "squall/sign.h"

#define PUBLIC_WORD "squall-ed25519-public "
#define SECRET_WORD "squall-ed25519-secret "
#define COMMENT     200 /* bytes of a comment */

_Static_assert(SQUALL_KEY_TEXT == 2 * SQ_SIGN_PUBLIC_BYTES + 1,
               "hexadecimal has two digits a byte");

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 bytes from 64 digits that end a word. */
static bool parse_hex(const char *text, size_t length, unsigned char *out)
{
    if (length < 64 || (length > 64 && text[64] != ' ' && text[64] != '\t' && text[64] != '\r')) {
        return false;
    }
    for (size_t i = 0; i < 32; i++) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (unsigned char)(16 * high + low);
    }
    return true;
}

static bool begins(const char *line, size_t length, const char *word)
{
    return length >= strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

void sq_key_format(const unsigned char *key, char *text)
{
    for (size_t i = 0; i < SQ_SIGN_PUBLIC_BYTES; i++) {
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    }
}

/* One line of a file of keys. */
static squall_status read_line(const char *path, const char *line, size_t length, size_t number,
                               sq_keys *keys, squall_error *err)
{
    if (length == 0 || line[0] == '#' || (length == 1 && line[0] == '\r')) {
        return SQUALL_OK;
    }
    const size_t word = strlen(PUBLIC_WORD);
    unsigned char key[SQ_SIGN_PUBLIC_BYTES];
    if (!begins(line, length, PUBLIC_WORD) || !parse_hex(line + word, length - word, key)) {
        return sq_fail(err, SQUALL_E_FORMAT, path,
                       "line %zu begins with '%.*s' and is no public key ('" PUBLIC_WORD
                       "' and 64 hexadecimal digits); squall keygen makes such files",
                       number, length < 24 ? (int)length : 24, line);
    }
    unsigned char *grown = sq_regrow(keys->keys, keys->count * SQ_SIGN_PUBLIC_BYTES,
                                     (keys->count + 1) * SQ_SIGN_PUBLIC_BYTES, 1);
    if (grown == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its keys");
    }
    keys->keys = grown;
    memcpy(grown + keys->count++ * SQ_SIGN_PUBLIC_BYTES, key, sizeof key);
    return SQUALL_OK;
}

squall_status sq_keys_parse(const char *text, size_t size, const char *path, sq_keys *keys,
                            squall_error *err)
{
    squall_status status = SQUALL_OK;
    size_t number = 0;
    memset(keys, 0, sizeof *keys);
    for (size_t at = 0; at < size && status == SQUALL_OK;) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t length = end != NULL ? (size_t)(end - text) - at : size - at;
        status = read_line(path, text + at, length, ++number, keys, err);
        at += length + 1;
    }
    if (status == SQUALL_OK && keys->count == 0) {
        status = sq_fail(err, SQUALL_E_FORMAT, path,
                         "holds 0 public keys, at least 1 is needed; squall keygen makes them");
    }
    if (status == SQUALL_OK && (keys->path = sq_strdup(path)) == NULL) {
        status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory for its name");
    }
    if (status != SQUALL_OK) {
        sq_keys_free(keys);
    }
    return status;
}

squall_status sq_keys_read(const char *path, sq_keys *keys, squall_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    memset(keys, 0, sizeof *keys);
    SQ_TRY(sq_file_read(path, SQ_LIMIT_HEADER, &bytes, &size, err));
    const squall_status status = sq_keys_parse((const char *)bytes, size, path, keys, err);
    sq_free(bytes);
    return status;
}

void sq_keys_free(sq_keys *keys)
{
    sq_free(keys->keys);
    sq_free(keys->path);
    memset(keys, 0, sizeof *keys);
}

squall_status sq_key_read_secret(const char *path, unsigned char *seed, squall_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    SQ_TRY(sq_file_read(path, SQ_LIMIT_HEADER, &bytes, &size, err));
    const char *text = (const char *)bytes;
    const size_t word = strlen(SECRET_WORD);
    const char *end = memchr(text, '\n', size);
    const size_t length = end != NULL ? (size_t)(end - text) : size;
    const bool good =
        begins(text, length, SECRET_WORD) && parse_hex(text + word, length - word, seed);
    const bool public = begins(text, length, PUBLIC_WORD);
    sq_sign_forget(bytes, size);
    sq_free(bytes);
    if (good) {
        return SQUALL_OK;
    }
    return sq_fail(err, SQUALL_E_FORMAT, path, "%s; signing needs the .key file of squall keygen",
                   public ? "is a public key" : "is no secret key");
}

/* A new file, readable by `mode` alone. */
static squall_status write_new(const char *path, const char *text, unsigned mode, squall_error *err)
{
    const size_t size = strlen(text);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return sq_fail(err, SQUALL_E_IO, path,
                       "cannot be made: %m; keys are never overwritten, choose another name");
    }
    const bool written = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
    if (close(fd) != 0 || !written) {
        unlink(path);
        return sq_fail(err, SQUALL_E_IO, path, "its %zu bytes cannot be written: %m", size);
    }
    return SQUALL_OK;
}

/* "squall-ed25519-public 64-digits comment\n" */
static void format_line(const char *word, const unsigned char *key, const char *comment, char *text,
                        size_t room)
{
    char digits[SQUALL_KEY_TEXT];
    sq_key_format(key, digits);
    snprintf(text, room, "%s%s%s%s\n", word, digits, comment[0] != '\0' ? " " : "", comment);
    sq_sign_forget(digits, sizeof digits);
}

squall_status squall_key_create(const char *path, const char *comment, char *public_key,
                                squall_error *err)
{
    char name[4096], text[SQUALL_KEY_TEXT + COMMENT + 64];
    unsigned char seed[SQ_SIGN_SEED_BYTES], key[SQ_SIGN_PUBLIC_BYTES];
    const char *said = comment != NULL ? comment : "";
    if (strlen(said) > COMMENT || strpbrk(said, "\r\n") != NULL) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "comment",
                       "has %zu bytes or more than one line; one line of at most %d is kept",
                       strlen(said), COMMENT);
    }
    if (strlen(path) > sizeof name - 8) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "path", "has %zu bytes, at most %zu are taken",
                       strlen(path), sizeof name - 8);
    }
    SQ_TRY(sq_sign_make_seed(seed, err));
    sq_sign_public(seed, key);
    snprintf(name, sizeof name, "%s.key", path);
    format_line(SECRET_WORD, seed, said, text, sizeof text);
    squall_status status = write_new(name, text, 0600, err);
    sq_sign_forget(seed, sizeof seed);
    sq_sign_forget(text, sizeof text);
    if (status != SQUALL_OK) {
        return status;
    }
    char other[4096];
    snprintf(other, sizeof other, "%s.pub", path);
    format_line(PUBLIC_WORD, key, said, text, sizeof text);
    status = write_new(other, text, 0644, err);
    if (status != SQUALL_OK) {
        unlink(name); /* one without the other would be taken for a pair */
        return status;
    }
    if (public_key != NULL) {
        sq_key_format(key, public_key);
    }
    return SQUALL_OK;
}
