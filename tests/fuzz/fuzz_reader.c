/* fuzz_reader.c: any bytes as a file of any layout. The first byte chooses the layout and what is asked for.
 * Checked beyond what the sanitizers see: records lie in memory that can be read, and reading comes to an
 * end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "berth/berth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const tasks[] = {"cola", "mrpc", "qqp", "csv", "jsonl"};

static enum berth_status open_chosen(const char *path, unsigned choice, struct berth_reader **reader)
{
    static const struct berth_columns columns[] = {
        {NULL, NULL, NULL}, {"a", "b", "label"}, {NULL, NULL, "label"}};
    unsigned layout = choice % 9, asked = choice / 9 % 3;
    if (layout < 4)
        return berth_reader_open(path, (enum berth_layout)layout, &columns[asked], reader, NULL);
    return berth_reader_open_task(path, tasks[layout - 4], &columns[asked], choice & 128, reader, NULL);
}

/* Reads every byte. */
static void touch(const char *bytes, size_t size)
{
    static volatile char sink;
    for (size_t i = 0; i < size; i++)
        sink = bytes[i];
    (void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct berth_reader *reader;
    struct berth_record record;
    size_t calls = 0;
    bool end = false;
    if (open_chosen(path, data[0], &reader) == BERTH_OK) {
        while (!end && calls++ <= size) {
            if (berth_reader_next(reader, &record, &end, NULL) != BERTH_OK || end)
                continue;
            touch(record.text.text, record.text.size);
            touch(record.text.pair, record.text.pair ? record.text.pair_size : 0);
            touch(record.label, record.label ? strlen(record.label) : 0);
        }
        if (!end) /* every call takes a byte at least */
            abort();
    }
    berth_reader_close(reader);
    close(fd);
    return 0;
}
