/* curves.c: two panels, loss above and the deciding metric below, drawn as polylines over the steps. The logs
 * are read back, so that a resumed run's picture shows all of it. */
#include "train/curves.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "train/output.h"

enum {
    WIDTH = 800,
    PANEL = 240,
    LEFT = 70,
    RIGHT = 20,
    TOP = 30,
    GAP = 60,
    LOG_MAX = 1 << 30,
    SVG_MAX = 64 << 20
};

struct curve {
    double *step, *value; /* [count], owned */
    size_t count;
};

/* The points (step, key) of a log; none when the file is missing. */
static enum berth_status read_curve(const char *directory, const char *name, const char *key,
                                    struct curve *curve, struct berth_error *err)
{
    char *text = NULL, *path = berth_path_join(directory, name);
    size_t size = 0, lines = 0;
    *curve = (struct curve){0};
    if (!path)
        return berth_fail_memory(err, "a path", strlen(directory));
    enum berth_status status = BERTH_OK;
    if (berth_file_exists(path))
        status = berth_file_read(path, LOG_MAX, &text, &size, err);
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    curve->step = berth_calloc(lines, sizeof *curve->step);
    curve->value = berth_calloc(lines, sizeof *curve->value);
    if (status == BERTH_OK && (!curve->step || !curve->value))
        status = berth_fail_memory(err, "a curve", lines * sizeof(double));
    for (char *line = text, *end; status == BERTH_OK && line && (end = strchr(line, '\n')); line = end + 1) {
        json_t *root = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (!root)
            status = berth_fail(err, BERTH_FORMAT, "%s: a line is not JSON, or out of memory", path);
        const json_t *value = json_object_get(root, key);
        if (json_is_number(value)) {
            curve->step[curve->count] = json_number_value(json_object_get(root, "step"));
            curve->value[curve->count++] = json_number_value(value);
        }
        json_decref(root);
    }
    berth_free(text);
    berth_free(path);
    return status;
}

static void clear_curve(struct curve *curve)
{
    berth_free(curve->step);
    berth_free(curve->value);
}

struct scale {
    double steps, low, high;
};

static void widen(struct scale *scale, const struct curve *curve)
{
    for (size_t i = 0; i < curve->count; i++) {
        scale->steps = fmax(scale->steps, curve->step[i]);
        scale->low = fmin(scale->low, curve->value[i]);
        scale->high = fmax(scale->high, curve->value[i]);
    }
}

static double place_x(const struct scale *scale, double step)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (scale->steps > 0 ? step / scale->steps : 0);
}

static double place_y(const struct scale *scale, double top, double value)
{
    double span = scale->high - scale->low;
    return top + PANEL * (span > 0 ? (scale->high - value) / span : 0.5);
}

static bool draw_curve(struct berth_buffer *svg, const struct scale *scale, double top,
                       const struct curve *curve, const char *colour)
{
    bool ok = berth_buffer_format(svg, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
                                  colour);
    for (size_t i = 0; i < curve->count && ok; i++)
        ok = berth_buffer_format(svg, "%.1f,%.1f ", place_x(scale, curve->step[i]),
                                 place_y(scale, top, curve->value[i]));
    return ok && berth_buffer_text(svg, "\"/>\n");
}

/* Frame, title, and five lines with their values. */
static bool draw_frame(struct berth_buffer *svg, const struct scale *scale, double top, const char *title)
{
    bool ok = berth_buffer_format(svg, "<text x=\"%d\" y=\"%.0f\" font-weight=\"bold\">%s</text>\n", LEFT,
                                  top - 10, title);
    for (int i = 0; i <= 4 && ok; i++) {
        double value = scale->low + (scale->high - scale->low) * i / 4, y = place_y(scale, top, value);
        ok = berth_buffer_format(svg,
                                 "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n"
                                 "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                                 LEFT, WIDTH - RIGHT, y, y, LEFT - 8, y + 4, value);
    }
    return ok && berth_buffer_format(svg, "<text x=\"%d\" y=\"%.0f\" text-anchor=\"end\">step %.0f</text>\n",
                                     WIDTH - RIGHT, top + PANEL + 18, scale->steps);
}

static bool draw(struct berth_buffer *svg, const struct curve *loss, const struct curve *eval_loss,
                 const struct curve *measured, const char *metric)
{
    struct scale losses = {0, INFINITY, -INFINITY}, values = {0, INFINITY, -INFINITY};
    bool second = measured->count > 0;
    int height = TOP + PANEL + GAP + (second ? PANEL + GAP : 0);
    widen(&losses, loss);
    widen(&losses, eval_loss);
    widen(&values, measured);
    values.steps = losses.steps;
    bool ok =
        berth_buffer_format(svg,
                            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                            "font-family=\"sans-serif\" font-size=\"12\">\n"
                            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
                            WIDTH, height) &&
        draw_frame(svg, &losses, TOP, eval_loss->count ? "loss (blue: training, red: evaluation)" : "loss") &&
        draw_curve(svg, &losses, TOP, loss, "#1f6fb4") && draw_curve(svg, &losses, TOP, eval_loss, "#c0392b");
    if (ok && second)
        ok = draw_frame(svg, &values, TOP + PANEL + GAP, metric) &&
             draw_curve(svg, &values, TOP + PANEL + GAP, measured, "#c0392b");
    return ok && berth_buffer_text(svg, "</svg>\n");
}

enum berth_status berth_curves_write(const char *directory, const char *metric, struct berth_error *err)
{
    struct curve loss = {0}, eval_loss = {0}, measured = {0};
    struct berth_buffer svg;
    char key[64];
    enum berth_status status;
    berth_buffer_init(&svg, SVG_MAX);
    snprintf(key, sizeof key, "eval_%s", metric ? metric : "");
    BERTH_TRY(read_curve(directory, "train_log.jsonl", "loss", &loss, err));
    if (metric) {
        BERTH_TRY(read_curve(directory, "eval_log.jsonl", "eval_loss", &eval_loss, err));
        BERTH_TRY(read_curve(directory, "eval_log.jsonl", key, &measured, err));
    }
    if (loss.count > 0)
        status = draw(&svg, &loss, &eval_loss, &measured, metric)
                     ? berth_output_text(directory, "training.svg", svg.data, svg.size, err)
                     : berth_fail_memory(err, "training.svg", svg.size);
fail:
    clear_curve(&loss);
    clear_curve(&eval_loss);
    clear_curve(&measured);
    berth_buffer_clear(&svg);
    return status;
}
