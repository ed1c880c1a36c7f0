/* torch_zip.h: the directory of a zip archive whose entries are stored, not compressed: the container of
 * torch.save since 1.6. Entries are views on the file. Source: APPNOTE.TXT, the zip format's description. */
#ifndef BERTH_FORMATS_TORCH_ZIP_H
#define BERTH_FORMATS_TORCH_ZIP_H

#include <stddef.h>

#include "berth/status.h"

struct berth_zip_entry {
    const char *name; /* [name_size], not terminated; borrowed from the file */
    size_t name_size;
    const unsigned char *data;
    size_t size;
    size_t begin, end; /* of its local header and data, in the file */
};

struct berth_zip {
    struct berth_zip_entry *entries; /* sorted by name */
    size_t count;
};

/* Reads the directory of data[0, size), which `zip` borrows. Every entry is checked against its local header
 * and the file's size; compressed, encrypted, overlapping and repeated entries are refused by name. Checksums
 * are not computed: that would read all of the weights. */
enum berth_status berth_zip_open(const char *path, const unsigned char *data, size_t size,
                                 struct berth_zip *zip, struct berth_error *err);
void berth_zip_close(struct berth_zip *zip); /* {0} is fine */

/* NULL when there is none. */
const struct berth_zip_entry *berth_zip_find(const struct berth_zip *zip, const char *name, size_t name_size);

#endif
