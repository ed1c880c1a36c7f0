/* target_verdict.c: figures beside what is wanted of them: a line where they are measured, all of them at the
 * end. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "target.h"

bool target_wanted(const struct target_run *run, const char *target)
{
    const size_t size = strlen(target);
    for (const char *at = run->only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, target, size) == 0 && (at[size] == 0 || at[size] == ','))
            return true;
    return !run->only;
}

/* How far a value is on its way: 1 or more is there. */
static double reached(double value, enum target_sense sense, double wanted)
{
    return sense == TARGET_AT_LEAST ? value / wanted : wanted / value;
}

const char *target_word(double value, enum target_sense sense, double wanted)
{
    const double share = reached(value, sense, wanted);
    return share >= 1 ? "met" : share >= 0.9 ? "a tie" : "MISSED";
}

static const char *sense_name(enum target_sense sense)
{
    return sense == TARGET_AT_LEAST ? "at least" : "at most";
}

void target_record(struct target_run *run, const struct target_figure *figure)
{
    json_t *verdict =
        json_pack("{s:s, s:s, s:f, s:s, s:f, s:s}", "target", figure->target, "what", figure->what, "value",
                  figure->value, "sense", sense_name(figure->sense), "wanted", figure->wanted, "verdict",
                  target_word(figure->value, figure->sense, figure->wanted));
    if (figure->at_limit > 0 && isfinite(figure->at_limit))
        json_object_set_new(verdict, "at_limit", json_real(figure->at_limit));
    json_array_append_new(run->verdicts, verdict);
}

void target_verdict(struct target_run *run, const struct target_figure *figure, const char *bound)
{
    const double share = reached(figure->value, figure->sense, figure->wanted);
    printf("%-4s %s: %.2f, target %s %.2f: %s", figure->target, figure->what, figure->value,
           sense_name(figure->sense), figure->wanted,
           target_word(figure->value, figure->sense, figure->wanted));
    if (share < 1)
        printf(", %.1f %% short%s%s", (1 - share) * 100, bound ? "; " : "", bound ? bound : "");
    printf("\n");
    fflush(stdout);
    target_record(run, figure);
}

void target_missing(struct target_run *run, const char *target, const char *what, const char *why)
{
    printf("%-4s %s: not available: %s\n", target, what, why);
    fflush(stdout);
    json_array_append_new(run->verdicts,
                          json_pack("{s:s, s:s, s:s}", "target", target, "what", what, "not_available", why));
}

static const char *string_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

void target_summary(const struct target_run *run)
{
    size_t i;
    json_t *verdict;
    if (json_array_size(run->verdicts) > 0)
        printf("\nsummary\n");
    json_array_foreach(run->verdicts, i, verdict)
    {
        const double limit = json_number_value(json_object_get(verdict, "at_limit"));
        printf("%-7s %-72s ", string_of(verdict, "target"), string_of(verdict, "what"));
        if (json_object_get(verdict, "not_available")) {
            printf("not available\n");
            continue;
        }
        printf("%9.2f %-8s %7.2f  %-6s", json_number_value(json_object_get(verdict, "value")),
               string_of(verdict, "sense"), json_number_value(json_object_get(verdict, "wanted")),
               string_of(verdict, "verdict"));
        if (limit > 0)
            printf("  this machine allows %.2f", limit);
        printf("\n");
    }
}
