/* base/processor_name.c - what the processor calls itself. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/processor.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char name[64];

#if defined(__x86_64__)
/* The brand string of cpuid leaves 0x80000002 to 4, without its double blanks. */
static void find_name(void)
{
    unsigned int parts[12] = {0};
    char raw[sizeof parts + 1] = "";
    for (unsigned int i = 0; i < 3; i++) {
        if (__get_cpuid(0x80000002u + i, &parts[4 * i], &parts[4 * i + 1], &parts[4 * i + 2],
                        &parts[4 * i + 3]) == 0) {
            snprintf(name, sizeof name, "x86-64");
            return;
        }
    }
    memcpy(raw, parts, sizeof parts);
    size_t used = 0;
    for (const char *p = raw; *p != '\0' && used + 1 < sizeof name; p++) {
        if (*p >= ' ' && *p < 127 && (*p != ' ' || (used > 0 && name[used - 1] != ' '))) {
            name[used++] = *p;
        }
    }
    while (used > 0 && name[used - 1] == ' ') {
        used--;
    }
    name[used] = '\0';
}
#elif defined(__aarch64__)
static void find_name(void)
{
    snprintf(name, sizeof name, "ARMv8-A");
}
#else
static void find_name(void)
{
    snprintf(name, sizeof name, "unknown processor");
}
#endif

const char *sq_cpu_name(void)
{
    (void)pthread_once(&once, find_name);
    return name;
}
