/* run_engine.c - what a small box needs: an engine that a trusted key signed runs as fast as it
 * can. It needs libsquall_rt alone, without the compiler.
 *
 *     cc -std=c11 run_engine.c $(pkg-config --cflags --libs squall-rt) -o run_engine
 *     ./run_engine ENGINE [TRUSTED.pub]
 */
#include <stdio.h>
#include <stdlib.h>

#include <squall/engine.h>

static void *memory_for(const squall_tensor *type)
{
    return aligned_alloc(64, (squall_tensor_bytes(type) + 63) / 64 * 64);
}

int main(int argc, char **argv)
{
    squall_error err;
    squall_engine *engine = NULL;
    squall_context *context = NULL;
    squall_engine_options options;
    squall_tensor in, out;
    const char *name;
    if (argc < 2) {
        fprintf(stderr, "usage: run_engine ENGINE [TRUSTED.pub]\n");
        return 2;
    }
    squall_engine_options_init(&options);
    options.trusted_keys = argc > 2 ? argv[2] : NULL;
    in.data = out.data = NULL;
    if (squall_engine_open(argv[1], &options, &engine, NULL, &err) != SQUALL_OK ||
        squall_context_create(engine, 0, 0, &context, &err) != SQUALL_OK ||
        squall_engine_input(engine, 0, 0, &name, &in, &err) != SQUALL_OK ||
        squall_engine_output(engine, 0, 0, &name, &out, &err) != SQUALL_OK) {
        fprintf(stderr, "%s: %s (%s)\n", err.where, err.text, squall_status_name(err.code));
        squall_context_destroy(&context);
        squall_engine_close(&engine);
        return 1;
    }
    int code = 1;
    in.data = memory_for(&in);
    out.data = memory_for(&out);
    if (in.data != NULL && out.data != NULL && in.dtype == SQUALL_F32 && out.dtype == SQUALL_F32) {
        for (size_t i = 0; i < squall_tensor_count(&in); i++) {
            ((float *)in.data)[i] = (float)(i * 7919 % 1000) / 500.0f - 1.0f;
        }
        if (squall_context_run(context, &in, 1, &out, 1, &err) == SQUALL_OK) {
            double sum = 0;
            for (size_t i = 0; i < squall_tensor_count(&out); i++) {
                sum += (double)((const float *)out.data)[i];
            }
            printf("sum of the first output %.6f\n", sum);
            code = 0;
        } else {
            fprintf(stderr, "%s: %s\n", err.where, err.text);
        }
    }
    free(in.data);
    free(out.data);
    squall_context_destroy(&context);
    squall_engine_close(&engine);
    return code;
}
