/* figure.h: drawing: scripts for gnuplot, fed through a pipe; and what the figures share. */
#ifndef BERTH_REPORT_FIGURE_H
#define BERTH_REPORT_FIGURE_H

#include "base/buffer.h"
#include "report/data.h"

enum { BERTH_PLACES = 12, BERTH_SERIES = 16, BERTH_LABEL = 96 };

/* A report's cells as the figures group them: a place is a target with whatever tells its cells apart. */
struct berth_drawing {
    const struct berth_report_data *data;
    size_t places, models, variants;
    char place[BERTH_PLACES][BERTH_LABEL], model[BERTH_SERIES][BERTH_LABEL], variant[BERTH_SERIES][BERTH_LABEL];
    char baseline[BERTH_LABEL];
    int64_t large_batch, large_length; /* the largest input that most places measured */
    int64_t small_batch, small_length; /* the input of the accuracy and cost figures: the smallest batch */
};

void berth_drawing_init(struct berth_drawing *drawing, const struct berth_report_data *data, const char *baseline);

/* "server A, 2 threads". Returns text. */
char *berth_cell_place(const struct berth_report_data *data, const struct berth_cell *cell, char *text, size_t size);

/* Its median, or the mean of published figures, in ms; NaN: neither. */
double berth_cell_time(const struct berth_cell *cell);
/* Its 95 % interval, or the mean and one deviation; both the time itself when there is none. */
void berth_cell_range(const struct berth_cell *cell, double range[2]);

/* Whether latency against input size is its subject: a cell that is measured one request after the other. */
bool berth_cell_is_timed(const struct berth_cell *cell);

/* The same of real texts, whose input has no one size. */
bool berth_cell_is_of_texts(const struct berth_cell *cell);

/* The cell of a place and a model at an input, in the model's plainest form, or in `variant`; NULL: none. */
const struct berth_cell *berth_drawing_find(const struct berth_drawing *d, const char *place, const char *model,
                                            const char *variant, int64_t batch, int64_t length);
bool berth_drawing_is_plain(const struct berth_drawing *d, const struct berth_cell *cell);

/* A figure writes gnuplot's commands, but for the terminal; false: no data for it. */
struct berth_figure {
    const char *name, *title, *caption;
    bool (*draw)(const struct berth_drawing *d, struct berth_buffer *script, int size[2]);
    bool optional; /* not missed where the data has nothing for it */
};
extern const struct berth_figure berth_figures[];
extern const size_t berth_figure_count;

bool berth_draw_summary(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_times(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_speedup(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_all(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_largest(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_optimization(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_pareto(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_load(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_padding(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_cost(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);
bool berth_draw_study(const struct berth_drawing *d, struct berth_buffer *s, int size[2]);

/* Ticks of a logarithmic axis ("x" or "y"): at 1, 2 and 5 where decades alone would be too few. */
void berth_figure_log_tics(struct berth_buffer *script, const char *axis, double low, double high);

/* 'TEXT' as gnuplot reads it. */
void berth_figure_quote(struct berth_buffer *script, const char *text);

/* Draws every figure as DIRECTORY/NAME.svg and .png, in one process. drawn[i] tells which had data. */
enum berth_status berth_figures_draw(const struct berth_drawing *drawing, const char *directory, const char *gnuplot,
                                     bool *drawn, struct berth_error *err);

#endif
