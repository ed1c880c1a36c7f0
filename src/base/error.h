/* error.h: making and passing on failures. Stands below everything; see berth/status.h for the public side.
 */
#ifndef BERTH_BASE_ERROR_H
#define BERTH_BASE_ERROR_H

#include "berth/status.h"

/* Writes the sentence into err (when not NULL) and returns status, so that a check is one line:
 *     if (n == 0) return berth_fail(err, BERTH_FORMAT, "%s: empty file", path);
 * Bytes of the arguments that are not printable UTF-8 become '?', so hostile names cannot reach a terminal.
 */
enum berth_status berth_fail(struct berth_error *err, enum berth_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends errno's text: "PATH: cannot open: No such file or directory". ENOENT gives BERTH_NOT_FOUND, ENOMEM
 * BERTH_NO_MEMORY, else BERTH_IO. */
enum berth_status berth_fail_errno(struct berth_error *err, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The usual sentence for a failed allocation of `bytes` for `what`. */
enum berth_status berth_fail_memory(struct berth_error *err, const char *what, unsigned long long bytes);

/* Puts "PREFIX: " before an existing message (a caller adding the file it was reading); returns err's status.
 */
enum berth_status berth_fail_prefix(struct berth_error *err, enum berth_status status, const char *format,
                                    ...) __attribute__((format(printf, 3, 4)));

/* The one control-flow macro: needs `enum berth_status status` and a label `fail:` in scope. */
#define BERTH_TRY(expression)   \
    do {                        \
        status = (expression);  \
        if (status != BERTH_OK) \
            goto fail;          \
    } while (0)

#endif
