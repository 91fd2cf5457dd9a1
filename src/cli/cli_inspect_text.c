/* cli/cli_inspect_text.c - the document of squall inspect in words and tables. */
#include <string.h>

#include "cli/cli_inspect.h"

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "-";
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* "float32[1..32,4,256,256]" */
static void print_type(const json_t *port)
{
    const json_t *shape = json_object_get(port, "shape"),
                 *batches = json_object_get(port, "batches");
    printf("%s[", text(port, "type"));
    for (size_t i = 0; i < json_array_size(shape); i++) {
        const long long least = json_integer_value(json_array_get(batches, 0));
        const long long most = json_integer_value(json_array_get(batches, 1));
        if (i == 0 && batches != NULL && least != most) {
            printf("%lld..%lld", least, most);
        } else {
            printf("%s%lld", i > 0 ? "," : "",
                   (long long)json_integer_value(json_array_get(shape, i)));
        }
    }
    printf("]");
}

static void print_ports(const json_t *profile, const char *key)
{
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(profile, key), i, port)
    {
        printf("    %-8s %s ", i == 0 ? key : "", text(port, "name"));
        print_type(port);
        printf("\n");
    }
}

/* "1.234 ms", or nothing when it is not known. */
static void print_ms(const json_t *candidate, const char *key)
{
    const json_t *value = json_object_get(candidate, key);
    if (json_is_number(value)) {
        printf("%12.4f", 1e3 * json_number_value(value));
    } else {
        printf("%12s", "-");
    }
}

static void print_layers(const json_t *profile)
{
    size_t i, c;
    json_t *layer, *candidate;
    printf("\n    %4s %10s %12s %12s  %-18s %-5s %-30s %s\n", "step", "MMAC", "measured ms",
           "guess ms", "op", "on", "tactic", "name");
    json_array_foreach(json_object_get(profile, "layers"), i, layer)
    {
        const json_t *candidates = json_object_get(layer, "candidates");
        const json_t *own = NULL;
        json_array_foreach(candidates, c, candidate)
        {
            own = json_is_true(json_object_get(candidate, "chosen")) ? candidate : own;
        }
        printf("    %4zu %10.2f", i, 1e-6 * number(layer, "macs"));
        print_ms(own, "median_s");
        print_ms(own, "guess_s");
        printf("  %-18s %-5s %-30s %s\n", text(layer, "op"), text(layer, "backend"),
               text(layer, "tactic"), text(layer, "name"));
        json_array_foreach(candidates, c, candidate)
        {
            if (candidate != own) {
                printf("    %4s %10s", "", "lost:");
                print_ms(candidate, "median_s");
                print_ms(candidate, "guess_s");
                printf("  %-18s %-5s %s\n", "", text(candidate, "backend"),
                       text(candidate, "tactic"));
            }
        }
        if (json_is_string(json_object_get(layer, "why"))) {
            printf("    %4s %10s  %s\n", "", "why:", text(layer, "why"));
        }
    }
}

static void print_memory(const json_t *profile)
{
    size_t i;
    json_t *span;
    printf("\n    %12s %12s %6s %6s  %s\n", "offset", "bytes", "first", "last", "value");
    json_array_foreach(json_object_get(profile, "memory"), i, span)
    {
        printf("    %12.0f %12.0f %6.0f %6.0f  %s\n", number(span, "offset"), number(span, "bytes"),
               number(span, "first"), number(span, "last"), text(span, "name"));
    }
}

static void print_profile(const json_t *profile, size_t index, bool layers, bool memory)
{
    const double bound = number(profile, "arena_bound_bytes");
    printf("  profile %zu: %s, %.0f steps, %.2f GFLOP a run\n", index, text(profile, "backend"),
           number(profile, "steps"), 2e-9 * number(profile, "macs"));
    print_ports(profile, "inputs");
    print_ports(profile, "outputs");
    printf("    memory   arena %.0f bytes, lower bound %.0f (%.2fx), scratch %.0f\n",
           number(profile, "arena_bytes"), bound,
           bound > 0 ? number(profile, "arena_bytes") / bound : 1.0,
           number(profile, "scratch_bytes"));
    if (layers) {
        print_layers(profile);
    }
    if (memory) {
        print_memory(profile);
    }
}

