/* markdown.c: report.md: the environment, the figures, and a table of everything. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/page.h"
#include "report/study.h"

/* Names come from outside: what Markdown or HTML would read is escaped. */
static void put(FILE *out, const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            fputc(' ', out);
        else if (strchr("\\`*_{}[]<>|#&", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
}

static void put_number(FILE *out, double value, const char *format)
{
    fputs(" | ", out);
    if (isnan(value))
        fputs("–", out);
    else
        fprintf(out, format, value);
}

static void put_runs(const struct berth_drawing *d, FILE *out)
{
    const struct berth_results_book *book = &d->data->book;
    for (size_t r = 0; r < book->runs; r++) {
        fputs("\n### ", out);
        put(out, book->run[r].name);
        fputs("\n\n", out);
        for (size_t i = 0; i < book->facts; i++)
            if (book->fact[i].run == book->run[r].id) {
                fputs("- ", out);
                put(out, book->fact[i].key);
                fputs(": ", out);
                put(out, book->fact[i].value);
                fputc('\n', out);
            }
    }
}

static void put_cell(const struct berth_drawing *d, const struct berth_cell *cell, FILE *out)
{
    char place[BERTH_LABEL], variant[64];
    const struct berth_stats *s = &cell->latency;
    const char *const texts[] = {cell->c->model, berth_cell_place(d->data, cell, place, sizeof place),
                                 berth_cell_variant(cell, variant, sizeof variant), cell->c->scenario};
    for (int i = 0; i < 4; i++) {
        fputs("| ", out);
        put(out, texts[i]);
        fputc(' ', out);
    }
    fprintf(out, "| %" PRId64 " | %" PRId64 " | %g | %zu | %zu", cell->c->batch, cell->c->length, cell->c->rate, s->n,
            cell->failed);
    put_number(out, s->mean, "%.4g");
    put_number(out, s->p50, "%.4g");
    if (!isnan(s->p50_interval[0]))
        fprintf(out, " [%.4g, %.4g]", s->p50_interval[0], s->p50_interval[1]);
    put_number(out, s->p90, "%.4g");
    put_number(out, s->p99, "%.4g");
    if (!isnan(s->p99_interval[0]))
        fprintf(out, " [%.4g, %.4g]", s->p99_interval[0], s->p99_interval[1]);
    put_number(out, cell->texts_per_second, "%.4g");
    put_number(out, cell->accuracy * 100, "%.1f %%");
    put_number(out, cell->cost, "%.3g");
    fputs(" | ", out);
    put(out, cell->c->status);
    if (*cell->c->failure) {
        fputs(": ", out);
        put(out, cell->c->failure);
    }
    fputs(" |\n", out);
}

static void put_study(const struct berth_drawing *d, FILE *out)
{
    struct berth_study_row rows[BERTH_STUDY_ROWS];
    size_t count = berth_study_compare(d, rows);
    if (count == 0)
        return;
    fputs("\n## Beside the 2021 study\n\nSpeed-up over bert-base, published and measured.\n\n"
          "| model | batch | length | where | ms | speed-up |\n| --- | ---: | ---: | --- | ---: | ---: |\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "| %s | %" PRId64 " | %" PRId64 " | ", berth_study_models[rows[i].model], rows[i].batch, rows[i].length);
        put(out, rows[i].place);
        fprintf(out, " | %.4g | %.3g |\n", rows[i].time_ms, rows[i].speedup);
    }
}

bool berth_report_markdown(const struct berth_drawing *d, const bool *drawn, FILE *out)
{
    fprintf(out, "# Report\n\n%zu configurations, %zu latencies, %zu of them failed. Percentiles are order statistics (nearest rank), "
            "intervals 95 %% ones of order statistics; – where the trials are too few. Nothing is removed.\n", d->data->cells,
            d->data->latencies, d->data->failed);
    if (d->data->older > 0)
        fprintf(out, "\n%zu older measurements of the same are left out.\n", d->data->older);
    for (size_t i = 0; i < berth_figure_count; i++)
        if (drawn[i])
            fprintf(out, "\n## %s\n\n![%s](%s.svg)\n\n%s\n", berth_figures[i].title, berth_figures[i].title,
                    berth_figures[i].name, berth_figures[i].caption);
    put_study(d, out);
    fputs("\n## All configurations\n\nLatencies in ms.\n\n"
          "| model | target | precision | scenario | batch | length | rate | n | failed | mean | p50 | p90 | p99 | texts/s | accuracy | "
          "USD/million | status |\n| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | "
          "---: | --- |\n", out);
    for (size_t i = 0; i < d->data->cells; i++)
        put_cell(d, &d->data->cell[i], out);
    fputs("\n## Environment\n", out);
    put_runs(d, out);
    return !ferror(out);
}
