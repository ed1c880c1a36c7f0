/* figures_time.c: figures of time against input size: per target, as speed-up, all in one, at the largest input, and by
 * optimisation. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/figure.h"

/* Panels side by side, at most three in a row. */
static void begin_panels(struct berth_buffer *s, size_t panels, int size[2])
{
    size_t columns = panels < 3 ? panels : panels == 4 ? 2 : 3, rows = (panels + columns - 1) / columns;
    size[0] = (int)(columns == 1 ? 760 : 430 * columns + 60);
    size[1] = (int)(410 * rows + 50);
    berth_buffer_format(s, "set multiplot layout %zu,%zu\n", rows, columns);
}

static void set_panel(struct berth_buffer *s, const char *title, const char *x, const char *y)
{
    berth_buffer_text(s, "set title ");
    berth_figure_quote(s, title);
    berth_buffer_format(s, " font ',12'\nset xlabel '%s'\nset ylabel '%s'\n", x, y);
}

static bool in_place(const struct berth_drawing *d, const struct berth_cell *cell, const char *place)
{
    char text[BERTH_LABEL];
    return berth_cell_is_timed(cell) && strcmp(berth_cell_place(d->data, cell, text, sizeof text), place) == 0;
}

/* The cells of a line, in the order of input size; *count of them. */
static size_t collect(const struct berth_drawing *d, const char *place, const char *model, const struct berth_cell **line,
                      size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < d->data->cells; i++) {
        const struct berth_cell *cell = &d->data->cell[i];
        if (n == most || strcmp(cell->c->model, model) != 0 || !in_place(d, cell, place) || !berth_drawing_is_plain(d, cell))
            continue;
        size_t at = n++;
        for (; at > 0 && line[at - 1]->c->batch * line[at - 1]->c->length > cell->c->batch * cell->c->length; at--)
            line[at] = line[at - 1];
        line[at] = cell;
    }
    return n;
}

enum { LINE = 512 };

/* What lines span, so that a legend fits above them. */
struct span {
    double x[2], y[2];
};

static void widen(double span[2], double low, double high)
{
    span[0] = span[1] == 0 || low < span[0] ? low : span[0];
    span[1] = high > span[1] ? high : span[1];
}

void berth_figure_log_tics(struct berth_buffer *s, const char *axis, double low, double high)
{
    static const double steps[2][9] = {{1, 2, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9}};
    bool narrow = high / low < 4;
    if (!(low > 0 && high / low < 80)) {
        berth_buffer_format(s, "set %stics autofreq\n", axis); /* of the panel before it there may be others */
        return;
    }
    berth_buffer_format(s, "set %stics (", axis);
    size_t n = 0;
    for (double decade = pow(10, floor(log10(low))); decade <= high; decade *= 10)
        for (int i = 0; i < (narrow ? 9 : 3); i++) {
            double at = decade * steps[narrow][i];
            if (at >= low && at <= high)
                berth_buffer_format(s, "%s'%g' %g", n++ ? ", " : "", at, at);
        }
    berth_buffer_text(s, ")\n");
}

static void set_ranges(struct berth_buffer *s, const struct span *span, size_t rows)
{
    double share = fmin(0.6, 0.07 + 0.047 * (double)rows), low = span->y[0] / 1.3, high = span->y[1] * 1.3;
    high = fmax(high, low * 8);
    high *= pow(high / low, share / (1 - share));
    berth_figure_log_tics(s, "x", span->x[0] / 1.3, span->x[1] * 1.3);
    berth_figure_log_tics(s, "y", low, high);
    berth_buffer_format(s, "set logscale xy\nset xrange [%g:%g]\nset yrange [%g:%g]\nset format xy '%%g'\n",
                        span->x[0] / 1.3, span->x[1] * 1.3, low, high);
}

