/* log.h: where the library's rare remarks go (a fallback taken, a model loaded). The sink is a value passed
 * down, never a global. */
#ifndef BERTH_BASE_LOG_H
#define BERTH_BASE_LOG_H

enum berth_log_level { BERTH_LOG_DEBUG, BERTH_LOG_INFO, BERTH_LOG_WARNING, BERTH_LOG_ERROR };

/* A sink: called with one line, no newline; may be called from any thread. A NULL `write` drops everything.
 */
struct berth_log {
    void (*write)(void *context, enum berth_log_level level, const char *line);
    void *context;
};

/* Formats (at most 2,000 bytes) and hands on; log may be NULL. */
void berth_log_write(const struct berth_log *log, enum berth_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
