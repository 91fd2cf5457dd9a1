/* wx/io/io_odim_place.h - the grid of an ODIM dataset. */
#ifndef SQ_WX_IO_IO_ODIM_PLACE_H
#define SQ_WX_IO_IO_ODIM_PLACE_H

#include "wx/io/io_hdf5.h"

/**
 * Work out where the cells of a dataset are, from datasetN/where and /where (the nearer wins).
 *
 * @param width,height  of its values; must be the sizes that are declared.
 * @return SQUALL_OK; SQUALL_E_CORRUPT if attributes are missing or contradict each other;
 *         SQUALL_E_UNSUPPORTED for a projection that cannot be taken.
 */
SQUALL_MUST_USE squall_status sq_io_odim_grid(const sq_io_hdf5_image *image, int dataset,
                                              size_t width, size_t height, squall_grid *grid,
                                              squall_error *err);

#endif /* SQ_WX_IO_IO_ODIM_PLACE_H */
