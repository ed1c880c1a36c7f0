/* berth/page.h: the page that a server shows at "/" (docs/page.md). Part of berth/berth.h, section 5. */
#ifndef BERTH_PAGE_H
#define BERTH_PAGE_H

#include "berth/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A deployment on another server: http://HOST:PORT (text-embeddings-inference's POST /predict, which berth also
 * answers; ?model=NAME chooses), http://HOST:PORT/v2/models/NAME (Open Inference Protocol) or
 * http://HOST:PORT/inference (the study's). The server asks these addresses and no others. */
struct berth_page_remote {
    const char *name, *url;
};

/* All zero: a page with the bundled sentences, whose log lives as long as the server. */
struct berth_page_options {
    const char *data;    /* labelled sentences; NULL: the bundled ones */
    const char *task;    /* their layout, as in berth_evaluation_options; NULL: told from name and first line */
    const char *results; /* results file that keeps the log and whose figures the report view shows; NULL: none */
    const struct berth_page_remote *remotes;
    size_t remote_count;
};

#ifdef __cplusplus
}
#endif
#endif
