/* svc/web/web_find.c - pages by name. */
#include "svc/web/web.h"

#include <string.h>

const sq_web_page *sq_web_find(const char *name)
{
    for (const sq_web_page *page = sq_web_pages; page->name != NULL; page++) {
        if (strcmp(page->name, name) == 0) {
            return page;
        }
    }
    return NULL;
}

const char *sq_web_type(const char *name)
{
    static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                           {".css", "text/css; charset=utf-8"},
                                           {".js", "text/javascript; charset=utf-8"},
                                           {".svg", "image/svg+xml"},
                                           {".png", "image/png"}};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const size_t ending = strlen(types[i][0]);
        if (length > ending && strcmp(name + length - ending, types[i][0]) == 0) {
            return types[i][1];
        }
    }
    return NULL;
}
