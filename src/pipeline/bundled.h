/* bundled.h: where the models that travel with berth lie. */
#ifndef BERTH_PIPELINE_BUNDLED_H
#define BERTH_PIPELINE_BUNDLED_H

#include <stdbool.h>

#include "berth/status.h"

bool berth_bundled_is(const char *name); /* "bundled:NAME" */

/* The directory of bundled:NAME, for berth_free. It is looked for from two places, the file that holds this
 * code (libberth.so, or the program it is linked into) and the program that runs: installed,
 * PREFIX/share/berth/models/NAME with either in PREFIX/bin, PREFIX/lib or a folder of PREFIX/lib; in a
 * checkout, models/NAME one to three folders above the build folder's files. The first that has a config.json
 * is taken. Never the working directory, never the environment. BERTH_NOT_FOUND names the places. */
enum berth_status berth_bundled_find(const char *name, char **directory, struct berth_error *err);

#endif
