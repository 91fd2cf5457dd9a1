/* ops/trust/trust.h - who may say what: a keyring signed by a root key, and a ledger of releases.
 */
#ifndef SQ_OPS_TRUST_TRUST_H
#define SQ_OPS_TRUST_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

#define SQ_TRUST_NAME 48
#define SQ_TRUST_NOTE 160

/* ---------------------------------------------------------------- the keyring */

/** What a key is for; a key may have several roles. */
enum { SQ_TRUST_TRAIN = 1, SQ_TRUST_RELEASE = 2, SQ_TRUST_OPERATE = 4 };

/** "train,release" to flags; 0 for anything else. */
unsigned sq_trust_roles_parse(const char *text);

/** One key of the ring. Times are Unix seconds; SQ_TIME_NONE stands for "never". */
typedef struct sq_ring_key {
    char name[SQ_TRUST_NAME];
    unsigned char key[SQ_SIGN_PUBLIC_BYTES];
    unsigned roles;
    int64_t from, until; /* what it signs within these counts, for ever */
    int64_t revoked;     /* what it signed at this time or later does not count */
    char reason[SQ_TRUST_NOTE];
} sq_ring_key;

/** A keyring. Zero-initialise; release with sq_ring_free(). */
typedef struct sq_ring {
    int64_t serial, made;
    int32_t
        approvals; /* release keys that must approve a version before it may be released: 1, 2 */
    sq_ring_key *keys; /* owned, [count] */
    size_t count;
} sq_ring;

/**
 * Read a keyring and hold it against the root keys that are trusted.
 *
 * @param roots_path  file of public root keys, as `squall keygen` writes them
 * @param out         filled (sq_ring_free)
 * @return SQUALL_OK; SQUALL_E_IO; SQUALL_E_FORMAT, SQUALL_E_VERSION (no keyring); SQUALL_E_CORRUPT
 *         (not byte for byte what squall writes); SQUALL_E_SIGNATURE (not signed by a root key, or
 *         changed since); SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_ring_read(const char *path, const char *roots_path, sq_ring *out,
                                           squall_error *err);
/** The same of text in memory; `roots` is [root_count][SQ_SIGN_PUBLIC_BYTES]. */
SQUALL_MUST_USE squall_status sq_ring_parse(const char *text, size_t size, const char *name,
                                            const unsigned char *roots, size_t root_count,
                                            sq_ring *out, squall_error *err);
/** Write it with the next serial number, signed by the root key at `secret_path`. */
SQUALL_MUST_USE squall_status sq_ring_write(sq_ring *ring, const char *path,
                                            const char *secret_path, squall_error *err);
void sq_ring_free(sq_ring *ring);

/** Add a key. One that has the name already is closed at `key->from`: a rotation.
 * @return SQUALL_OK; SQUALL_E_ARGUMENT (a name that is none, the same key again); SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_ring_add(sq_ring *ring, const sq_ring_key *key, squall_error *err);
/** Revoke every key of this name from `since` on. @return SQUALL_OK; SQUALL_E_NO_DATA. */
SQUALL_MUST_USE squall_status sq_ring_revoke(sq_ring *ring, const char *name, int64_t since,
                                             const char *reason, squall_error *err);

/**
 * Whether this key may sign in this role at this time.
 *
 * @param where  what is signed, for messages
 * @param out    set to the key's entry, borrowed; may be NULL
 * @return SQUALL_OK; SQUALL_E_SIGNATURE, saying which of all it is: unknown, another role, not yet
 *         valid, expired, revoked.
 */
SQUALL_MUST_USE squall_status sq_ring_judge(const sq_ring *ring, const unsigned char *key,
                                            unsigned role, int64_t time, const char *where,
                                            const sq_ring_key **out, squall_error *err);

/** Whether the key is in the ring, and revoked for what it signs at this time. */
bool sq_ring_is_revoked(const sq_ring *ring, const unsigned char *key, int64_t time);

/** Public keys of a file of root keys; given (sq_free), [*count][SQ_SIGN_PUBLIC_BYTES]. */
SQUALL_MUST_USE squall_status sq_trust_roots(const char *path, unsigned char **out, size_t *count,
                                             squall_error *err);

/* ---------------------------------------------------------------- the ledger */

/** One line of the ledger: who did what to which version, chained to the line before. */
typedef struct sq_ledger_entry {
    int64_t sequence, time; /* from 1, without gaps; times do not fall */
    char what[16];          /* add, approve, start, promote, abort, undo, remove */
    char name[SQ_TRUST_NAME];
    int64_t version;
    char manifest[SQ_HASH_TEXT]; /* of the version; empty where none */
    char note[SQ_TRUST_NOTE];
    unsigned char before[SQ_HASH_BYTES]; /* hash of the line before; zeros for the first */
    unsigned char key[SQ_SIGN_PUBLIC_BYTES], signature[SQ_SIGN_BYTES];
    unsigned char hash[SQ_HASH_BYTES]; /* of this line */
    bool
        is_void; /* its key is revoked since before it was written: it stands, but does not count */
} sq_ledger_entry;

/** Zero-initialise; release with sq_ledger_free(). */
typedef struct sq_ledger {
    sq_ledger_entry *entries; /* owned, [count] */
    size_t count;
} sq_ledger;

/**
 * Read a ledger and check all of it: every line byte for byte as squall writes it, numbers and
 * times in order, hashes chained, each signed by a key that had the role at that time. Lines of a
 * key that is revoked for their time are void, and the chain goes on. A file that is not there is
 * an empty ledger.
 *
 * @return SQUALL_OK; SQUALL_E_IO; SQUALL_E_CORRUPT and SQUALL_E_SIGNATURE with the line;
 *         SQUALL_E_LIMIT; SQUALL_E_MEMORY.
 */
SQUALL_MUST_USE squall_status sq_ledger_read(const char *path, const sq_ring *ring, sq_ledger *out,
                                             squall_error *err);
SQUALL_MUST_USE squall_status sq_ledger_parse(const char *text, size_t size, const char *name,
                                              const sq_ring *ring, sq_ledger *out,
                                              squall_error *err);
void sq_ledger_free(sq_ledger *ledger);

/**
 * Append a line, signed by the key at `secret_path`, and have it on disk when this returns. The
 * ledger is checked first. Processes take their turn by a lock on the file. What a process that was
 * killed left of a line is cut off: nobody was told of it.
 *
 * @param entry  `what`, `name`, `version`, `manifest`, `note` and `time` (SQ_TIME_NONE: now) are
 *               taken; all else is filled
 */
SQUALL_MUST_USE squall_status sq_ledger_append(const char *path, const sq_ring *ring,
                                               const char *secret_path, sq_ledger_entry *entry,
                                               squall_error *err);
/** The newest line of that kind about a version that counts; NULL. `what` NULL: of any kind. */
const sq_ledger_entry *sq_ledger_find(const sq_ledger *ledger, const char *what, const char *name,
                                      int64_t version);
/** How many different release keys approved this version with this manifest, not counting those
 * that are revoked since. */
size_t sq_ledger_approvals(const sq_ledger *ledger, const sq_ring *ring, const char *name,
                           int64_t version, const char *manifest);
/** Whether a line with this hash is in it: a ledger that lost its end does not have it any more. */
bool sq_ledger_has(const sq_ledger *ledger, const unsigned char *hash);

#endif /* SQ_OPS_TRUST_TRUST_H */
