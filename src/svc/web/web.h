/* svc/web/web.h - the pages for people: files that travel in the program. */
#ifndef SQ_SVC_WEB_WEB_H
#define SQ_SVC_WEB_WEB_H

#include <stddef.h>

/** One file of src/svc/web/pages. */
typedef struct sq_web_page {
    const char *name; /* "map.html"; NULL ends the table */
    const unsigned char *data;
    size_t size;
} sq_web_page;

/** All of them; made by cmake/EmbedPages.cmake. */
extern const sq_web_page sq_web_pages[];

/** The page of that name; NULL when there is none. */
const sq_web_page *sq_web_find(const char *name);
/** Media type by the ending of a name; NULL when it is none that a page may have. */
const char *sq_web_type(const char *name);

#endif /* SQ_SVC_WEB_WEB_H */
