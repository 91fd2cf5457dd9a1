/* svc/serve/serve_admit.c - keys, roles, and how often a caller may ask. */
#include <stdio.h>
#include <string.h>

#include "svc/serve/serve_private.h"

enum { KEY_BYTES = 32, HASH_BYTES = 32 };

squall_status sq_serve_make_key(char *key, char *hash, squall_error *err)
{
    unsigned char bytes[KEY_BYTES], digest[HASH_BYTES];
    SQ_TRY(sq_random_bytes(bytes, sizeof bytes, err));
    sq_hex_format(bytes, sizeof bytes, key);
    sq_hash_blake2b(key, strlen(key), digest, sizeof digest);
    sq_hex_format(digest, sizeof digest, hash);
    sq_sign_forget(bytes, sizeof bytes);
    return SQUALL_OK;
}

static sq_http_role role_by_name(const char *name)
{
    return strcmp(name, "operate") == 0 ? SQ_ROLE_OPERATE
           : strcmp(name, "infer") == 0 ? SQ_ROLE_INFER
           : strcmp(name, "read") == 0  ? SQ_ROLE_READ
                                        : SQ_ROLE_NONE;
}

/* The key's section; NULL when there is none. Every hash is compared, each in constant time. */
static const sq_config_key *find_key(const sq_config *config, const char *key)
{
    unsigned char digest[HASH_BYTES], expected[HASH_BYTES];
    const sq_config_key *found = NULL;
    sq_hash_blake2b(key, strlen(key), digest, sizeof digest);
    for (size_t i = 0; i < config->key_count; i++) {
        if (sq_hex_parse(config->keys[i].hash, expected, sizeof expected) &&
            sq_hash_equal(digest, expected, sizeof digest)) {
            found = &config->keys[i];
        }
    }
    return found;
}

void sq_serve_admit(void *context, const sq_http_caller *caller, const sq_http_route *route,
                    sq_http_admission *out)
{
    const sq_serve_context *c = context;
    const sq_config *config = c->world->config;
    const sq_config_key *key = caller->key != NULL ? find_key(config, caller->key) : NULL;
    char who[64];
    snprintf(who, sizeof who, "%s%.60s", key != NULL ? "k:" : "",
             key != NULL ? key->name : caller->address);
    out->role = caller->local ? SQ_ROLE_OPERATE
                : key != NULL ? role_by_name(key->role)
                              : role_by_name(config->limits.anonymous);
    if (caller->key != NULL && key == NULL) {
        out->status = 401;
    } else if (!caller->local && route->role == SQ_ROLE_OPERATE && !config->limits.operate_tcp) {
        out->status = 403;
    } else if (out->role < route->role) {
        out->status = caller->key == NULL ? 401 : 403;
    } else if (!caller->local &&
               !sq_http_limiter_take(c->serve->limiter, who,
                                     key != NULL ? key->rate_per_s : config->limits.rate_per_s,
                                     key != NULL ? key->burst : config->limits.burst, sq_clock_s(),
                                     &out->retry_after_s)) {
        out->status = 429;
    }
}
