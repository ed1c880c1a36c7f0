/* folder.h: a directory that is filled, tried, and only then takes its place. */
#ifndef BERTH_BASE_FOLDER_H
#define BERTH_BASE_FOLDER_H

#include "berth/status.h"

/* Files are written into `path`, a new directory beside DIRECTORY; commit renames it into place, or, when DIRECTORY
 * is there, renames its files one by one over those of the same names (so each is the old or the new one), `last`
 * after all others. */
struct berth_folder {
    char *path;      /* owned; NULL when there is none */
    char *directory; /* owned */
};

/* DIRECTORY may be absent or a directory; anything else of that name is refused. */
enum berth_status berth_folder_begin(const char *directory, struct berth_folder *folder, struct berth_error *err);
enum berth_status berth_folder_commit(struct berth_folder *folder, const char *last, struct berth_error *err);

/* Removes what was written, subdirectories aside: there are none. Fine after commit and for {0}. */
void berth_folder_abort(struct berth_folder *folder);

#endif
