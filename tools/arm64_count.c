/* tools/arm64_count.c - a plugin for qemu-user 7.2: guest instructions by function, printed at the
 * end, for one thread. Debian ships neither the header nor a plugin like it, so the few functions
 * that are called are declared here (version 1 of the interface).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*call)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int operation,
                                              void *counter, uint64_t add);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*call)(plugin_id id, void *data),
                                    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *insn);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

enum { MOST = 65536 };

static struct {
    const char *name;
    uint64_t count;
} functions[MOST];
static size_t used;

static uint64_t *counter_of(const char *name)
{
    for (size_t i = 0; i < used; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return &functions[i].count;
        }
    }
    functions[used].name = strdup(name);
    return used + 1 < MOST ? &functions[used++].count : &functions[used].count;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    const char *name = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, counter_of(name != NULL && *name ? name : "?"),
                                             qemu_plugin_tb_n_insns(tb));
}

static void finished(plugin_id id, void *data)
{
    (void)id;
    FILE *out = fopen(data, "w");
    for (size_t i = 0; out != NULL && i < used; i++) {
        fprintf(out, "%s %llu\n", functions[i].name, (unsigned long long)functions[i].count);
    }
    if (out != NULL) {
        fclose(out);
    }
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    static char path[4096];
    (void)info;
    if (argc < 1 || strncmp(argv[0], "out=", 4) != 0) {
        return 1;
    }
    snprintf(path, sizeof path, "%s", argv[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, path);
    return 0;
}
