/* page_assets.h: the table that cmake/embed_page.cmake makes of web/. */
#ifndef BERTH_SERVE_PAGE_ASSETS_H
#define BERTH_SERVE_PAGE_ASSETS_H

#include <stddef.h>

struct berth_page_asset {
    const char *path;         /* "app.js": below /page/; index.html is also "/" */
    const char *content_type;
    const char *etag;         /* hex digits of its hash */
    const unsigned char *plain, *gzip;
    size_t plain_size, gzip_size;
};

extern const struct berth_page_asset berth_page_assets[];
extern const size_t berth_page_asset_count;

#endif
