/* page.h: a report as JSON, HTML and Markdown. */
#ifndef BERTH_REPORT_PAGE_H
#define BERTH_REPORT_PAGE_H

#include "report/figure.h"

/* The whole of the data as one JSON object: docs/report.md has its keys. For berth_free; NULL: no memory. */
char *berth_report_data_json(const struct berth_drawing *drawing);

/* One self-contained file around that JSON. */
bool berth_report_html(const char *json, FILE *stream);

bool berth_report_markdown(const struct berth_drawing *drawing, const bool *drawn, FILE *stream);

#endif
