/* ops/trust/trust_ring.c - the keyring: lines of text, signed by a root key. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/plan/plan.h"
#include "ops/trust/trust.h"

enum { RING_BYTES = 1 << 20, RING_KEYS = 4096, WORDS = 8 };
#define HEAD      "squall-keyring 1\n"
#define SIGNATURE "signature "

static const struct {
    const char *name;
    unsigned role;
} roles[] = {{"train", SQ_TRUST_TRAIN},
             {"release", SQ_TRUST_RELEASE},
             {"operate", SQ_TRUST_OPERATE}};
enum { ROLES = sizeof roles / sizeof roles[0] };

unsigned sq_trust_roles_parse(const char *text)
{
    unsigned flags = 0;
    for (const char *at = text; *at != '\0';) {
        const size_t length = strcspn(at, ",");
        unsigned found = 0;
        for (size_t i = 0; i < ROLES; i++) {
            if (strlen(roles[i].name) == length && strncmp(roles[i].name, at, length) == 0) {
                found = roles[i].role;
            }
        }
        if (found == 0) {
            return 0;
        }
        flags |= found;
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return flags;
}

static void add_roles(sq_text *text, unsigned flags)
{
    const char *comma = "";
    for (size_t i = 0; i < ROLES; i++) {
        if ((flags & roles[i].role) != 0) {
            sq_text_add(text, "%s%s", comma, roles[i].name);
            comma = ",";
        }
    }
}

static void add_time(sq_text *text, int64_t time)
{
    char word[SQ_TIME_TEXT];
    sq_text_add(text, " %s", time == SQ_TIME_NONE ? "never" : sq_time_format(time, word));
}

/* Everything that is signed. */
static void format_ring(const sq_ring *ring, sq_text *text)
{
    char hex[2 * SQ_SIGN_PUBLIC_BYTES + 1];
    sq_text_add(text, HEAD "serial %" PRId64 "\nmade", ring->serial);
    add_time(text, ring->made);
    sq_text_add(text, "\napprovals %" PRId32 "\n", ring->approvals);
    for (size_t i = 0; i < ring->count; i++) {
        const sq_ring_key *key = &ring->keys[i];
        sq_text_add(text, "key %s %s ", key->name, sq_hex_format(key->key, sizeof key->key, hex));
        add_roles(text, key->roles);
        add_time(text, key->from);
        add_time(text, key->until);
        add_time(text, key->revoked);
        sq_text_add(text, "%s%s\n", key->reason[0] != '\0' ? " " : "", key->reason);
    }
}

static bool is_name(const char *name)
{
    const size_t length = strlen(name);
    bool good = length > 0 && length < SQ_TRUST_NAME && isalnum((unsigned char)name[0]);
    for (size_t i = 0; i < length && good; i++) {
        good = isalnum((unsigned char)name[i]) || strchr("-_.@", name[i]) != NULL;
    }
    return good;
}

static bool parse_time(const char *word, int64_t *out)
{
    if (strcmp(word, "never") == 0) {
        *out = SQ_TIME_NONE;
        return true;
    }
    return sq_time_parse(word, out);
}

/* The first words of a line, cut in place; the last of `room` is the rest of it. */
static size_t split(char *line, char **words, size_t room)
{
    size_t count = 0;
    for (char *at = line; *at != '\0' && count < room;) {
        words[count++] = at;
        char *space = count < room ? strchr(at, ' ') : NULL;
        if (space == NULL) {
            break;
        }
        *space = '\0';
        at = space + 1;
    }
    return count;
}

static bool parse_number(const char *word, int64_t low, int64_t high, int64_t *out)
{
    char *end;
    const long long value = strtoll(word, &end, 10);
    *out = value;
    return end != word && *end == '\0' && value >= low && value <= high;
}

static squall_status push(sq_ring *ring, const sq_ring_key *key, squall_error *err)
{
    sq_ring_key *grown = ring->count < RING_KEYS
                             ? sq_regrow(ring->keys, ring->count, ring->count + 1, sizeof *grown)
                             : NULL;
    if (grown == NULL) {
        return sq_fail(err, ring->count < RING_KEYS ? SQUALL_E_MEMORY : SQUALL_E_LIMIT, "keyring",
                       "has no room for key %zu; at most %d are taken", ring->count + 1, RING_KEYS);
    }
    ring->keys = grown;
    ring->keys[ring->count++] = *key;
    return SQUALL_OK;
}

