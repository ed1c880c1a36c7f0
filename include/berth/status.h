/* berth/status.h: how every call of the library says what happened.
 *
 * A function that can fail returns an enum berth_status and takes, last, a struct berth_error * (which may
 * be NULL). On failure the error holds one sentence that names the file, the tensor or the value and says what to
 * do; output parameters are NULL or untouched. The library never prints, exits or aborts on input. */
#ifndef BERTH_STATUS_H
#define BERTH_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BERTH_API __attribute__((visibility("default")))
#else
#define BERTH_API
#endif

/* X(name, what the class means) */
#define BERTH_STATUS_MAP(X)                                                          \
    X(OK, "success")                                                                 \
    X(INVALID_ARGUMENT, "an argument of the caller is out of its range")             \
    X(NO_MEMORY, "an allocation failed")                                             \
    X(IO, "the operating system refused to read or write")                           \
    X(NOT_FOUND, "a file, model or name does not exist")                             \
    X(FORMAT, "outside data is malformed")                                           \
    X(UNSUPPORTED, "the data is well-formed, but asks for something berth lacks")    \
    X(LIMIT, "a bound on size, count or time was exceeded")                          \
    X(BUSY, "a resource is in use; try again later")                                 \
    X(CANCELLED, "the caller asked to stop")                                         \
    X(INTERNAL, "a mistake in berth itself")

enum berth_status {
#define BERTH_STATUS_ENUM(name, text) BERTH_##name,
    BERTH_STATUS_MAP(BERTH_STATUS_ENUM)
#undef BERTH_STATUS_ENUM
};

enum { BERTH_ERROR_SIZE = 1024 };

/* One failure. Owned by the caller, plain data: nothing to free. */
struct berth_error {
    enum berth_status status;
    char message[BERTH_ERROR_SIZE]; /* UTF-8, one sentence, no final newline */
};

/* The class's short name ("format"), static storage. */
BERTH_API const char *berth_status_name(enum berth_status status);

#ifdef __cplusplus
}
#endif
#endif
