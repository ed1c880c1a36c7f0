/* oip_write.c: the answer of an inference: JSON, and behind it the outputs that were asked for as bytes. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "serve/oip.h"

/* A BYTES output has elements of any size: this writes them, or counts their bytes when `writer` is NULL. */
static size_t write_label_bytes(const struct berth_call *call, struct berth_writer *writer)
{
    size_t bytes = 0;
    for (size_t i = 0; i < call->count; i++) {
        const char *label = call->items[i].result.label;
        uint32_t size = (uint32_t)strlen(label);
        bytes += 4 + size;
        if (writer) {
            berth_write_little_endian(writer, size);
            berth_write_bytes(writer, label, size);
        }
    }
    return bytes;
}

static void write_label_json(const struct berth_call *call, struct berth_writer *writer)
{
    for (size_t i = 0; i < call->count; i++) {
        berth_write(writer, i == 0 ? "[" : ",");
        berth_write_text(writer, call->items[i].result.label);
    }
    berth_write(writer, "]");
}

/* The classification extension: "value:index:label" of the best, as BYTES. */
static void write_classes(const struct berth_oip_output *output, const struct berth_call *call, bool binary,
                          struct berth_writer *writer)
{
    struct berth_ranking ranking = {.kind = BERTH_SCORE_RAW, .top = output->classes};
    for (size_t i = 0; i < call->count; i++) {
        if (!binary)
            berth_write(writer, i == 0 ? "[" : ",");
        berth_ranking_write_classes(&ranking, &call->items[i].result, call->info->label_names, binary, writer);
    }
    if (!binary)
        berth_write(writer, "]");
    berth_ranking_clear(&ranking);
}

static void write_float_bytes(struct berth_writer *writer, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        berth_write_little_endian(writer, bits);
    }
}

/* The numbers of an output: logits, or scores. */
static void write_numbers(const struct berth_oip_output *output, const struct berth_call *call, bool binary,
                          struct berth_writer *writer)
{
    for (size_t i = 0; i < call->count; i++) {
        const struct berth_result *result = &call->items[i].result;
        bool logits = output->kind == BERTH_OIP_LOGITS;
        const float *values = logits ? result->logits : &result->score;
        size_t count = logits ? result->labels : 1;
        if (binary) {
            write_float_bytes(writer, values, count);
            continue;
        }
        for (size_t k = 0; k < count; k++) {
            berth_write(writer, i == 0 && k == 0 ? "[" : ",");
            berth_write_float(writer, values[k]);
        }
    }
    if (!binary)
        berth_write(writer, "]");
}

static void write_data(const struct berth_oip_output *output, const struct berth_call *call, bool binary,
                       struct berth_writer *writer)
{
    if (output->classes)
        write_classes(output, call, binary, writer);
    else if (output->kind != BERTH_OIP_LABEL)
        write_numbers(output, call, binary, writer);
    else if (binary)
        write_label_bytes(call, writer);
    else
        write_label_json(call, writer);
}

/* Bytes of an output as binary data. */
static size_t binary_size(const struct berth_oip_output *output, const struct berth_call *call,
                          struct berth_writer *classes)
{
    if (output->classes) { /* written once, to see */
        write_classes(output, call, true, classes);
        return classes->buffer->size;
    }
    if (output->kind == BERTH_OIP_LABEL)
        return write_label_bytes(call, NULL);
    return 4 * call->count * (output->kind == BERTH_OIP_LOGITS ? call->width : 1);
}

static void write_output(const struct berth_oip_output *output, const struct berth_call *call,
                         struct berth_writer *classes, struct berth_writer *writer)
{
    bool bytes = output->kind == BERTH_OIP_LABEL || output->classes;
    berth_write(writer, "{\"name\":\"");
    berth_write(writer, berth_oip_output_names[output->kind]);
    berth_write(writer, bytes ? "\",\"datatype\":\"BYTES\",\"shape\":[" : "\",\"datatype\":\"FP32\",\"shape\":[");
    berth_write_integer(writer, (int64_t)call->count);
    if (output->kind == BERTH_OIP_LOGITS) {
        berth_write(writer, ",");
        berth_write_integer(writer, (int64_t)(output->classes ? berth_min(output->classes, call->width) : call->width));
    }
    if (output->binary) {
        berth_write(writer, "],\"parameters\":{\"binary_data_size\":");
        berth_write_integer(writer, (int64_t)binary_size(output, call, classes));
        berth_write(writer, "}}");
    } else {
        berth_write(writer, "],\"data\":");
        write_data(output, call, false, writer);
        berth_write(writer, "}");
    }
}

static void write_header(struct berth_request *request, struct berth_writer *classes, struct berth_writer *writer)
{
    const struct berth_call *call = &request->call;
    const struct berth_oip_form *form = &request->form.oip;
    berth_write(writer, "{\"model_name\":");
    berth_write_text(writer, call->name);
    berth_write(writer, ",\"model_version\":");
    berth_write_text(writer, call->version);
    if (form->id.bytes) {
        berth_write(writer, ",\"id\":");
        berth_write_slice(writer, form->id);
    }
    berth_write(writer, ",\"outputs\":[");
    for (size_t i = 0; i < form->count; i++) {
        if (i > 0)
            berth_write(writer, ",");
        write_output(&form->output[i], call, classes, writer);
    }
    berth_write(writer, "]}");
}

void berth_oip_answer(struct berth_request *request)
{
    const struct berth_oip_form *form = &request->form.oip;
    bool binary = false;
    for (size_t i = 0; i < form->count; i++)
        binary |= form->output[i].binary;
    struct berth_buffer classes_bytes;
    berth_buffer_init(&classes_bytes, SIZE_MAX / 2);
    struct berth_writer classes = {&classes_bytes, false};
    struct berth_writer writer =
        berth_write_begin(&request->reply, 200, binary ? "application/octet-stream" : "application/json");
    write_header(request, &classes, &writer);
    size_t header_size = request->reply.body.size;
    for (size_t i = 0; i < form->count && binary; i++)
        if (form->output[i].binary)
            write_data(&form->output[i], &request->call, true, &writer);
    if (binary)
        berth_reply_header(&request->reply, "Inference-Header-Content-Length", "%zu", header_size);
    writer.failed |= classes.failed;
    berth_buffer_clear(&classes_bytes);
    berth_write_end(&writer, &request->reply);
}