static bool parse_key(char **words, size_t count, sq_ring_key *key)
{
    memset(key, 0, sizeof *key);
    if (count < 7 || !is_name(words[1]) || !sq_hex_parse(words[2], key->key, sizeof key->key) ||
        !parse_time(words[4], &key->from) || !parse_time(words[5], &key->until) ||
        !parse_time(words[6], &key->revoked)) {
        return false;
    }
    snprintf(key->name, sizeof key->name, "%s", words[1]);
    snprintf(key->reason, sizeof key->reason, "%s", count > 7 ? words[7] : "");
    key->roles = sq_trust_roles_parse(words[3]);
    return key->roles != 0;
}

static squall_status parse_line(char *line, size_t number, const char *name, sq_ring *ring,
                                squall_error *err)
{
    char *words[WORDS];
    int64_t approvals = 0;
    sq_ring_key key;
    const size_t count = split(line, words, WORDS);
    const char *kind = count > 0 ? words[0] : "";
    if (count == 2 && strcmp(kind, "serial") == 0 &&
        parse_number(words[1], 1, INT64_MAX, &ring->serial)) {
        return SQUALL_OK;
    }
    if (count == 2 && strcmp(kind, "made") == 0 && sq_time_parse(words[1], &ring->made)) {
        return SQUALL_OK;
    }
    if (count == 2 && strcmp(kind, "approvals") == 0 && parse_number(words[1], 1, 2, &approvals)) {
        ring->approvals = (int32_t)approvals;
        return SQUALL_OK;
    }
    if (strcmp(kind, "key") == 0 && parse_key(words, count, &key)) {
        return push(ring, &key, err);
    }
    return sq_fail(err, SQUALL_E_CORRUPT, name, "line %zu ('%.20s...') is no line of a keyring",
                   number, kind);
}

/* Hold the last line against the lines before it, `size` bytes of `text`. */
static squall_status check_signature(const char *text, size_t size, const char *line,
                                     const char *name, const unsigned char *allowed,
                                     size_t allowed_count, squall_error *err)
{
    unsigned char key[SQ_SIGN_PUBLIC_BYTES], signature[SQ_SIGN_BYTES];
    char copy[256], *words[3];
    char hex[2 * SQ_SIGN_BYTES + 1], again[256];
    bool known = false;
    snprintf(copy, sizeof copy, "%s", line);
    bool good = strlen(line) < sizeof copy && split(copy, words, 3) == 3 &&
                sq_hex_parse(words[1], key, sizeof key) &&
                sq_hex_parse(words[2], signature, sizeof signature);
    if (good) { /* one way alone to write it */
        snprintf(again, sizeof again, SIGNATURE "%s ", sq_hex_format(key, sizeof key, hex));
        good = strncmp(line, again, strlen(again)) == 0 &&
               strcmp(line + strlen(again), sq_hex_format(signature, sizeof signature, hex)) == 0;
    }
    if (!good) {
        return sq_fail(err, SQUALL_E_CORRUPT, name, "its last line is no signature");
    }
    for (size_t i = 0; i < allowed_count; i++) {
        known = known || memcmp(allowed + i * sizeof key, key, sizeof key) == 0;
    }
    if (!known) {
        return sq_fail(err, SQUALL_E_SIGNATURE, name,
                       "is signed by key %.16s..., which is none of the %zu root keys that are "
                       "trusted",
                       words[1], allowed_count);
    }
    if (!sq_sign_check(key, text, size, signature)) {
        return sq_fail(err, SQUALL_E_SIGNATURE, name,
                       "is not what root key %.16s... signed: it was changed since", words[1]);
    }
    return SQUALL_OK;
}

/* The lines between head and signature; the same bytes must come out again. */
static squall_status parse_body(char *copy, const char *text, size_t body, const char *name,
                                sq_ring *ring, squall_error *err)
{
    size_t number = 1;
    for (char *at = copy + strlen(HEAD); *at != '\0';) {
        char *end = strchr(at, '\n');
        if (end == NULL) {
            return sq_fail(err, SQUALL_E_CORRUPT, name, "line %zu does not end", number + 1);
        }
        *end = '\0';
        SQ_TRY(parse_line(at, ++number, name, ring, err));
        at = end + 1;
    }
    sq_text again = {0};
    format_ring(ring, &again);
    const bool same = !again.failed && again.length == body && memcmp(again.data, text, body) == 0;
    const bool memory = again.failed;
    sq_text_free(&again);
    return same ? SQUALL_OK
                : sq_fail(err, memory ? SQUALL_E_MEMORY : SQUALL_E_CORRUPT, name,
                          "is not, byte for byte, what squall keyring writes");
}

