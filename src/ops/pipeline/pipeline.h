/* ops/pipeline/pipeline.h - from the archive to the service: stages that can be cut off and go on.
 */
#ifndef SQ_OPS_PIPELINE_PIPELINE_H
#define SQ_OPS_PIPELINE_PIPELINE_H

#include <stdbool.h>

#include "base/base.h"

/**
 * Run a pipeline: dataset, train, export, build, compare, skill, sign, add, release. A stage whose
 * inputs and outputs are as they were when it was last done is not done again.
 *
 * @param path     its configuration (docs/releases.md)
 * @param program  the squall program that the stages run
 * @param log      lines of JSON: every stage with the hashes of its inputs and outputs; may be NULL
 * @param report   set to the path of report.html, 4096 bytes; report.json lies beside it
 * @return SQUALL_OK; SQUALL_E_FORMAT (the configuration); what the stage that failed gave, with its
 *         name. What serves is touched by the last stage alone.
 */
SQUALL_MUST_USE squall_status sq_pipeline_run(const char *path, const char *program, sq_log *log,
                                              char *report, squall_error *err);
/** The reference of all keys as a Markdown table. */
void sq_pipeline_describe(sq_text *out);

#endif /* SQ_OPS_PIPELINE_PIPELINE_H */
