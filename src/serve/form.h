/* form.h: values of an application/x-www-form-urlencoded text ("a=1&b=two+words"). */
#ifndef BERTH_SERVE_FORM_H
#define BERTH_SERVE_FORM_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the first value of `name` into value[size], decoded, NUL-terminated, cut when longer, its NULs as
 * '?'; false when absent. */
bool berth_form_value(const char *form, size_t form_size, const char *name, char *value, size_t size);

#endif
