/* drawing.c: how the figures group a report's cells. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/figure.h"

static bool is_published(const struct berth_cell *cell)
{
    return !cell->measured && cell->latency.n > 0;
}

double berth_cell_time(const struct berth_cell *cell)
{
    return isnan(cell->latency.p50) ? cell->latency.mean : cell->latency.p50;
}

void berth_cell_range(const struct berth_cell *cell, double range[2])
{
    const struct berth_stats *s = &cell->latency;
    double time = berth_cell_time(cell), spread = is_published(cell) ? s->stddev : NAN;
    range[0] = !isnan(s->p50_interval[0]) ? s->p50_interval[0] : !isnan(spread) ? fmax(time - spread, time / 10) : time;
    range[1] = !isnan(s->p50_interval[1]) ? s->p50_interval[1] : !isnan(spread) ? time + spread : time;
}

bool berth_cell_is_timed(const struct berth_cell *cell)
{
    const char *scenario = cell->c->scenario;
    return cell->c->rate == 0 && cell->c->concurrency <= 1 && strcmp(scenario, "server") != 0 &&
           strcmp(scenario, "offline") != 0 && cell->c->length > 0 && berth_cell_time(cell) > 0;
}

bool berth_cell_is_of_texts(const struct berth_cell *cell)
{
    return cell->c->rate == 0 && cell->c->concurrency <= 1 && strcmp(cell->c->scenario, "single-stream") == 0 &&
           cell->c->length == 0 && berth_cell_time(cell) > 0;
}

char *berth_cell_place(const struct berth_report_data *data, const struct berth_cell *cell, char *text, size_t size)
{
    const struct berth_results_configuration *c = cell->c;
    bool threads = false, runtime = false, input = false;
    for (size_t i = 0; i < data->cells; i++) {
        const struct berth_results_configuration *o = data->cell[i].c;
        if (strcmp(o->target, c->target) != 0)
            continue;
        threads |= o->threads != c->threads;
        runtime |= strcmp(o->runtime, c->runtime) != 0;
        input |= strcmp(o->data, c->data) != 0 && berth_cell_is_timed(&data->cell[i]);
    }
    int used = snprintf(text, size, "%s", c->target);
    if (runtime && used > 0 && (size_t)used < size)
        used += snprintf(text + used, size - (size_t)used, ", %s", c->runtime);
    if (threads && used > 0 && (size_t)used < size)
        used += snprintf(text + used, size - (size_t)used, ", %" PRId64 " thread%s", c->threads, c->threads == 1 ? "" : "s");
    if (input && used > 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, ", %s", berth_data_name(c->data));
    return text;
}

static size_t add_label(char (*list)[BERTH_LABEL], size_t count, size_t most, const char *label)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(list[i], label, BERTH_LABEL - 1) == 0)
            return count;
    if (count < most)
        snprintf(list[count++], BERTH_LABEL, "%s", label);
    return count;
}

/* How far a variant is from the model as it is: fp32, then fp32 whose graph was rewritten, then what rounds. */
static int variant_rank(const char *variant)
{
    static const char *const order[] = {"fp32", "fp32 optimized", "fp32 runtime", "bf16"};
    int rank = 0;
    while (rank < 4 && strcmp(variant, order[rank]) != 0)
        rank++;
    return rank;
}

/* The first of the variants that its model was measured in at its place. */
bool berth_drawing_is_plain(const struct berth_drawing *d, const struct berth_cell *cell)
{
    char variant[64], own[64];
    berth_cell_variant(cell, own, sizeof own);
    int rank = variant_rank(own);
    for (size_t i = 0; i < d->data->cells; i++) {
        const struct berth_cell *o = &d->data->cell[i];
        const struct berth_results_configuration *a = o->c, *b = cell->c;
        if (strcmp(a->model, b->model) != 0 || strcmp(a->target, b->target) != 0 || strcmp(a->runtime, b->runtime) != 0 ||
            a->threads != b->threads || strcmp(a->data, b->data) != 0 || !berth_cell_is_timed(o))
            continue;
        berth_cell_variant(o, variant, sizeof variant);
        int other = variant_rank(variant);
        if (other < rank || (other == rank && o < cell && strcmp(variant, own) != 0))
            return false;
    }
    return true;
}

