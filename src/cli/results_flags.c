/* results_flags.c: amounts and prices on the command line. */
#include "cli/results_flags.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool cli_read_amount(void *target, const char *value)
{
    char *end;
    double amount = strtod(value, &end);
    *(double *)target = amount;
    return end != value && *end == 0 && isfinite(amount) && amount > 0;
}

bool cli_read_price(void *target, const char *value)
{
    struct cli_prices *prices = target;
    const char *equals = strrchr(value, '=');
    if (!equals || equals == value || prices->count == CLI_LIST_MAX ||
        (size_t)(equals - value) >= sizeof prices->name[0])
        return false;
    char *end, *name = prices->name[prices->count], *at = name;
    double amount = strtod(equals + 1, &end);
    memcpy(at, value, (size_t)(equals - value));
    at[equals - value] = 0;
    prices->item[prices->count++] = (struct berth_price){name, amount};
    return end != equals + 1 && *end == 0 && isfinite(amount) && amount >= 0;
}
