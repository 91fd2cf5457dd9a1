/* wx/io/io_gdalxml.h - the items of GDAL's metadata text in a TIFF, however often it was escaped.
 */
#ifndef SQ_WX_IO_IO_GDALXML_H
#define SQ_WX_IO_IO_GDALXML_H

#include <stdbool.h>
#include <stddef.h>

/** Undo the escapes of `text` ("&lt;" and its like) in place, again and again as long as there are
 * items behind them: FMI wraps one metadata text into another. */
void sq_gdalxml_unescape(char *text);

/** The text of <Item name="..." unit="...">text</Item>; false if there is no such item. `unit` may
 * be NULL; what does not fit is cut off. */
bool sq_gdalxml_find(const char *xml, const char *name, char *text, size_t text_size, char *unit,
                     size_t unit_size);

#endif /* SQ_WX_IO_IO_GDALXML_H */
