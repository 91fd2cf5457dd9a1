/* wx/product/product_colour.c - the colours of rain. */
#include "wx/product/product_draw.h"

const sq_rate_class sq_rate_classes[SQ_RATE_CLASSES] = {
    {0.1, 0xCFE8F7}, {0.2, 0xA2D0EE},  {0.5, 0x6DB0DD},  {1.0, 0x3A8AC6},  {2.0, 0x1D62A6},
    {5.0, 0x14387A}, {10.0, 0xFFE34D}, {20.0, 0xFF9D1F}, {50.0, 0xE0301E}, {100.0, 0x4B0040},
};

uint32_t sq_rate_colour(double rate_mm_h)
{
    uint32_t colour = SQ_COLOUR_GROUND;
    for (size_t i = 0; i < SQ_RATE_CLASSES && rate_mm_h >= sq_rate_classes[i].from_mm_h; i++) {
        colour = sq_rate_classes[i].colour;
    }
    return colour;
}