const struct berth_cell *berth_drawing_find(const struct berth_drawing *d, const char *place, const char *model,
                                            const char *variant, int64_t batch, int64_t length)
{
    char text[BERTH_LABEL];
    for (size_t i = 0; i < d->data->cells; i++) {
        const struct berth_cell *cell = &d->data->cell[i];
        if (cell->c->batch != batch || cell->c->length != length || strcmp(cell->c->model, model) != 0 ||
            !berth_cell_is_timed(cell) || strcmp(berth_cell_place(d->data, cell, text, sizeof text), place) != 0)
            continue;
        if (variant ? strcmp(berth_cell_variant(cell, text, sizeof text), variant) == 0 : berth_drawing_is_plain(d, cell))
            return cell;
    }
    return NULL;
}

static size_t count_at(const struct berth_drawing *d, int64_t batch, int64_t length, bool accurate)
{
    size_t n = 0;
    for (size_t i = 0; i < d->data->cells; i++) {
        const struct berth_cell *cell = &d->data->cell[i];
        n += cell->c->batch == batch && cell->c->length == length && berth_cell_is_timed(cell) &&
             (!accurate || berth_drawing_is_plain(d, cell));
    }
    return n;
}

static void find_inputs(struct berth_drawing *d)
{
    size_t most = 0;
    for (size_t i = 0; i < d->data->cells; i++) {
        const struct berth_cell *cell = &d->data->cell[i];
        if (berth_cell_is_timed(cell)) {
            size_t n = count_at(d, cell->c->batch, cell->c->length, false);
            most = n > most ? n : most;
        }
    }
    for (size_t i = 0; i < d->data->cells; i++) {
        const struct berth_results_configuration *c = d->data->cell[i].c;
        if (!berth_cell_is_timed(&d->data->cell[i]) || 2 * count_at(d, c->batch, c->length, false) < most)
            continue;
        if (c->batch * c->length > d->large_batch * d->large_length)
            d->large_batch = c->batch, d->large_length = c->length;
    }
    for (size_t i = 0; i < d->data->cells; i++) {
        const struct berth_results_configuration *c = d->data->cell[i].c;
        if (!berth_cell_is_timed(&d->data->cell[i]) || 4 * count_at(d, c->batch, c->length, false) < most)
            continue;
        if (d->small_batch == 0 || c->batch < d->small_batch || (c->batch == d->small_batch && c->length > d->small_length))
            d->small_batch = c->batch, d->small_length = c->length;
    }
}

void berth_drawing_init(struct berth_drawing *d, const struct berth_report_data *data, const char *baseline)
{
    char text[BERTH_LABEL];
    int64_t parameters = 0;
    double slowest = 0;
    bool none_timed = true; /* then places and models are those of real texts */
    *d = (struct berth_drawing){.data = data};
    for (size_t i = 0; i < data->cells; i++)
        none_timed = none_timed && !berth_cell_is_timed(&data->cell[i]);
    for (size_t i = 0; i < data->cells; i++) {
        const struct berth_cell *cell = &data->cell[i];
        if (!berth_cell_is_timed(cell) && !(none_timed && berth_cell_is_of_texts(cell)))
            continue;
        d->places = add_label(d->place, d->places, BERTH_PLACES, berth_cell_place(data, cell, text, sizeof text));
        d->models = add_label(d->model, d->models, BERTH_SERIES, cell->c->model);
        d->variants = add_label(d->variant, d->variants, BERTH_SERIES, berth_cell_variant(cell, text, sizeof text));
        int64_t p = berth_cell_parameters(data, cell);
        if (!baseline && (p > parameters || (parameters == 0 && berth_cell_time(cell) > slowest))) {
            parameters = p > parameters ? p : parameters;
            slowest = berth_cell_time(cell);
            snprintf(d->baseline, sizeof d->baseline, "%s", cell->c->model);
        }
    }
    for (size_t i = 1; i < d->variants; i++) /* the plainest first; few */
        for (size_t k = i; k > 0 && variant_rank(d->variant[k - 1]) > variant_rank(d->variant[k]); k--) {
            snprintf(text, sizeof text, "%s", d->variant[k]);
            memcpy(d->variant[k], d->variant[k - 1], BERTH_LABEL);
            memcpy(d->variant[k - 1], text, BERTH_LABEL);
        }
    if (baseline)
        snprintf(d->baseline, sizeof d->baseline, "%s", baseline);
    find_inputs(d);
}