/* A datablock $dN of "tokens time low high"; false: no cells. */
static bool write_line(const struct berth_drawing *d, const char *place, const char *model, size_t number, bool speedup,
                       struct span *span, struct berth_buffer *s)
{
    const struct berth_cell *line[LINE];
    size_t n = collect(d, place, model, line, LINE), written = 0;
    berth_buffer_format(s, "$d%zu << EOD\n", number);
    for (size_t i = 0; i < n; i++) {
        const struct berth_results_configuration *c = line[i]->c;
        double time = berth_cell_time(line[i]), range[2];
        berth_cell_range(line[i], range);
        if (speedup) {
            const struct berth_cell *base = berth_drawing_find(d, place, d->baseline, NULL, c->batch, c->length);
            double base_range[2];
            if (!base)
                continue;
            berth_cell_range(base, base_range);
            double low = base_range[0] / range[1], high = base_range[1] / range[0];
            time = berth_cell_time(base) / time;
            range[0] = strcmp(model, d->baseline) ? low : time, range[1] = strcmp(model, d->baseline) ? high : time;
        }
        berth_buffer_format(s, "%" PRId64 " %.9g %.9g %.9g\n", c->batch * c->length, time, range[0], range[1]);
        widen(span->x, (double)(c->batch * c->length), (double)(c->batch * c->length));
        widen(span->y, range[0], range[1]);
        written++;
    }
    berth_buffer_text(s, "EOD\n");
    return written > 0;
}

/* Whether a panel has something to show: a line, or of speed-ups one of another model than the baseline. */
static bool has_panel(const struct berth_drawing *d, const char *place, bool speedup)
{
    const struct berth_cell *line[LINE];
    for (size_t m = 0; m < d->models; m++) {
        if (speedup && strcmp(d->model[m], d->baseline) == 0)
            continue;
        for (size_t i = 0, n = collect(d, place, d->model[m], line, LINE); i < n; i++)
            if (!speedup || berth_drawing_find(d, place, d->baseline, NULL, line[i]->c->batch, line[i]->c->length))
                return true;
    }
    return false;
}

static bool draw_panels(const struct berth_drawing *d, struct berth_buffer *s, int size[2], bool speedup)
{
    size_t panels = 0;
    for (size_t p = 0; p < d->places; p++)
        panels += has_panel(d, d->place[p], speedup);
    if (panels == 0)
        return false;
    begin_panels(s, panels, size);
    for (size_t p = 0; p < d->places; p++) {
        bool has[BERTH_SERIES];
        char y[BERTH_LABEL + 32];
        struct span span = {{0}, {0}};
        size_t lines = 0;
        if (!has_panel(d, d->place[p], speedup))
            continue;
        for (size_t m = 0; m < d->models; m++)
            lines += has[m] = write_line(d, d->place[p], d->model[m], m, speedup, &span, s);
        strcpy(y, "latency (ms)");
        if (speedup) {
            strcpy(y, "times as fast as ");
            size_t at = strlen(y);
            for (const char *c = d->baseline; *c && at + 1 < sizeof y; c++)
                y[at++] = *c == '\'' || *c == '`' || (unsigned char)*c < ' ' ? '?' : *c;
            y[at] = 0;
        }
        set_panel(s, d->place[p], "tokens in the request (batch x length)", y);
        berth_buffer_text(s, "set key top left Left reverse samplen 3 font ',9' noautotitle\n");
        set_ranges(s, &span, lines);
        berth_buffer_text(s, "plot ");
        for (size_t m = 0, n = 0; m < d->models; m++) {
            if (!has[m])
                continue;
            berth_buffer_format(s, "%s$d%zu using 1:2:3:4 with yerrorbars ls %zu dt 1 lw 1 ps 0, $d%zu using 1:2 with linespoints ls %zu ps 0.8 title ",
                                n++ ? ", " : "", m, m + 1, m, m + 1);
            berth_figure_quote(s, d->model[m]);
        }
        berth_buffer_text(s, "\n");
    }
    berth_buffer_text(s, "unset multiplot\n");
    return true;
}

bool berth_draw_times(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    return draw_panels(d, s, size, false);
}

bool berth_draw_speedup(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    return draw_panels(d, s, size, true);
}

