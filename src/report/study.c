/* study.c: speed-ups that the 2021 study published, beside those measured here. The times themselves cannot be compared (its
 * machines are not ours); how the models stand to each other can. */
#include "report/study.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *const berth_study_models[BERTH_STUDY_MODELS] = {"bert-base", "distilbert", "electra-small", "bert-tiny"};

/* "random:distilbert" and "distilbert-base-uncased" are distilbert; -1: none of the four. */
static int model_of(const char *name)
{
    static const int order[] = {1, 2, 3, 0};
    for (int i = 0; i < BERTH_STUDY_MODELS; i++)
        if (strstr(name, berth_study_models[order[i]]))
            return order[i];
    return -1;
}

static size_t add_rows(const struct berth_drawing *d, bool published, int64_t batch, int64_t length,
                       struct berth_study_row *rows, size_t count)
{
    for (size_t p = 0; p < d->places; p++) {
        double base = NAN;
        if (published && strstr(d->place[p], "network"))
            continue;
        for (int pass = 0; pass < 2; pass++)
            for (size_t m = 0; m < d->models && count < BERTH_STUDY_ROWS; m++) {
                const struct berth_cell *cell = berth_drawing_find(d, d->place[p], d->model[m], NULL, batch, length);
                int model = model_of(d->model[m]);
                if (!cell || model < 0 || (!published && !cell->measured)) /* theirs may be among the files, too */
                    continue;
                double time = berth_cell_time(cell);
                if (pass == 0 && model == 0)
                    base = time;
                if (pass == 0 || model == 0 || isnan(base))
                    continue;
                struct berth_study_row row = {model, "", published, batch, length, time, base / time};
                snprintf(row.place, sizeof row.place, "%s%.*s", published ? "2021: " : "",
                         (int)(published ? strcspn(d->place[p], ",") : sizeof row.place - 1), d->place[p]);
                rows[count++] = row;
            }
    }
    return count;
}

size_t berth_study_compare(const struct berth_drawing *d, struct berth_study_row rows[BERTH_STUDY_ROWS])
{
    static const char *const paths[] = {"bundled:study-2021"};
    static const int64_t inputs[2][2] = {{2, 32}, {32, 112}};
    struct berth_report_data published;
    struct berth_drawing theirs;
    size_t count = 0;
    bool suite = false;
    for (size_t i = 0; i < d->data->book.runs; i++)
        suite |= strcmp(d->data->book.run[i].suite, "study") == 0;
    if (!suite || berth_report_load(paths, 1, NULL, NULL, 0, true, &published, NULL) != BERTH_OK)
        return 0;
    berth_drawing_init(&theirs, &published, "bert-base");
    for (int i = 0; i < 2; i++)
        count = add_rows(&theirs, true, inputs[i][0], inputs[i][1], rows, count);
    size_t before = count;
    for (int i = 0; i < 2; i++)
        count = add_rows(d, false, inputs[i][0], inputs[i][1], rows, count);
    berth_report_clear(&published);
    return count > before ? count : 0;
}

/* A panel an input; a cluster a model; a bar a place. */
bool berth_draw_study(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    static const int64_t batches[2] = {2, 32};
    static const int patterns[] = {3, 1, 2, 4, 5, 6, 7, 0};
    struct berth_study_row rows[BERTH_STUDY_ROWS];
    size_t count = berth_study_compare(d, rows);
    if (count == 0)
        return false;
    size[0] = 1200, size[1] = 560;
    berth_buffer_text(s, "set multiplot layout 1,2\n");
    for (int i = 0; i < 2; i++) {
        char places[BERTH_SERIES][BERTH_LABEL];
        size_t n = 0;
        double highest = 1;
        for (size_t r = 0; r < count; r++) {
            size_t k = 0;
            highest = rows[r].batch == batches[i] ? fmax(highest, rows[r].speedup) : highest;
            while (k < n && strcmp(places[k], rows[r].place) != 0)
                k++;
            if (rows[r].batch == batches[i] && k == n && n < BERTH_SERIES)
                strcpy(places[n++], rows[r].place);
        }
        for (size_t k = 0; k < n; k++) {
            berth_buffer_format(s, "$s%zu << EOD\n", k);
            for (size_t r = 0; r < count; r++)
                if (rows[r].batch == batches[i] && strcmp(rows[r].place, places[k]) == 0)
                    berth_buffer_format(s, "%g %.6g \"%.3g\"\n",
                                        rows[r].model + ((double)k - ((double)n - 1) / 2) * 0.84 / (double)n, rows[r].speedup,
                                        rows[r].speedup);
            berth_buffer_text(s, "EOD\n");
        }
        berth_buffer_format(s, "set title 'batch %" PRId64 " of %d tokens' font ',12'\nset ylabel 'times as fast as bert-base'\n"
                            "set logscale y\nset yrange [0.5:%g]\nset format y '%%g'\nset xrange [0.4:3.6]\n"
                            "set boxwidth %g\nset style fill pattern border lc rgb '#222222'\n"
                            "set xtics ('distilbert' 1, 'electra-small' 2, 'bert-tiny' 3) scale 0\nset grid noxtics\n"
                            "set key top left Left reverse font ',9' noautotitle\nplot ", batches[i], i ? 112 : 32,
                            highest * pow(highest / 0.5, 0.1 + 0.09 * (double)n), 0.78 / (double)(n ? n : 1));
        for (size_t k = 0; k < n; k++) {
            berth_buffer_format(s, "%s$s%zu using 1:2 with boxes ls %zu lw 1 dt 1 fs pattern %d title ", k ? ", " : "", k, k + 1,
                                patterns[k % 8]);
            berth_figure_quote(s, places[k]);
            berth_buffer_format(s, ", $s%zu using 1:2:3 with labels offset 0.1,0.4 rotate by 90 left font ',8' notitle", k);
        }
        berth_buffer_text(s, n ? "\n" : "0 notitle\n");
    }
    berth_buffer_text(s, "unset multiplot\n");
    return true;
}
