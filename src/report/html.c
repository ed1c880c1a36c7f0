/* html.c: the page of a report: page.html around the data. */
#include <string.h>

#include "report/page.h"

extern const unsigned char berth_report_page[];
extern const size_t berth_report_page_size;

bool berth_report_html(const char *json, FILE *stream)
{
    static const char mark[] = "@DATA@";
    const char *page = (const char *)berth_report_page;
    const char *at = memmem(page, berth_report_page_size, mark, sizeof mark - 1);
    if (!at)
        return false;
    fwrite(page, 1, (size_t)(at - page), stream);
    for (; *json; json++) /* nothing in the data ends the element that holds it */
        if (*json == '<')
            fputs("\\u003c", stream);
        else
            fputc(*json, stream);
    at += sizeof mark - 1;
    fwrite(at, 1, berth_report_page_size - (size_t)(at - page), stream);
    return !ferror(stream);
}
