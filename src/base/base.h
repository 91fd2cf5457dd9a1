/* base/base.h - the one header of the base floor that the rooms above include. */
#ifndef SQ_BASE_BASE_H
#define SQ_BASE_BASE_H

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/notes.h"
#include "base/processor.h"
#include "base/sign.h"
#include "base/size.h"
#include "base/text.h"
#include "base/threads.h"
#include "base/time.h"

#endif /* SQ_BASE_BASE_H */