squall_status sq_ring_parse(const char *text, size_t size, const char *name,
                            const unsigned char *allowed, size_t allowed_count, sq_ring *out,
                            squall_error *err)
{
    squall_status status = SQUALL_OK;
    memset(out, 0, sizeof *out);
    if (size < strlen(HEAD) || memcmp(text, HEAD, strlen(HEAD)) != 0) {
        return sq_fail(err, SQUALL_E_FORMAT, name,
                       "does not begin with 'squall-keyring 1'; squall keyring makes such files");
    }
    char *copy = sq_alloc_raw(size + 1, 1), *signature = NULL;
    if (copy == NULL) {
        return sq_fail(err, SQUALL_E_MEMORY, name, "no memory for its %zu bytes", size);
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (strlen(copy) == size && copy[size - 1] == '\n') {
        copy[size - 1] = '\0';
        signature = strrchr(copy, '\n');
    }
    if (signature == NULL || strncmp(signature + 1, SIGNATURE, strlen(SIGNATURE)) != 0) {
        status = sq_fail(err, SQUALL_E_CORRUPT, name, "has no signature in its last line");
        goto done;
    }
    const size_t body = (size_t)(signature + 1 - copy);
    SQ_TRY_GOTO(check_signature(text, body, signature + 1, name, allowed, allowed_count, err));
    signature[1] = '\0';
    SQ_TRY_GOTO(parse_body(copy, text, body, name, out, err));
done:
    sq_free(copy);
    if (status != SQUALL_OK) {
        sq_ring_free(out);
    }
    return status;
}

squall_status sq_trust_roots(const char *path, unsigned char **out, size_t *count,
                             squall_error *err)
{
    sq_keys keys;
    SQ_TRY(sq_keys_read(path, &keys, err));
    *out = keys.keys;
    *count = keys.count;
    keys.keys = NULL;
    sq_keys_free(&keys);
    return SQUALL_OK;
}

squall_status sq_ring_read(const char *path, const char *roots_path, sq_ring *out,
                           squall_error *err)
{
    unsigned char *allowed = NULL, *bytes = NULL;
    size_t count = 0, size = 0;
    squall_status status;
    memset(out, 0, sizeof *out);
    SQ_TRY_GOTO(sq_trust_roots(roots_path, &allowed, &count, err));
    SQ_TRY_GOTO(sq_file_read(path, RING_BYTES, &bytes, &size, err));
    SQ_TRY_GOTO(sq_ring_parse((const char *)bytes, size, path, allowed, count, out, err));
done:
    sq_free(allowed);
    sq_free(bytes);
    return status;
}

squall_status sq_ring_write(sq_ring *ring, const char *path, const char *secret_path,
                            squall_error *err)
{
    unsigned char seed[SQ_SIGN_SEED_BYTES], key[SQ_SIGN_PUBLIC_BYTES], signature[SQ_SIGN_BYTES];
    char key_hex[2 * SQ_SIGN_PUBLIC_BYTES + 1], hex[2 * SQ_SIGN_BYTES + 1];
    sq_text text = {0};
    SQ_TRY(sq_key_read_secret(secret_path, seed, err));
    ring->serial++;
    ring->made = sq_time_now();
    format_ring(ring, &text);
    squall_status status = sq_fail(err, SQUALL_E_MEMORY, path, "no memory for it");
    if (!text.failed) {
        sq_sign_public(seed, key);
        sq_sign(seed, text.data, text.length, signature);
        sq_text_add(&text, SIGNATURE "%s %s\n", sq_hex_format(key, sizeof key, key_hex),
                    sq_hex_format(signature, sizeof signature, hex));
    }
    sq_sign_forget(seed, sizeof seed);
    if (!text.failed) {
        status = sq_file_write(path, text.data, text.length, err);
    }
    sq_text_free(&text);
    return status;
}

void sq_ring_free(sq_ring *ring)
{
    sq_free(ring->keys);
    memset(ring, 0, sizeof *ring);
}

squall_status sq_ring_add(sq_ring *ring, const sq_ring_key *key, squall_error *err)
{
    if (!is_name(key->name) || key->roles == 0) {
        return sq_fail(err, SQUALL_E_ARGUMENT, "keyring",
                       "a key needs a name of letters, digits and -_.@ (at most %d), and roles of "
                       "train, release, operate; found '%.60s'",
                       SQ_TRUST_NAME - 1, key->name);
    }
    for (size_t i = 0; i < ring->count; i++) {
        if (memcmp(ring->keys[i].key, key->key, sizeof key->key) == 0) {
            return sq_fail(err, SQUALL_E_ARGUMENT, "keyring",
                           "this key is there already, as %s; a rotation needs a new one",
                           ring->keys[i].name);
        }
    }
    for (size_t i = 0; i < ring->count; i++) {
        sq_ring_key *old = &ring->keys[i];
        if (strcmp(old->name, key->name) == 0 &&
            (old->until == SQ_TIME_NONE || old->until > key->from)) {
            old->until = key->from;
        }
    }
    return push(ring, key, err);
}

squall_status sq_ring_revoke(sq_ring *ring, const char *name, int64_t since, const char *reason,
                             squall_error *err)
{
    bool found = false;
    for (size_t i = 0; i < ring->count; i++) {
        sq_ring_key *key = &ring->keys[i];
        if (strcmp(key->name, name) == 0) {
            found = true;
            key->revoked = since;
            snprintf(key->reason, sizeof key->reason, "%s", reason);
            for (char *c = key->reason; *c != '\0'; c++) {
                *c = (char)(iscntrl((unsigned char)*c) ? ' ' : *c);
            }
        }
    }
    return found ? SQUALL_OK
                 : sq_fail(err, SQUALL_E_NO_DATA, "keyring", "there is no key of the name '%.60s'",
                           name);
}

static const sq_ring_key *find_key(const sq_ring *ring, const unsigned char *key)
{
    const sq_ring_key *found = NULL;
    for (size_t i = 0; i < ring->count; i++) {
        found = memcmp(ring->keys[i].key, key, SQ_SIGN_PUBLIC_BYTES) == 0 ? &ring->keys[i] : found;
    }
    return found;
}

bool sq_ring_is_revoked(const sq_ring *ring, const unsigned char *key, int64_t time)
{
    const sq_ring_key *found = find_key(ring, key);
    return found != NULL && found->revoked != SQ_TIME_NONE && time >= found->revoked;
}

static const char *role_name(unsigned role)
{
    const char *name = "any role";
    for (size_t i = 0; i < ROLES; i++) {
        name = roles[i].role == role ? roles[i].name : name;
    }
    return name;
}

squall_status sq_ring_judge(const sq_ring *ring, const unsigned char *key, unsigned role,
                            int64_t time, const char *where, const sq_ring_key **out,
                            squall_error *err)
{
    const sq_ring_key *found = find_key(ring, key);
    char hex[2 * SQ_SIGN_PUBLIC_BYTES + 1], when[SQ_TIME_TEXT];
    if (found == NULL) {
        return sq_fail(err, SQUALL_E_SIGNATURE, where,
                       "is signed by key %.16s..., which is not in the keyring",
                       sq_hex_format(key, SQ_SIGN_PUBLIC_BYTES, hex));
    }
    if ((found->roles & role) == 0) {
        return sq_fail(err, SQUALL_E_SIGNATURE, where,
                       "is signed by %s, whose key has not the role %s", found->name,
                       role_name(role));
    }
    if (found->revoked != SQ_TIME_NONE && time >= found->revoked) {
        return sq_fail(err, SQUALL_E_SIGNATURE, where,
                       "is signed by %s, whose key is revoked since %s: %s", found->name,
                       sq_time_format(found->revoked, when), found->reason);
    }
    if ((found->from != SQ_TIME_NONE && time < found->from) ||
        (found->until != SQ_TIME_NONE && time >= found->until)) {
        const bool early = found->from != SQ_TIME_NONE && time < found->from;
        return sq_fail(err, SQUALL_E_SIGNATURE, where, "is signed by %s, whose key %s %s",
                       found->name, early ? "is not valid before" : "expired at",
                       sq_time_format(early ? found->from : found->until, when));
    }
    if (out != NULL) {
        *out = found;
    }
    return SQUALL_OK;
}
