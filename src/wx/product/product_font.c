/* wx/product/product_font.c - the letters on pictures.
 *
 * DejaVu Sans, straight from its file: the same letters whatever fonts and rules a machine has, and
 * no search through all of them, which takes longer than the drawing and leaves memory behind.
 */
#include <cairo-ft.h>
#include <ft2build.h>
#include FT_FREETYPE_H

#include <stdio.h>

#include "wx/product/product_draw.h"

/* A font as FreeType has it, for as long as cairo may want it. */
typedef struct font {
    FT_Library library;
    FT_Face face;
} font;

static void close_font(void *data)
{
    font *opened = data;
    if (opened->face != NULL) {
        FT_Done_Face(opened->face);
    }
    if (opened->library != NULL) {
        FT_Done_FreeType(opened->library);
    }
    sq_free(opened);
}

/* Where distributions put it. */
static bool open_face(bool bold, font *out)
{
    static const char *const folders[] = {
        "/usr/share/fonts/truetype/dejavu",      /* Debian */
        "/usr/share/fonts/dejavu-sans-fonts",    /* Fedora */
        "/usr/share/fonts/dejavu",               /* Gentoo, older Fedora */
        "/usr/share/fonts/TTF",                  /* Arch */
        "/usr/local/share/fonts/truetype/dejavu" /* by hand */
    };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/DejaVuSans%s.ttf", folders[i], bold ? "-Bold" : "");
        if (FT_New_Face(out->library, path, 0, &out->face) == 0) {
            return true;
        }
    }
    return false;
}

cairo_font_face_t *sq_font_create(bool bold)
{
    static const cairo_user_data_key_t key;
    font *opened = sq_alloc(1, sizeof *opened);
    if (opened == NULL) {
        return NULL;
    }
    if (FT_Init_FreeType(&opened->library) != 0 || !open_face(bold, opened)) {
        close_font(opened);
        return cairo_toy_font_face_create("sans-serif", CAIRO_FONT_SLANT_NORMAL,
                                          bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    }
    cairo_font_face_t *face =
        cairo_ft_font_face_create_for_ft_face(opened->face, FT_LOAD_NO_HINTING);
    if (cairo_font_face_set_user_data(face, &key, opened, close_font) != CAIRO_STATUS_SUCCESS) {
        cairo_font_face_destroy(face);
        close_font(opened);
        return NULL;
    }
    return face;
}
