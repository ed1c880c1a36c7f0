/* journal.c: one write a line; trimming writes the file anew, atomically. */
#include "train/journal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

enum { JOURNAL_MAX = 1 << 30, LINE_MAX = 4096 };

/* The lines of `text` up to `step`, into the file at path. */
static enum berth_status rewrite(const char *path, char *text, size_t step, struct berth_error *err)
{
    struct berth_atomic_file file;
    enum berth_status status = berth_atomic_open(path, &file, err);
    if (status != BERTH_OK)
        return status;
    bool ok = true;
    for (char *line = text, *next; line && *line && ok; line = next) {
        next = strchr(line, '\n');
        if (!next)
            break; /* cut off by a kill */
        *next++ = 0;
        json_t *root = json_loads(line, 0, NULL);
        json_int_t at = json_integer_value(json_object_get(root, "step"));
        if (root && at > 0 && (size_t)at <= step)
            ok = fprintf(file.stream, "%s\n", line) > 0;
        json_decref(root);
    }
    if (ok)
        return berth_atomic_commit(&file, err);
    status = berth_fail_errno(err, errno, "%s: cannot write", path);
    berth_atomic_abort(&file);
    return status;
}

enum berth_status berth_journal_open(struct berth_journal *journal, const char *directory, const char *name,
                                     size_t step, struct berth_error *err)
{
    char *text = NULL;
    size_t size;
    *journal = (struct berth_journal){.path = berth_path_join(directory, name)};
    if (!journal->path)
        return berth_fail_memory(err, "a path", strlen(directory));
    enum berth_status status = BERTH_OK;
    if (step > 0 && berth_file_exists(journal->path))
        status = berth_file_read(journal->path, JOURNAL_MAX, &text, &size, err);
    char nothing[] = "";
    if (status == BERTH_OK)
        status = rewrite(journal->path, text ? text : nothing, step, err);
    berth_free(text);
    if (status == BERTH_OK) {
        journal->stream = fopen(journal->path, "ae");
        if (!journal->stream)
            status = berth_fail_errno(err, errno, "%s: cannot open", journal->path);
    }
    if (status != BERTH_OK)
        berth_journal_close(journal);
    return status;
}

void berth_journal_close(struct berth_journal *journal)
{
    if (journal->stream)
        fclose(journal->stream);
    berth_free(journal->path);
    *journal = (struct berth_journal){0};
}

enum berth_status berth_journal_write(struct berth_journal *journal, json_t *line, struct berth_error *err)
{
    char text[LINE_MAX];
    size_t size = line ? json_dumpb(line, text, sizeof text - 1, JSON_COMPACT | JSON_REAL_PRECISION(9)) : 0;
    json_decref(line);
    if (size == 0 || size > sizeof text - 1)
        return berth_fail_memory(err, "a line of the log", sizeof text);
    text[size] = '\n';
    if (fwrite(text, 1, size + 1, journal->stream) != size + 1 || fflush(journal->stream) != 0)
        return berth_fail_errno(err, errno, "%s: cannot write", journal->path);
    return BERTH_OK;
}
