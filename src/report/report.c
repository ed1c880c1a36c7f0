/* report.c: a report's folder: report.html, report.md, and the figures. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "report/page.h"

static enum berth_status load(const struct berth_report_options *o, struct berth_report_data *data,
                              struct berth_drawing *drawing, struct berth_error *err)
{
    enum berth_status status = berth_report_load(o->results, o->result_count, &o->selection, o->prices, o->price_count, true,
                                                 data, err);
    if (status != BERTH_OK)
        return status;
    berth_drawing_init(drawing, data, o->baseline);
    bool known = !o->baseline;
    for (size_t i = 0; i < data->cells; i++)
        known |= strcmp(data->cell[i].c->model, drawing->baseline) == 0;
    if (known)
        return BERTH_OK;
    status = berth_fail(err, BERTH_NOT_FOUND, "%s: no model '%s' to be the baseline", berth_results_path(data->results),
                        o->baseline);
    berth_report_clear(data);
    return status;
}

enum berth_status berth_report_json(const struct berth_report_options *options, char **json, struct berth_error *err)
{
    struct berth_report_data data;
    struct berth_drawing drawing;
    *json = NULL;
    enum berth_status status = load(options, &data, &drawing, err);
    if (status != BERTH_OK)
        return status;
    if (!(*json = berth_report_data_json(&drawing)))
        status = berth_fail_memory(err, "the data of a report", 0);
    berth_report_clear(&data);
    return status;
}

static enum berth_status write_page(const char *directory, const char *name, const struct berth_drawing *drawing,
                                    const char *json, const bool *drawn, struct berth_error *err)
{
    struct berth_atomic_file file;
    char *path = berth_path_join(directory, name);
    if (!path)
        return berth_fail_memory(err, "a path", strlen(directory));
    enum berth_status status = berth_atomic_open(path, &file, err);
    berth_free(path);
    if (status != BERTH_OK)
        return status;
    if (json ? berth_report_html(json, file.stream) : berth_report_markdown(drawing, drawn, file.stream))
        return berth_atomic_commit(&file, err);
    berth_atomic_abort(&file);
    return berth_fail_memory(err, name, 0);
}

static void summarize(const struct berth_report_data *data, const bool *drawn, struct berth_report_summary *summary)
{
    *summary = (struct berth_report_summary){.configurations = data->cells, .latencies = data->latencies,
                                             .failed = data->failed};
    for (size_t i = 0; i < berth_figure_count; i++) {
        summary->figures += drawn[i];
        if (!drawn[i] && !berth_figures[i].optional &&
            strlen(summary->missing) + strlen(berth_figures[i].name) + 3 < sizeof summary->missing)
            strcat(strcat(summary->missing, *summary->missing ? ", " : ""), berth_figures[i].name);
    }
}

enum berth_status berth_report(const struct berth_report_options *options, struct berth_report_summary *summary,
                               struct berth_error *err)
{
    struct berth_report_data data;
    struct berth_drawing drawing;
    bool drawn[32] = {false};
    char *json = NULL;
    enum berth_status status = load(options, &data, &drawing, err);
    if (status != BERTH_OK)
        return status;
    if (mkdir(options->directory, 0777) != 0 && errno != EEXIST)
        BERTH_TRY(berth_fail_errno(err, errno, "%s: cannot make the folder of the report", options->directory));
    if (!berth_directory_exists(options->directory))
        BERTH_TRY(berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: not a folder", options->directory));
    if (!(json = berth_report_data_json(&drawing)))
        BERTH_TRY(berth_fail_memory(err, "the data of a report", 0));
    BERTH_TRY(berth_figures_draw(&drawing, options->directory, options->gnuplot, drawn, err));
    BERTH_TRY(write_page(options->directory, "report.html", &drawing, json, drawn, err));
    BERTH_TRY(write_page(options->directory, "report.md", &drawing, NULL, drawn, err));
    summarize(&data, drawn, summary);
fail:
    berth_free(json);
    berth_report_clear(&data);
    return status;
}