static void print_quality(const json_t *entry)
{
    printf("%3.0f samples", number(entry, "samples"));
    if (json_is_real(json_object_get(entry, "psnr_db"))) {
        printf(", %.1f dB", number(entry, "psnr_db"));
    }
    if (json_object_get(entry, "score") != NULL) {
        printf(", %s %.4f in fp32, %.4f as built", text(entry, "score"),
               number(entry, "score_fp32"), number(entry, "score_int8"));
    }
}

static void print_strata(const json_t *strata)
{
    const char *aspect, *stratum;
    json_t *counts, *count;
    json_object_foreach((json_t *)(uintptr_t)strata, aspect, counts)
    {
        printf("    %-8s ", aspect);
        json_object_foreach(counts, stratum, count)
        {
            printf("  %s: %.0f", stratum, json_number_value(count));
        }
        printf("\n");
    }
}

/* How numbers of 8 bits were calibrated, and what they lose in each kind of weather. */
static void print_certificate(const json_t *certificate, bool layers)
{
    size_t i, bytes = 0, most = 0;
    json_t *item;
    const json_t *data = json_object_get(certificate, "data");
    const json_t *list = json_object_get(certificate, "layers");
    const json_t *values = json_object_get(certificate, "values");
    json_array_foreach(list, i, item)
    {
        bytes += strcmp(text(item, "precision"), "int8") == 0;
    }
    printf("  calibrated  %zu of %zu layers in int8, by %.0f samples of %zu frames\n", bytes,
           json_array_size(list), number(certificate, "samples"),
           json_array_size(json_object_get(data, "frames")));
    printf("    held out  ");
    print_quality(json_object_get(certificate, "verified"));
    printf("\n");
    json_array_foreach(json_object_get(certificate, "groups"), i, item)
    {
        printf("    ");
        print_quality(item);
        printf(": %s\n", text(item, "group"));
    }
    print_strata(json_object_get(data, "strata"));
    if (text(data, "missing")[0] != '\0' && json_is_string(json_object_get(data, "missing"))) {
        printf("    missing   %s (allowed by --allow-thin)\n", text(data, "missing"));
    }
    json_array_foreach(values, i, item)
    {
        const double here = number(item, "clipped");
        most = here > number(json_array_get(values, most), "clipped") ? i : most;
    }
    printf("    clipped   at most %.4f %% of a value's numbers, of %s\n",
           100 * number(json_array_get(values, most), "clipped"),
           text(json_array_get(values, most), "name"));
    json_array_foreach(values, i, item)
    {
        if (layers) {
            printf("    %-11s %10.4g to %-10.4g clipped %.4f %%  %s\n", text(item, "range_by"),
                   number(item, "low"), number(item, "high"), 100 * number(item, "clipped"),
                   text(item, "name"));
        }
    }
}

void cli_inspect_print(const json_t *document, bool layers, bool memory)
{
    size_t i;
    json_t *item;
    printf("%s: %.0f bytes, model '%s'\n", text(document, "file"), number(document, "bytes"),
           text(document, "model"));
    printf("  made by     squall %s (%s)\n  command     %s\n  model       sha256 %s\n"
           "  device      %s, %.0f threads; the %s plan is shown\n  signed by   %s\n",
           text(document, "squall_version"), text(document, "compiler"), text(document, "command"),
           text(document, "model_sha256"), text(document, "isa"), number(document, "threads"),
           text(document, "plan"), text(document, "signed_by"));
    json_array_foreach(json_object_get(document, "sections"), i, item)
    {
        printf("  %-11s %.0f %-14s %12.0f bytes at %.0f\n", i == 0 ? "sections" : "",
               number(item, "id"), text(item, "name"), number(item, "bytes"),
               number(item, "offset"));
    }
    json_array_foreach(json_object_get(document, "profiles"), i, item)
    {
        print_profile(item, i, layers, memory);
    }
    if (json_is_object(json_object_get(document, "certificate"))) {
        print_certificate(json_object_get(document, "certificate"), layers);
    }
    const json_t *recipe = json_object_get(document, "recipe");
    printf("  recipe      ");
    if (recipe == NULL || json_is_null(recipe)) {
        printf("none\n");
    } else {
        json_dumpf(recipe, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        printf("\n");
    }
}
