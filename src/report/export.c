/* export.c: the public way to results/exchange.h. */
#include <string.h>

#include "base/error.h"
#include "report/data.h"

static enum berth_status write_union(struct berth_results *from, const char *path, struct berth_error *err)
{
    struct berth_results *into;
    enum berth_status status = berth_results_open(path, BERTH_RESULTS_APPEND, &into, err);
    if (status == BERTH_OK)
        status = berth_results_merge_from(into, from, NULL, err);
    berth_results_close(into);
    return status;
}

enum berth_status berth_export(const char *const *results, size_t count, enum berth_export_format format,
                               const struct berth_selection *selection, FILE *stream, const char *path,
                               struct berth_error *err)
{
    struct berth_results *all = NULL;
    struct berth_results_filter filter = berth_report_filter(selection);
    char uid[40];
    enum berth_status status;
    BERTH_TRY(berth_results_open_all(results, count, &all, err));
    if (format == BERTH_EXPORT_RESULTS) {
        BERTH_TRY(write_union(all, path, err));
        goto fail;
    }
    if (filter.run) {
        int64_t run;
        struct berth_results_book book;
        BERTH_TRY(berth_results_find_run(all, filter.run, &run, err));
        BERTH_TRY(berth_results_read(all, run, &book, err));
        strncpy(uid, book.run[0].uid, sizeof uid - 1)[sizeof uid - 1] = 0;
        berth_results_book_clear(&book);
        filter.run = uid;
    }
    if (format == BERTH_EXPORT_CSV)
        status = berth_results_write_csv(all, &filter, stream, err);
    else if (format == BERTH_EXPORT_JSON)
        status = berth_results_write_json(all, &filter, stream, err);
    else
        status = berth_results_write_study(all, &filter, stream, err);
fail:
    berth_results_close(all);
    return status;
}
