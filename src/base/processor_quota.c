/* base/processor_quota.c - the share of processors that control groups leave this process.
 *
 * A container is often given "2 processors" as time: a quota of microseconds in each period, in
 * version 2 as cpu.max, in version 1 as cpu.cfs_quota_us and cpu.cfs_period_us. It counts for the
 * group and all groups above it. Inside a container the path of the group may not exist; what is
 * found on the way up to the mounted root then counts. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/processor.h"

/* Quota and period of one group, or false where there is no limit. */
static int read_group(const char *folder, double *out)
{
    char path[PATH_MAX], text[64];
    long long quota = -1, period = 0;
    int found = 0;
    snprintf(path, sizeof path, "%.3900s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        found = fgets(text, sizeof text, file) != NULL &&
                sscanf(text, "%lld %lld", &quota, &period) == 2; /* "max" is no number */
        (void)fclose(file);
    } else {
        static const char *const names[2] = {"cpu.cfs_quota_us", "cpu.cfs_period_us"};
        long long numbers[2] = {-1, 0};
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%.3900s/%s", folder, names[i]);
            file = fopen(path, "re");
            if (file != NULL) {
                if (fgets(text, sizeof text, file) != NULL) {
                    numbers[i] = strtoll(text, NULL, 10);
                }
                (void)fclose(file);
            }
        }
        quota = numbers[0];
        period = numbers[1];
        found = 1;
    }
    if (!found || quota <= 0 || period <= 0) {
        return 0;
    }
    *out = (double)quota / (double)period;
    return 1;
}

/* The least of a group and those above it. */
static void read_groups(const char *root, char *group, double *least)
{
    for (;;) {
        char folder[PATH_MAX];
        double share;
        snprintf(folder, sizeof folder, "%.2000s%.1800s", root, group);
        if (read_group(folder, &share) && share < *least) {
            *least = share;
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

/* Whether a list "cpu,cpuacct" holds "cpu". */
static int has_cpu(const char *controllers)
{
    const char *at = strstr(controllers, "cpu");
    while (at != NULL) {
        if ((at == controllers || at[-1] == ',') && (at[3] == '\0' || at[3] == ',')) {
            return 1;
        }
        at = strstr(at + 1, "cpu");
    }
    return 0;
}

double sq_cpu_quota(const char *groups, const char *root)
{
    char line[2048], mount[PATH_MAX];
    double least = 1e9;
    FILE *file = fopen(groups, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        /* number ':' controllers ':' path; no controllers: version 2 */
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *controllers++ = '\0';
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (*controllers == '\0') {
            read_groups(root, group, &least);
        } else if (has_cpu(controllers)) {
            snprintf(mount, sizeof mount, "%.2000s/%.1000s", root, controllers);
            read_groups(mount, group, &least);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return least < 1e9 ? least : 0.0;
}
