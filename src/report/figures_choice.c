/* figures_choice.c: figures to choose by: the models, accuracy against latency, tail latency against load, padding, cost,
 * and the study's published figures beside ours. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/figure.h"

static void set_axes(struct berth_buffer *s, const char *title, const char *x, const char *y)
{
    berth_buffer_text(s, "set title ");
    berth_figure_quote(s, title);
    berth_buffer_format(s, " font ',12'\nset xlabel '%s'\nset ylabel '%s'\nset format xy '%%g'\n", x, y);
}

static void put_label(struct berth_buffer *s, const char *text, double x, double y, const char *font)
{
    berth_buffer_text(s, "set label ");
    berth_figure_quote(s, text);
    berth_buffer_format(s, " at screen %g, screen %g %s\n", x, y, font);
}

/* What all of a figure's points are measured at: the smallest input; of real texts their smallest batch. */
static bool is_of_input(const struct berth_drawing *d, const struct berth_cell *cell, bool texts)
{
    if (!texts)
        return berth_cell_is_timed(cell) && cell->c->batch == d->small_batch && cell->c->length == d->small_length;
    for (size_t i = 0; i < d->data->cells; i++)
        if (berth_cell_is_of_texts(&d->data->cell[i]) && d->data->cell[i].c->batch < cell->c->batch)
            return false;
    return berth_cell_is_of_texts(cell);
}

/* A table, as the study has it. */
bool berth_draw_summary(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    static const double columns[] = {0.03, 0.30, 0.43, 0.68, 0.81};
    char fastest[64] = "fastest";
    if (d->small_batch > 0)
        snprintf(fastest, sizeof fastest, "fastest at %" PRId64 " × %" PRId64, d->small_batch, d->small_length);
    const char *const heads[] = {"model", "parameters", "accuracy (95 % interval)", "memory", fastest};
    if (d->models == 0)
        return false;
    double rows = (double)d->models + 1.6;
    size[0] = 1000, size[1] = (int)(44 * rows + 20);
    berth_buffer_text(s, "unset border\nunset tics\nunset key\nset lmargin 0\nset rmargin 0\nset tmargin 0\nset bmargin 0\n"
                         "set xrange [0:1]\nset yrange [0:1]\n");
    double top = 1 - 0.7 / rows;
    for (int c = 0; c < 5; c++)
        put_label(s, heads[c], columns[c], top, "font ',12'");
    berth_buffer_format(s, "set arrow from screen 0.02, screen %g to screen 0.98, screen %g nohead lw 2\n", top - 0.5 / rows,
                        top - 0.5 / rows);
    for (size_t m = 0; m < d->models; m++) {
        char text[5][64] = {"", "-", "-", "-", "-"};
        double best = INFINITY, y = top - ((double)m + 1.1) / rows;
        for (size_t i = 0; i < d->data->cells; i++) {
            const struct berth_cell *cell = &d->data->cell[i];
            if (strcmp(cell->c->model, d->model[m]) != 0)
                continue;
            int64_t parameters = berth_cell_parameters(d->data, cell);
            if (parameters > 0)
                snprintf(text[1], sizeof text[1], "%.3g M", (double)parameters / 1e6);
            if (!isnan(cell->accuracy) && (text[2][0] == '-' || berth_drawing_is_plain(d, cell)))
                snprintf(text[2], sizeof text[2], "%.1f %%  [%.1f, %.1f]", cell->accuracy * 100,
                         cell->accuracy_interval[0] * 100, cell->accuracy_interval[1] * 100);
            if (cell->c->memory_bytes > 0 && text[3][0] == '-')
                snprintf(text[3], sizeof text[3], "%.0f MB", (double)cell->c->memory_bytes / 1048576);
            double time = berth_cell_time(cell);
            bool texts = d->small_batch == 0 && berth_cell_is_of_texts(cell);
            if ((texts || is_of_input(d, cell, false)) && time < best) {
                best = time;
                snprintf(text[4], sizeof text[4], "%.3g ms", time);
            }
        }
        put_label(s, d->model[m], columns[0], y, "font ',11'");
        for (int c = 1; c < 5; c++)
            put_label(s, text[c], columns[c], y, "font ',11'");
        berth_buffer_format(s, "set arrow from screen 0.02, screen %g to screen 0.98, screen %g nohead lc rgb '#cccccc'\n",
                            y - 0.5 / rows, y - 0.5 / rows);
    }
    berth_buffer_text(s, "plot 2 notitle\n");
    return true;
}