/* One panel: a model has its colour and dashes, a place its points. */
bool berth_draw_all(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    static const int points[] = {7, 5, 9, 13, 11, 6, 4, 8, 12, 10, 2, 1};
    bool has[BERTH_PLACES * BERTH_SERIES];
    struct span span = {{0}, {0}};
    size_t lines = 0;
    for (size_t p = 0; p < d->places; p++)
        for (size_t m = 0; m < d->models; m++)
            lines += has[p * BERTH_SERIES + m] =
                write_line(d, d->place[p], d->model[m], p * BERTH_SERIES + m, false, &span, s);
    if (lines == 0)
        return false;
    size[0] = 1100, size[1] = lines > 28 ? (int)(100 + 20 * lines) : 660;
    set_panel(s, "every model on every target", "tokens in the request (batch x length)", "latency (ms)");
    set_ranges(s, &span, 0);
    berth_buffer_text(s, "set key outside right top Left reverse font ',9' noautotitle\nplot ");
    for (size_t p = 0, n = 0; p < d->places; p++)
        for (size_t m = 0; m < d->models; m++) {
            char label[2 * BERTH_LABEL + 8];
            if (!has[p * BERTH_SERIES + m])
                continue;
            strcat(strcat(strcpy(label, d->model[m]), " · "), d->place[p]);
            berth_buffer_format(s, "%s$d%zu using 1:2 with linespoints ls %zu pt %d ps 1 lw 1.5 title ", n++ ? ", " : "",
                                p * BERTH_SERIES + m, m + 1, points[p]);
            berth_figure_quote(s, label);
        }
    berth_buffer_text(s, "\n");
    return true;
}

/* ---- Bars ---- */

struct bars {
    size_t clusters, series;
    const char *cluster[BERTH_PLACES], *name[BERTH_SERIES];
    size_t style[BERTH_SERIES]; /* from 0: the same for the same name in every figure */
    const struct berth_cell *cell[BERTH_PLACES][BERTH_SERIES];
};

/* A label on two lines where it has a comma. */
static void quote_wrapped(struct berth_buffer *s, const char *label)
{
    char first[BERTH_LABEL];
    const char *comma = strstr(label, ", ");
    if (!comma) {
        berth_figure_quote(s, label);
        return;
    }
    snprintf(first, sizeof first, "%.*s", (int)(comma - label), label);
    berth_figure_quote(s, first);
    berth_buffer_text(s, ".\"\\n\".");
    berth_figure_quote(s, comma + 2);
}

/* Bars on a logarithmic axis, each with its value above, its interval, its own pattern. */
static void write_bars(const struct bars *b, struct berth_buffer *s)
{
    double width = 0.84 / (double)b->series, low = INFINITY, high = 0;
    for (size_t k = 0; k < b->series; k++) {
        berth_buffer_format(s, "$b%zu << EOD\n", k);
        for (size_t c = 0; c < b->clusters; c++) {
            const struct berth_cell *cell = b->cell[c][k];
            if (!cell)
                continue;
            double range[2], time = berth_cell_time(cell), x = (double)c + ((double)k - ((double)b->series - 1) / 2) * width;
            berth_cell_range(cell, range);
            low = fmin(low, range[0]), high = fmax(high, range[1]);
            berth_buffer_format(s, "%.6g %.9g %.9g %.9g \"%.*f\"\n", x, time, range[0], range[1],
                                time >= 99.95 ? 0 : time >= 9.995 ? 1 : 2, time);
        }
        berth_buffer_text(s, "EOD\n");
    }
    berth_buffer_format(s, "set xrange [-0.6:%g]\nset yrange [%g:%g]\nset logscale y\nset format y '%%g'\nset boxwidth %g\n"
                        "set style fill pattern border lc rgb '#222222'\nset xtics (", (double)b->clusters - 0.4, low / 3,
                        high * (b->series > 4 ? 8 : 4), width * 0.92);
    for (size_t c = 0; c < b->clusters; c++) {
        berth_buffer_text(s, c ? ", " : "");
        quote_wrapped(s, b->cluster[c]);
        berth_buffer_format(s, " %zu", c);
    }
    berth_buffer_text(s, ") scale 0\nset grid noxtics\nset bmargin 4\n");
    berth_figure_log_tics(s, "y", low / 3, high * (b->series > 4 ? 8 : 4));
    berth_buffer_text(s, "plot ");
    static const int patterns[] = {3, 1, 2, 4, 5, 6, 7, 0};
    bool upright = b->series * b->clusters > 10;
    for (size_t k = 0; k < b->series; k++) {
        berth_buffer_format(s, "%s$b%zu using 1:2 with boxes ls %zu lw 1 dt 1 fs pattern %d title ", k ? ", " : "", k,
                            b->style[k] + 1, patterns[b->style[k] % 8]);
        berth_figure_quote(s, b->name[k]);
        berth_buffer_format(s, ", $b%zu using 1:3:(0):($4-$3) with vectors nohead lc rgb '#000000' lw 2 notitle", k);
        berth_buffer_format(s, ", $b%zu using 1:4:5 with labels offset %s font ',8' notitle", k,
                            upright ? "0.1,0.5 rotate by 90 left" : "0,0.7");
    }
    berth_buffer_text(s, "\n");
}

