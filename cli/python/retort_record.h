/* Whether what runs and studies left in their folders can be believed; the rules of retort_loss.h. */
#ifndef RETORT_RECORD_H
#define RETORT_RECORD_H

#include "cli/python/retort_loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/* path: a run's folder, whose config.toml, summary.json, metrics.csv and env.json are held against their own
 * hashes and against the run's checkpoint; or a file results.json or report.json, against its own. 0 if they
 * are what was written there: then the message is empty, or a note about what cannot be told, as of folders
 * of 0.1.0. 3 and the file's name if not, 6: no memory. */
RETORT_API retort_code retort_check_record(const char* path, char* message, size_t message_bytes);

#ifdef __cplusplus
}
#endif

#endif /* RETORT_RECORD_H */