/* ---- Accuracy against latency ---- */

struct point {
    const struct berth_cell *cell;
    double x, y, low, high;
    size_t place, model;
    bool front;
};

static double find_accuracy(const struct berth_drawing *d, const struct berth_cell *cell, double interval[2])
{
    const struct berth_cell *from = berth_cell_find_accuracy(d->data, cell);
    if (!from)
        from = cell;
    interval[0] = from->accuracy_interval[0], interval[1] = from->accuracy_interval[1];
    return from->accuracy;
}

static size_t index_of(const char (*list)[BERTH_LABEL], size_t count, const char *label)
{
    size_t i = 0;
    while (i < count && strcmp(list[i], label) != 0)
        i++;
    return i;
}

static void mark_front(struct point *points, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        points[i].front = true;
        for (size_t j = 0; j < n; j++)
            if ((points[j].x < points[i].x && points[j].y >= points[i].y) ||
                (points[j].x <= points[i].x && points[j].y > points[i].y))
                points[i].front = false;
    }
}

static size_t collect_points(const struct berth_drawing *d, bool texts, struct point *points, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < d->data->cells && n < most; i++) {
        const struct berth_cell *cell = &d->data->cell[i];
        double interval[2], accuracy = find_accuracy(d, cell, interval);
        char text[BERTH_LABEL];
        if (isnan(accuracy) || !is_of_input(d, cell, texts))
            continue;
        struct point p = {.cell = cell, .x = berth_cell_time(cell), .y = accuracy * 100, .low = interval[0] * 100,
                          .high = interval[1] * 100};
        p.place = index_of(d->place, d->places, berth_cell_place(d->data, cell, text, sizeof text));
        p.model = index_of(d->model, d->models, cell->c->model);
        if (p.place < d->places && p.model < d->models)
            points[n++] = p;
    }
    mark_front(points, n);
    return n;
}

static int by_x(const void *a, const void *b)
{
    double x = ((const struct point *)a)->x, y = ((const struct point *)b)->x;
    return (x > y) - (x < y);
}

static bool several_variants(const struct point *points, size_t n)
{
    char first[64], other[64];
    for (size_t i = 1; i < n; i++)
        if (strcmp(berth_cell_variant(points[0].cell, first, sizeof first),
                   berth_cell_variant(points[i].cell, other, sizeof other)) != 0)
            return true;
    return false;
}

