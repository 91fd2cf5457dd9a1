/* cli/cli_sign.c - squall keygen, sign, verify-engine: who an engine is from. */
#include <string.h>

#include "cli/cli_engine.h"
#include "squall/sign.h"

/* One line, or the same as JSON; the exit code. */
static int print_key(bool json, const char *what, const char *path, const char *key)
{
    if (json) {
        return cli_print_json(json_pack("{s:o, s:s}", what, cli_text(path), "key", key));
    }
    printf("%s: %s by key %s\n", path, what, key);
    return CLI_OK;
}

static int run_keygen(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    const char *comment = NULL;
    bool json = false;
    char key[SQUALL_KEY_TEXT];
    cli_list names;
    int code;
    const cli_option options[] = {
        {.name = "comment",
         .argument = "TEXT",
         .text = &comment,
         .help = "whose keys they are; kept in both files"},
        {.name = "json", .flag = &json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_keygen, options, sizeof options / sizeof options[0], argc, argv, &names,
                   &code)) {
        return code;
    }
    if (names.count != 1) {
        fprintf(stderr, "squall keygen: one name is needed, for NAME.key and NAME.pub\n");
        code = CLI_USAGE;
    } else if (squall_key_create(names.items[0], comment, key, &err) != SQUALL_OK) {
        code = cli_report("keygen", &err);
    } else if (json) {
        code =
            cli_print_json(json_pack("{s:o, s:s}", "name", cli_text(names.items[0]), "key", key));
    } else {
        printf("%s.key (secret: keep it) and %s.pub (give it away): key %s\n", names.items[0],
               names.items[0], key);
    }
    cli_list_free(&names);
    return code;
}

static int run_sign(int argc, char **argv)
{
    squall_error err = {.code = SQUALL_OK};
    const char *secret = NULL, *out = NULL;
    bool json = false;
    char key[SQUALL_KEY_TEXT];
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "key", .argument = "NAME.key", .text = &secret, .help = "secret key (needed)"},
        {.name = "out",
         .argument = "FILE",
         .text = &out,
         .help = "the signed engine (default: in the place of the unsigned one)"},
        {.name = "json", .flag = &json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_sign, options, sizeof options / sizeof options[0], argc, argv, &paths,
                   &code)) {
        return code;
    }
    if (paths.count != 1 || secret == NULL) {
        fprintf(stderr, "squall sign: one engine and --key are needed\n");
        code = CLI_USAGE;
    } else if (squall_engine_sign(paths.items[0], secret, out, key, &err) != SQUALL_OK) {
        code = cli_report("sign", &err);
    } else {
        code = print_key(json, "signed", out != NULL ? out : paths.items[0], key);
    }
    cli_list_free(&paths);
    return code;
}

int cli_verify_signature(const char *command, const cli_list *paths, const char *keys, bool json)
{
    squall_error err = {.code = SQUALL_OK};
    char key[SQUALL_KEY_TEXT];
    if (paths->count != 1 || keys == NULL) {
        fprintf(stderr, "squall %s: one engine and --keys are needed\n", command);
        return CLI_USAGE;
    }
    if (squall_engine_verify(paths->items[0], keys, key, &err) != SQUALL_OK) {
        return cli_report(command, &err);
    }
    return print_key(json, "signed", paths->items[0], key);
}

static int run_verify(int argc, char **argv)
{
    const char *keys = NULL;
    bool json = false;
    cli_list paths;
    int code;
    const cli_option options[] = {
        {.name = "keys", .argument = "KEYS", .text = &keys, .help = "trusted public keys (needed)"},
        {.name = "json", .flag = &json, .help = "print JSON"},
    };
    if (!cli_parse(&cli_verify_engine, options, sizeof options / sizeof options[0], argc, argv,
                   &paths, &code)) {
        return code;
    }
    code = cli_verify_signature("verify-engine", &paths, keys, json);
    cli_list_free(&paths);
    return code;
}

const cli_command cli_keygen = {
    .name = "keygen",
    .arguments = "NAME",
    .summary = "make a pair of keys to sign engines with",
    .details = "NAME.key is secret and readable by you alone; NAME.pub goes to those who shall\n"
               "trust it. Lines of several .pub files together are a file of trusted keys.",
    .run = run_keygen,
};

const cli_command cli_sign = {
    .name = "sign",
    .arguments = "ENGINE",
    .summary = "sign an engine with a secret key",
    .details =
        "The signature (Ed25519) is over every byte of the file and travels in it; one that\n"
        "is there already is replaced. docs/engine-file.md says how others can check it.",
    .run = run_sign,
};

const cli_command cli_verify_engine = {
    .name = "verify-engine",
    .arguments = "ENGINE",
    .summary = "whether an engine is what a trusted key signed, to the last byte",
    .details = "Commands that run engines do the same at opening with --require-signature KEYS.",
    .run = run_verify,
};
