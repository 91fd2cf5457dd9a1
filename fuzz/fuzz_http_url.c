/* rooms: svc/http */
/* fuzz/fuzz_http_url.c - addresses and patterns as clients send them; and lists in headers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "svc/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const patterns[] = {"/tiles/{region}/{instance}/{time}/{z}/{x}/{y}@2x.png",
                                           "/{size}/{z}/{x}/{y}/{color}/{smooth}_{snow}.png",
                                           "/collections/{collection}", "/"};
    sq_http_url url;
    sq_http_captures captures;
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (sq_http_url_parse(text, &url, NULL) == SQUALL_OK) {
        if (url.path[0] != '/' || strstr(url.path, "/../") != NULL ||
            strstr(url.path, "//") != NULL) {
            abort(); /* no path leads out of its folder */
        }
        for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
            if (sq_http_match(patterns[i], url.path, &captures)) {
                for (size_t k = 0; k < captures.count; k++) {
                    if (captures.items[k].value[0] == '\0' ||
                        strchr(captures.items[k].value, '/') != NULL) {
                        abort(); /* a capture is one segment or a part of it */
                    }
                }
            }
        }
        sq_http_url_free(&url);
    }
    (void)sq_http_etag_in(text, "0123456789abcdef");
    (void)sq_http_accepts_gzip(text);
    free(text);
    return 0;
}