bool berth_draw_pareto(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    struct point points[400];
    bool texts = false;
    size_t n = collect_points(d, texts, points, sizeof points / sizeof *points);
    if (n == 0)
        n = collect_points(d, texts = true, points, sizeof points / sizeof *points);
    if (n == 0)
        return false;
    static const int marks[] = {7, 5, 9, 13, 11, 6, 4, 8, 12, 10, 2, 1};
    char title[160];
    qsort(points, n, sizeof *points, by_x);
    size[0] = 1080, size[1] = 640;
    for (size_t p = 0; p < d->places; p++)
        for (size_t m = 0; m < d->models; m++) {
            berth_buffer_format(s, "$p%zu << EOD\n", p * BERTH_SERIES + m);
            for (size_t i = 0; i < n; i++)
                if (points[i].place == p && points[i].model == m)
                    berth_buffer_format(s, "%.9g %.9g %.9g %.9g\n", points[i].x, points[i].y, points[i].low, points[i].high);
            berth_buffer_text(s, "EOD\n");
        }
    berth_buffer_text(s, "$names << EOD\n");
    for (size_t i = 0; i < n; i++) {
        char variant[64];
        berth_buffer_format(s, "%.9g %.9g \"", points[i].x, points[i].y);
        for (const char *v = berth_cell_variant(points[i].cell, variant, sizeof variant); *v; v++)
            berth_buffer_append(s, strchr("\"`\\\n\r", *v) ? "?" : v, 1);
        berth_buffer_text(s, "\"\n");
    }
    berth_buffer_text(s, "EOD\n$front << EOD\n");
    for (size_t i = 0; i < n; i++)
        if (points[i].front)
            berth_buffer_format(s, "%.9g %.9g\n", points[i].x, points[i].y);
    berth_buffer_text(s, "EOD\n");
    snprintf(title, sizeof title, "accuracy against latency: batch %" PRId64, points[0].cell->c->batch);
    if (texts)
        snprintf(title + strlen(title), sizeof title - strlen(title), " of real texts");
    else
        snprintf(title + strlen(title), sizeof title - strlen(title), " of %" PRId64 " tokens", d->small_length);
    set_axes(s, title, "latency (ms)", "accuracy (%), with its 95 % interval");
    double low = points[0].x / 1.6, high = points[n - 1].x * 1.8;
    berth_figure_log_tics(s, "x", low, high);
    berth_buffer_format(s, "set logscale x\nset xrange [%g:%g]\nset key outside right top Left reverse font ',9' noautotitle\n"
                        "set offsets 0, 0, graph 0.08, graph 0.08\n"
                        "plot $front using 1:2 with steps lc rgb '#777777' lw 3 dt 2 title 'Pareto front'", low, high);
    for (size_t p = 0; p < d->places; p++)
        for (size_t m = 0; m < d->models; m++) {
            bool any = false;
            char label[2 * BERTH_LABEL + 8];
            for (size_t i = 0; i < n; i++)
                any |= points[i].place == p && points[i].model == m;
            if (!any)
                continue;
            strcat(strcat(strcpy(label, d->model[m]), " · "), d->place[p]);
            berth_buffer_format(s, ", $p%zu using 1:2:3:4 with yerrorbars ls %zu dt 1 lw 1 pt %d ps 1.4 title ",
                                p * BERTH_SERIES + m, m + 1, marks[p]);
            berth_figure_quote(s, label);
        }
    if (several_variants(points, n))
        berth_buffer_text(s, ", $names using 1:2:3 with labels left offset 0.7,0.4 font ',8' notitle");
    berth_buffer_text(s, "\n");
    return true;
}

/* ---- Tail latency against load ---- */

static bool is_loaded(const struct berth_cell *cell)
{
    return (cell->c->rate > 0 || cell->c->concurrency > 1) && cell->latency.n > 0 && !isnan(cell->texts_per_second);
}

static void load_label(const struct berth_drawing *d, const struct berth_cell *cell, char *text, size_t size)
{
    char place[BERTH_LABEL], variant[64];
    snprintf(text, size, "%.40s, %s · %.60s", cell->c->model, berth_cell_variant(cell, variant, sizeof variant),
             berth_cell_place(d->data, cell, place, sizeof place));
}

