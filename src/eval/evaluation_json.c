/* evaluation_json.c: an evaluation as the JSON object that `berth eval --json` prints and training stores. */
#include <jansson.h>
#include <math.h>

#include "base/buffer.h"
#include "berth/berth.h"
#include "formats/json_load.h"

/* JSON has no NaN. */
static bool put_number(json_t *object, const char *name, double value)
{
    return json_object_set_new(object, name, isfinite(value) ? json_real(value) : json_null()) == 0;
}

char *berth_evaluation_json(const struct berth_evaluation *evaluation)
{
    struct berth_buffer text;
    berth_buffer_init(&text, 64 << 10);
    json_t *object = json_object();
    bool ok = object && json_object_set_new(object, "task", json_string(evaluation->task)) == 0 &&
              json_object_set_new(object, "examples", json_integer((json_int_t)evaluation->examples)) == 0 &&
              put_number(object, "loss", evaluation->loss);
    for (size_t i = 0; i < evaluation->metrics && ok; i++)
        ok = put_number(object, evaluation->metric[i].name, evaluation->metric[i].value);
    ok = ok && put_number(object, "seconds", evaluation->seconds) &&
         json_object_set_new(object, "tokens", json_integer((json_int_t)evaluation->tokens)) == 0 &&
         berth_json_write(object, JSON_REAL_PRECISION(17), &text);
    json_decref(object);
    if (!ok)
        berth_buffer_clear(&text);
    return text.data;
}
