/* oip_tensor.c: elements of tensors: JSON that is nested as the shape says, or flat, or bytes. */
#include "serve/members.h"
#include "serve/oip.h"

struct reading {
    const struct berth_oip_tensor *tensor;
    struct berth_json json;
    size_t read; /* elements */
    bool flat;   /* all in one list, whatever the rank */
    bool (*take)(struct reading *reading);
    struct berth_reply *reply;
    /* what `take` works with */
    int64_t least, most;
    int32_t *values;
    bool (*take_text)(void *context, struct berth_slice text);
    void *context;
};

static bool refuse_shape(struct reading *reading)
{
    const struct berth_oip_tensor *tensor = reading->tensor;
    if (tensor->rank == 1)
        return berth_body_refuse(&reading->json, reading->reply, "input '%s': data does not match its shape [%zu]",
                                 tensor->name, tensor->shape[0]);
    return berth_body_refuse(&reading->json, reading->reply, "input '%s': data does not match its shape [%zu,%zu]",
                             tensor->name, tensor->shape[0], tensor->shape[1]);
}

/* The elements of the list that was entered last. */
static bool read_elements(struct reading *reading, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!berth_json_item(&reading->json))
            return refuse_shape(reading);
        if (!reading->take(reading))
            return false;
        reading->read++;
    }
    return !berth_json_item(&reading->json) || refuse_shape(reading);
}

static bool read_json(struct reading *reading)
{
    const struct berth_oip_tensor *tensor = reading->tensor;
    struct berth_json *json = &reading->json, first;
    if (!berth_json_open(json, '['))
        return berth_body_refuse(json, reading->reply, "input '%s': data is no list", tensor->name);
    first = *json;
    bool nested = tensor->rank > 1 && berth_json_item(&first) && berth_json_peek(&first) == '[';
    if (!nested)
        return read_elements(reading, tensor->elements);
    for (size_t i = 0; i < tensor->shape[0]; i++)
        if (!berth_json_item(json) || !berth_json_open(json, '['))
            return refuse_shape(reading);
        else if (!read_elements(reading, tensor->shape[1]))
            return false;
    return !berth_json_item(json) || refuse_shape(reading);
}

static uint64_t little_endian(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static bool keep_integer(struct reading *reading, int64_t value)
{
    if (value < reading->least || value > reading->most) {
        berth_reply_error(reading->reply, 422, "input '%s': element %zu is %lld; %lld to %lld are allowed",
                          reading->tensor->name, reading->read, (long long)value, (long long)reading->least,
                          (long long)reading->most);
        return false;
    }
    reading->values[reading->read] = (int32_t)value;
    return true;
}

static bool take_integer(struct reading *reading)
{
    int64_t value;
    if (!berth_json_integer(&reading->json, &value))
        return berth_json_peek(&reading->json) == '['
                   ? refuse_shape(reading)
                   : berth_body_refuse(&reading->json, reading->reply, "input '%s': element %zu is no integer",
                                       reading->tensor->name, reading->read);
    return keep_integer(reading, value);
}

static bool refuse_size(struct reading *reading)
{
    berth_reply_error(reading->reply, 422, "input '%s': its %zu bytes of binary data do not match its %zu elements",
                      reading->tensor->name, reading->tensor->raw_size, reading->tensor->elements);
    return false;
}

bool berth_oip_integers(const struct berth_oip_tensor *tensor, int64_t least, int64_t most, int32_t *values,
                           struct berth_reply *reply)
{
    struct reading reading = {.tensor = tensor, .json = tensor->data, .take = take_integer, .reply = reply,
                              .least = least, .most = most, .values = values};
    if (!tensor->raw)
        return read_json(&reading);
    if (tensor->raw_size / 8 != tensor->elements || tensor->raw_size % 8 != 0)
        return refuse_size(&reading);
    for (; reading.read < tensor->elements; reading.read++)
        if (!keep_integer(&reading, (int64_t)little_endian(tensor->raw + 8 * reading.read, 8)))
            return false;
    return true;
}

static bool take_text(struct reading *reading)
{
    struct berth_slice text;
    if (!berth_json_string(&reading->json, &text))
        return berth_json_peek(&reading->json) == '['
                   ? refuse_shape(reading)
                   : berth_body_refuse(&reading->json, reading->reply, "input '%s': element %zu is no text",
                                       reading->tensor->name, reading->read);
    return reading->take_text(reading->context, text);
}

bool berth_oip_texts(const struct berth_oip_tensor *tensor, bool (*take)(void *context, struct berth_slice text),
                        void *context, struct berth_reply *reply)
{
    struct reading reading = {.tensor = tensor, .json = tensor->data, .take = take_text, .reply = reply,
                              .take_text = take, .context = context};
    if (!tensor->raw)
        return read_json(&reading);
    size_t at = 0;
    for (; reading.read < tensor->elements; reading.read++) {
        if (tensor->raw_size - at < 4)
            return refuse_size(&reading);
        size_t size = (size_t)little_endian(tensor->raw + at, 4);
        at += 4;
        if (tensor->raw_size - at < size)
            return refuse_size(&reading);
        if (!take(context, (struct berth_slice){(const char *)tensor->raw + at, size}))
            return false;
        at += size;
    }
    return at == tensor->raw_size || refuse_size(&reading);
}
