/* wx/quality/quality.h - observations made fit to forecast from, as the other rooms see it. */
#ifndef SQ_WX_QUALITY_QUALITY_H
#define SQ_WX_QUALITY_QUALITY_H

#include "squall/quality.h"

#include "base/base.h"

#endif /* SQ_WX_QUALITY_QUALITY_H */