bool berth_draw_largest(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    struct bars b = {0};
    char title[160];
    for (size_t m = 0; m < d->models; m++) {
        size_t found = 0;
        for (size_t p = 0; p < d->places; p++)
            found += (b.cell[p][b.series] =
                          berth_drawing_find(d, d->place[p], d->model[m], NULL, d->large_batch, d->large_length)) != NULL;
        if (found)
            b.style[b.series] = m, b.name[b.series++] = d->model[m];
    }
    for (size_t p = 0; p < d->places; p++) { /* places without any are left out */
        bool any = false;
        for (size_t k = 0; k < b.series; k++)
            any |= b.cell[p][k] != NULL;
        if (any) {
            memmove(b.cell[b.clusters], b.cell[p], sizeof b.cell[p]);
            b.cluster[b.clusters++] = d->place[p];
        }
    }
    if (b.series == 0)
        return false;
    int bars = (int)(b.clusters * b.series);
    size[0] = bars > 12 ? 260 + 52 * bars : 900, size[1] = 580;
    size[0] = size[0] > 2400 ? 2400 : size[0];
    snprintf(title, sizeof title, "largest input: batch %" PRId64 " of %" PRId64 " tokens", d->large_batch, d->large_length);
    set_panel(s, title, "", "latency (ms)");
    berth_buffer_text(s, "set key top right horizontal Left reverse samplen 2 noautotitle\n");
    write_bars(&b, s);
    return true;
}

/* A panel a model: places, and the variants beside one another. */
bool berth_draw_optimization(const struct berth_drawing *d, struct berth_buffer *s, int size[2])
{
    size_t panels = 0;
    struct bars all[BERTH_SERIES] = {0};
    const char *titles[BERTH_SERIES];
    for (size_t m = 0; m < d->models; m++) {
        struct bars *b = &all[panels];
        for (size_t v = 0; v < d->variants; v++) {
            size_t found = 0;
            for (size_t p = 0; p < d->places; p++)
                found += (b->cell[p][b->series] = berth_drawing_find(d, d->place[p], d->model[m], d->variant[v],
                                                                     d->large_batch, d->large_length)) != NULL;
            if (found)
                b->style[b->series] = v, b->name[b->series++] = d->variant[v];
        }
        for (size_t p = 0; p < d->places; p++) {
            size_t found = 0;
            for (size_t k = 0; k < b->series; k++)
                found += b->cell[p][k] != NULL;
            if (found >= 2) { /* something to compare */
                memmove(b->cell[b->clusters], b->cell[p], sizeof b->cell[p]);
                b->cluster[b->clusters++] = d->place[p];
            }
        }
        if (b->clusters > 0)
            titles[panels++] = d->model[m];
        else
            *b = (struct bars){0};
    }
    if (panels == 0)
        return false;
    size_t columns = panels < 2 ? 1 : 2, rows = (panels + columns - 1) / columns, widest = 0;
    for (size_t i = 0; i < panels; i++)
        widest = all[i].clusters * all[i].series > widest ? all[i].clusters * all[i].series : widest;
    int width = (int)(180 + 48 * widest);
    size[0] = (int)columns * (width < 560 ? 560 : width > 1200 ? 1200 : width), size[1] = (int)(400 * rows + 30);
    berth_buffer_format(s, "set multiplot layout %zu,%zu title 'batch %" PRId64 " of %" PRId64 " tokens'\n", rows, columns,
                        d->large_batch, d->large_length);
    for (size_t i = 0; i < panels; i++) {
        set_panel(s, titles[i], "", "latency (ms)");
        berth_buffer_text(s, "set key top right horizontal Left reverse samplen 2 width -2 font ',9' noautotitle\n");
        write_bars(&all[i], s);
    }
    berth_buffer_text(s, "unset multiplot\n");
    return true;
}