bool berth_draw_load(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    char labels[BERTH_SERIES][BERTH_LABEL * 2], text[BERTH_LABEL * 2];
    size_t n = 0;
    for (size_t i = 0; i < d->data->cells; i++) {
        if (!is_loaded(&d->data->cell[i]))
            continue;
        load_label(d, &d->data->cell[i], text, sizeof text);
        size_t k = 0;
        while (k < n && strcmp(labels[k], text) != 0)
            k++;
        if (k == n && n < BERTH_SERIES)
            strcpy(labels[n++], text);
    }
    if (n == 0)
        return false;
    double x[2] = {INFINITY, 0}, y[2] = {INFINITY, 0};
    size[0] = 1080, size[1] = 620;
    for (size_t k = 0; k < n; k++) {
        const struct berth_cell *line[256];
        size_t cells = 0;
        for (size_t i = 0; i < d->data->cells && cells < 256; i++) {
            const struct berth_cell *cell = &d->data->cell[i];
            load_label(d, cell, text, sizeof text);
            if (!is_loaded(cell) || strcmp(text, labels[k]) != 0)
                continue;
            size_t at = cells++;
            for (; at > 0 && line[at - 1]->texts_per_second > cell->texts_per_second; at--)
                line[at] = line[at - 1];
            line[at] = cell;
        }
        berth_buffer_format(s, "$l%zu << EOD\n", k);
        for (size_t i = 0; i < cells; i++) {
            const struct berth_stats *l = &line[i]->latency;
            double p99 = isnan(l->p99) ? -1 : l->p99, top = isnan(l->p99_interval[1]) ? fmax(p99, l->p50) : l->p99_interval[1];
            x[0] = fmin(x[0], line[i]->texts_per_second), x[1] = fmax(x[1], line[i]->texts_per_second);
            y[0] = fmin(y[0], l->p50), y[1] = fmax(y[1], top);
            berth_buffer_format(s, "%.9g %.9g ", line[i]->texts_per_second, l->p50);
            if (p99 < 0)
                berth_buffer_text(s, "NaN NaN NaN\n");
            else
                berth_buffer_format(s, "%.9g %.9g %.9g\n", p99, isnan(l->p99_interval[0]) ? p99 : l->p99_interval[0],
                                    isnan(l->p99_interval[1]) ? p99 : l->p99_interval[1]);
        }
        berth_buffer_text(s, "EOD\n");
    }
    set_axes(s, "latency against load: p99 with its 95 % interval, and the median (thin)", "texts a second, as served",
             "latency from the scheduled start (ms)");
    berth_figure_log_tics(s, "x", x[0] / 1.3, x[1] * 1.3);
    berth_figure_log_tics(s, "y", y[0] / 1.5, y[1] * 1.5);
    berth_buffer_format(s, "set logscale xy\nset xrange [%g:%g]\nset yrange [%g:%g]\n"
                        "set key outside right top Left reverse font ',9' noautotitle\nplot ", x[0] / 1.3, x[1] * 1.3,
                        y[0] / 1.5, y[1] * 1.5);
    for (size_t k = 0; k < n; k++) {
        berth_buffer_format(s, "%s$l%zu using 1:3:4:5 with yerrorbars ls %zu dt 1 lw 1 ps 0, $l%zu using 1:3 with linespoints ls %zu title ",
                            k ? ", " : "", k, k + 1, k, k + 1);
        berth_figure_quote(s, labels[k]);
        berth_buffer_format(s, ", $l%zu using 1:2 with lines ls %zu lw 0.8 notitle", k, k + 1);
    }
    berth_buffer_text(s, "\n");
    return true;
}

/* ---- Horizontal bars: padding and cost ---- */

struct bar {
    char label[200];
    double value;
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct bar *)a)->value, y = ((const struct bar *)b)->value;
    return (x > y) - (x < y);
}

static void draw_bars(struct bar *bars, size_t n, const char *title, const char *x, const char *format, struct berth_buffer *s,
                      int size[2], bool logarithmic)
{
    double most = 0, least = INFINITY;
    qsort(bars, n, sizeof *bars, by_value);
    n = n > 40 ? 40 : n;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, bars[i].value), least = fmin(least, bars[i].value);
    size[0] = 1000, size[1] = (int)(110 + 26 * n);
    berth_buffer_text(s, "$b << EOD\n");
    for (size_t i = 0; i < n; i++) {
        char text[32];
        snprintf(text, sizeof text, format, bars[i].value);
        berth_buffer_format(s, "%.9g %zu \"%s\"\n", bars[i].value, n - i, text);
    }
    berth_buffer_text(s, "EOD\n");
    set_axes(s, title, x, "");
    berth_buffer_format(s, "set lmargin 50\nset yrange [0.3:%zu.7]\nset xrange [%g:%g]\n%sset grid noytics\nunset key\n"
                        "set style fill pattern 4 border lc rgb '#222222'\nset ytics scale 0 (", n,
                        logarithmic ? least / 2 : 0, most > 0 ? most * (logarithmic ? 2 : 1.15) : 1,
                        logarithmic ? "set logscale x\n" : "");
    for (size_t i = 0; i < n; i++) {
        berth_buffer_text(s, i ? ", " : "");
        berth_figure_quote(s, bars[i].label);
        berth_buffer_format(s, " %zu", n - i);
    }
    berth_buffer_format(s, ")\nplot $b using (%s):2:(%s):1:($2-0.32):($2+0.32) with boxxyerror ls 1 lw 1 fs pattern 4, "
                        "$b using 1:2:3 with labels left offset 0.7,0 font ',9'\n", logarithmic ? "$1" : "$1",
                        logarithmic ? "$1/1e9" : "0");
}

