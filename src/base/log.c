/* log.c: formats a remark and hands it to the sink. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void berth_log_write(const struct berth_log *log, enum berth_log_level level, const char *format, ...)
{
    if (!log || !log->write)
        return;
    char line[2001];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log->write(log->context, level, line);
}
