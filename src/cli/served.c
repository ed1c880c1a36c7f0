/* served.c: the page's options of `berth serve` and `berth demo`. */
#include "cli/served.h"

#include <string.h>

static bool is_taken(const struct cli_page *page, const struct berth_served_model *served, size_t count,
                     const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(served[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < page->options.remote_count; i++)
        if (strcmp(page->remote[i].name, name) == 0)
            return true;
    return false;
}

bool cli_read_page(struct cli_page *page, const struct berth_served_model *served, size_t count, char *fault,
                   size_t size)
{
    page->options.remotes = page->remote;
    for (size_t i = 0; i < page->remotes.count; i++) {
        char *name = (char *)page->remotes.item[i]; /* argv's strings are ours to change */
        char *url = strchr(name, '=');
        if (url)
            *url++ = 0;
        if (!url || !*name || !*url || strlen(name) > 128) {
            snprintf(fault, size, "--remote: a name and an address are needed, as in v100=http://host:5001");
            return false;
        }
        if (is_taken(page, served, count, name)) {
            snprintf(fault, size, "--remote: two deployments are named '%s'", name);
            return false;
        }
        page->remote[page->options.remote_count++] = (struct berth_page_remote){.name = name, .url = url};
    }
    return true;
}
