/* results_flags.h: what the verbs that read results share. */
#ifndef BERTH_CLI_RESULTS_FLAGS_H
#define BERTH_CLI_RESULTS_FLAGS_H

#include "cli/common.h"

struct cli_prices {
    struct berth_price item[CLI_LIST_MAX];
    char name[CLI_LIST_MAX][64];
    size_t count;
};

bool cli_read_amount(void *target, const char *value); /* double, above 0 */
bool cli_read_price(void *target, const char *value);  /* struct cli_prices, NAME=USD */

#define CLI_SELECTION_FLAGS(s)                                                            \
    {"model", 'm', "NAME", cli_read_string, &(s).model, "this model alone"},              \
        {"target", 0, "NAME", cli_read_string, &(s).target, "this target alone"},         \
        {"precision", 0, "P", cli_read_string, &(s).precision, "this precision alone"},   \
        {"scenario", 0, "S", cli_read_string, &(s).scenario, "this scenario alone"},      \
        {"batch", 'b', "N", cli_read_positive, &(s).batch, "this batch alone"},           \
    {                                                                                     \
        "length", 'l', "N", cli_read_positive, &(s).length, "this length in tokens alone" \
    }
#define CLI_RUN_FLAG(s)                                                                                     \
    {                                                                                                       \
        "run", 0, "NAME", cli_read_string, &(s).run, "this run alone: its name, number, uid, last or first" \
    }
#define CLI_PRICE_FLAG(p)                                                                                \
    {                                                                                                    \
        "price", 0, "NAME=USD", cli_read_price, &(p), "what an hour of this target costs; once a target" \
    }

#endif