static void bar_label(const struct berth_drawing *d, const struct berth_cell *cell, char *text, size_t size)
{
    char place[BERTH_LABEL], variant[64];
    snprintf(text, size, "%.40s, %s · %.60s", cell->c->model, berth_cell_variant(cell, variant, sizeof variant),
             berth_cell_place(d->data, cell, place, sizeof place));
}

bool berth_draw_padding(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    struct bar bars[200];
    size_t n = 0;
    for (size_t i = 0; i < d->data->cells && n < 200; i++) {
        const struct berth_cell *cell = &d->data->cell[i];
        if (isnan(cell->padding) || cell->padding <= 0)
            continue;
        struct bar bar = {.value = cell->padding * 100};
        snprintf(bar.label, sizeof bar.label, "%.60s, batch %" PRId64, berth_data_name(cell->c->data), cell->c->batch);
        size_t k = 0;
        while (k < n && strcmp(bars[k].label, bar.label) != 0)
            k++;
        if (k == n)
            bars[n++] = bar;
    }
    if (n > 0)
        draw_bars(bars, n, "padding that a padded system would compute", "share of its tokens (%)", "%.1f %%", s, size, false);
    return n > 0;
}

bool berth_draw_cost(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    struct bar bars[200];
    char title[160];
    size_t n = 0;
    for (size_t i = 0; i < d->data->cells && n < 200; i++) {
        const struct berth_cell *cell = &d->data->cell[i];
        if (!(cell->cost > 0) || cell->c->batch != d->small_batch || cell->c->length != d->small_length ||
            !berth_cell_is_timed(cell))
            continue;
        bars[n].value = cell->cost;
        bar_label(d, cell, bars[n].label, sizeof bars[n].label);
        n++;
    }
    snprintf(title, sizeof title, "cost of a million texts: batch %" PRId64 " of %" PRId64 " tokens", d->small_batch,
             d->small_length);
    if (n > 0)
        draw_bars(bars, n, title, "USD", "%.3g", s, size, true);
    return n > 0;
}

const struct berth_figure berth_figures[] = {
    {"model_summary", "The models", "Parameters, accuracy with its 95 % interval (Wilson), memory, and the lowest median latency of "
     "any target at the smallest batch.", berth_draw_summary, false},
    {"time_vs_input", "Time against input size", "Median latency with its 95 % interval (order statistics) in each target, of the "
     "plain fp32 models; of published figures the mean and one standard deviation.", berth_draw_times, false},
    {"speedup", "Speed-up over the baseline", "The baseline's latency divided by the model's, at the same input.",
     berth_draw_speedup, false},
    {"all_vs_all", "All against all", "Every model on every target.", berth_draw_all, false},
    {"largest_input", "The largest input", "Median latency at the largest input that most were measured at.", berth_draw_largest,
     false},
    {"optimization", "Optimisation", "What optimisation and quantisation change, at the largest input.", berth_draw_optimization,
     false},
    {"pareto", "Accuracy against latency", "Nothing is both faster and more accurate than what lies on the dashed front.",
     berth_draw_pareto, false},
    {"tail_vs_load", "Latency against load", "From the scheduled start of each request.", berth_draw_load, true},
    {"padding", "Padding saved", "What a system that pads each batch to its longest text would compute for nothing.",
     berth_draw_padding, true},
    {"cost", "Cost", "By the prices given, at the measured rate.", berth_draw_cost, true},
    {"study", "Beside the 2021 study", "Speed-up over bert-base as published (its own targets) and as measured here.",
     berth_draw_study, true},
};
const size_t berth_figure_count = sizeof berth_figures / sizeof *berth_figures;
