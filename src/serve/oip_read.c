/* oip_read.c: the body of an inference: which tensors it brings and which outputs it wants. */
#include <string.h>

#include "base/checked.h"
#include "serve/members.h"
#include "serve/oip.h"

const char *const berth_oip_input_names[BERTH_OIP_INPUTS] = {"text", "input_ids", "attention_mask", "token_type_ids"};
const char *const berth_oip_output_names[BERTH_OIP_KINDS] = {"logits", "label", "score"};

struct reader {
    struct berth_reply *reply;
    const unsigned char *binary; /* what follows the JSON */
    size_t binary_size, binary_used;
    size_t body_size;
    struct berth_oip_inputs *inputs;
    struct berth_oip_form *form;
    bool binary_outputs; /* unless an output says otherwise */
};

static size_t find_name(struct berth_slice name, const char *const *names, size_t count)
{
    size_t i = 0;
    while (i < count && !berth_slice_is(name, names[i]))
        i++;
    return i;
}

/* The dimensions of an input; their product is bounded by the body, in which every element has a byte at least. */
static bool read_shape(struct reader *reader, struct berth_json *json, struct berth_oip_tensor *tensor)
{
    int64_t size;
    tensor->elements = 1;
    if (!berth_json_open(json, '['))
        return berth_body_refuse(json, reader->reply, "input '%s': \"shape\" is no list", tensor->name);
    while (berth_json_item(json)) {
        if (!berth_json_integer(json, &size))
            return berth_body_refuse(json, reader->reply, "input '%s': \"shape\" holds something that is no integer",
                                     tensor->name);
        if (size < 1)
            return berth_body_refuse(json, reader->reply, "input '%s': a dimension of %lld; 1 and more are allowed",
                                     tensor->name, (long long)size);
        if (tensor->rank == BERTH_TENSOR_RANK)
            return berth_body_refuse(json, reader->reply, "input '%s': more than %d dimensions", tensor->name,
                                     BERTH_TENSOR_RANK);
        tensor->shape[tensor->rank++] = (size_t)size;
        if (!berth_mul(tensor->elements, (size_t)size, &tensor->elements) || tensor->elements > reader->body_size)
            return berth_body_refuse(json, reader->reply, "input '%s': its shape has more elements than its data",
                                     tensor->name);
    }
    return tensor->rank > 0 || berth_body_refuse(json, reader->reply, "input '%s': it has no dimension", tensor->name);
}

/* The tensor's part of what follows the JSON. */
static bool take_binary(struct reader *reader, const struct berth_member *size, struct berth_oip_tensor *tensor)
{
    size_t left = reader->binary_size - reader->binary_used;
    if (size->integer < 0 || (uint64_t)size->integer > left) {
        berth_reply_error(reader->reply, 400,
                          "input '%s': binary_data_size %lld, but %zu bytes are left behind the JSON of "
                          "Inference-Header-Content-Length",
                          tensor->name, (long long)size->integer, left);
        return false;
    }
    tensor->raw = reader->binary + reader->binary_used;
    tensor->raw_size = (size_t)size->integer;
    reader->binary_used += tensor->raw_size;
    return true;
}

enum { NAME, SHAPE, DATATYPE, PARAMETERS, DATA, INPUT_MEMBERS };

static bool read_input(struct reader *reader, struct berth_json *json)
{
    struct berth_member members[INPUT_MEMBERS] = {[NAME] = {.name = "name", .kind = BERTH_MEMBER_TEXT},
                                                  [SHAPE] = {.name = "shape"},
                                                  [DATATYPE] = {.name = "datatype", .kind = BERTH_MEMBER_TEXT},
                                                  [PARAMETERS] = {.name = "parameters"},
                                                  [DATA] = {.name = "data"}};
    struct berth_member size = {.name = "binary_data_size", .kind = BERTH_MEMBER_INTEGER};
    char value[64];
    if (!berth_members_read(json, members, INPUT_MEMBERS, "an input", reader->reply))
        return false;
    if (!members[NAME].given)
        return berth_body_refuse(json, reader->reply, "an input has no \"name\"");
    size_t which = find_name(members[NAME].text, berth_oip_input_names, BERTH_OIP_INPUTS);
    if (which == BERTH_OIP_INPUTS)
        return berth_body_refuse(json, reader->reply, "no input is named '%s': send text, or input_ids with "
                                                      "attention_mask and token_type_ids",
                                 berth_slice_copy(members[NAME].text, value, sizeof value));
    struct berth_oip_tensor *tensor = &reader->inputs->tensor[which];
    if (tensor->name)
        return berth_body_refuse(json, reader->reply, "input '%s' is given twice", tensor->name);
    tensor->name = berth_oip_input_names[which];
    const char *datatype = which == BERTH_OIP_TEXT ? "BYTES" : "INT64";
    if (!members[DATATYPE].given || !berth_slice_is(members[DATATYPE].text, datatype))
        return berth_body_refuse(json, reader->reply, "input '%s': its \"datatype\" is to be %s", tensor->name, datatype);
    if (!members[SHAPE].given)
        return berth_body_refuse(json, reader->reply, "input '%s' has no \"shape\"", tensor->name);
    if (!read_shape(reader, &members[SHAPE].any, tensor))
        return false;
    if (members[PARAMETERS].given &&
        !berth_members_read(&members[PARAMETERS].any, &size, 1, "\"parameters\" of an input", reader->reply))
        return false;
    if (size.given && members[DATA].given)
        return berth_body_refuse(json, reader->reply, "input '%s' has both \"data\" and binary_data_size", tensor->name);
    if (size.given)
        return take_binary(reader, &size, tensor);
    if (!members[DATA].given)
        return berth_body_refuse(json, reader->reply, "input '%s' has no \"data\"", tensor->name);
    tensor->data = members[DATA].any;
    return true;
}

static bool read_output(struct reader *reader, struct berth_json *json)
{
    struct berth_member members[] = {{.name = "name", .kind = BERTH_MEMBER_TEXT}, {.name = "parameters"}};
    struct berth_member parameters[] = {{.name = "binary_data", .kind = BERTH_MEMBER_BOOL},
                                        {.name = "classification", .kind = BERTH_MEMBER_INTEGER}};
    struct berth_oip_form *form = reader->form;
    char value[64];
    if (!berth_members_read(json, members, 2, "an output", reader->reply))
        return false;
    if (!members[0].given)
        return berth_body_refuse(json, reader->reply, "an output has no \"name\"");
    size_t kind = find_name(members[0].text, berth_oip_output_names, BERTH_OIP_KINDS);
    if (kind == BERTH_OIP_KINDS)
        return berth_body_refuse(json, reader->reply, "no output is named '%s': ask for logits, label or score",
                                 berth_slice_copy(members[0].text, value, sizeof value));
    for (size_t i = 0; i < form->count; i++)
        if (form->output[i].kind == kind)
            return berth_body_refuse(json, reader->reply, "output '%s' is asked for twice", berth_oip_output_names[kind]);
    if (members[1].given &&
        !berth_members_read(&members[1].any, parameters, 2, "\"parameters\" of an output", reader->reply))
        return false;
    struct berth_oip_output output = {.kind = (enum berth_oip_kind)kind,
                                      .binary = parameters[0].given ? parameters[0].truth : reader->binary_outputs};
    if (parameters[1].given) {
        if (kind != BERTH_OIP_LOGITS || parameters[1].integer < 1)
            return berth_body_refuse(json, reader->reply, "output '%s': classification %lld: it is 1 or more, and of "
                                                          "logits",
                                     berth_oip_output_names[kind], (long long)parameters[1].integer);
        output.classes = (size_t)parameters[1].integer;
    }
    form->output[form->count++] = output;
    return true;
}

static bool read_list(struct reader *reader, struct berth_json *json, const char *name,
                      bool (*read)(struct reader *reader, struct berth_json *json))
{
    if (!berth_json_open(json, '['))
        return berth_body_refuse(json, reader->reply, "\"%s\" is no list", name);
    while (berth_json_item(json))
        if (!read(reader, json))
            return false;
    return true;
}

static bool read_parameters(struct reader *reader, struct berth_json *json)
{
    struct berth_member members[] = {{.name = "binary_data_output", .kind = BERTH_MEMBER_BOOL},
                                     {.name = "timeout", .kind = BERTH_MEMBER_INTEGER}};
    if (!berth_members_read(json, members, 2, "\"parameters\"", reader->reply))
        return false;
    reader->binary_outputs = members[0].given && members[0].truth;
    if (!members[1].given)
        return true;
    if (members[1].integer < 0)
        return berth_body_refuse(json, reader->reply, "timeout %lld: microseconds, 0 or more",
                                 (long long)members[1].integer);
    uint64_t microseconds = (uint64_t)members[1].integer;
    reader->inputs->timeout_ns = microseconds > UINT64_MAX / 1000 ? UINT64_MAX : microseconds * 1000;
    return true;
}

/* What must stand together. */
static bool check_inputs(struct reader *reader)
{
    const struct berth_oip_tensor *tensor = reader->inputs->tensor, *ids = &tensor[BERTH_OIP_IDS];
    struct berth_reply *reply = reader->reply;
    bool others = false;
    for (size_t i = BERTH_OIP_MASK; i < BERTH_OIP_INPUTS; i++) {
        others |= tensor[i].name != NULL;
        if (tensor[i].name && ids->name &&
            (tensor[i].rank != ids->rank || memcmp(tensor[i].shape, ids->shape, sizeof ids->shape) != 0)) {
            berth_reply_error(reply, 422, "inputs 'input_ids' and '%s' have different shapes", tensor[i].name);
            return false;
        }
    }
    const struct berth_oip_tensor *text = &tensor[BERTH_OIP_TEXT];
    if (text->name && (ids->name || others))
        berth_reply_error(reply, 422, "inputs 'text' and token ids at once: send one of them");
    else if (!text->name && !ids->name)
        berth_reply_error(reply, 422, "there is no input 'text' and no input 'input_ids'");
    else if (text->name && text->rank == 2 && text->shape[1] > 2)
        berth_reply_error(reply, 422, "input 'text': its shape is [texts], or [texts,2] for pairs");
    else if (ids->name && ids->rank != 2)
        berth_reply_error(reply, 422, "input 'input_ids': its shape is [texts,tokens]");
    return reply->status == 0;
}

enum { ID, ALL_PARAMETERS, INPUTS, OUTPUTS, MEMBERS };

bool berth_oip_read(struct berth_buffer *body, size_t json_size, struct berth_oip_inputs *inputs,
                    struct berth_oip_form *form, struct berth_reply *reply)
{
    struct reader reader = {.reply = reply, .inputs = inputs, .form = form, .body_size = body->size};
    struct berth_buffer head = {.data = body->data, .size = json_size};
    struct berth_member members[MEMBERS] = {[ID] = {.name = "id", .kind = BERTH_MEMBER_TEXT},
                                            [ALL_PARAMETERS] = {.name = "parameters"},
                                            [INPUTS] = {.name = "inputs"},
                                            [OUTPUTS] = {.name = "outputs"}};
    *inputs = (struct berth_oip_inputs){0};
    *form = (struct berth_oip_form){0};
    if (!berth_members_read_body(&head, members, MEMBERS, reply))
        return false;
    if (!members[INPUTS].given) {
        berth_reply_error(reply, 422, "the body has no \"inputs\"");
        return false;
    }
    reader.binary = (const unsigned char *)body->data + json_size;
    reader.binary_size = body->size - json_size;
    if ((members[ALL_PARAMETERS].given && !read_parameters(&reader, &members[ALL_PARAMETERS].any)) ||
        !read_list(&reader, &members[INPUTS].any, "inputs", read_input) ||
        (members[OUTPUTS].given && !read_list(&reader, &members[OUTPUTS].any, "outputs", read_output)))
        return false;
    if (reader.binary_used != reader.binary_size) {
        berth_reply_error(reply, 400, "%zu bytes stand behind the last input's binary data",
                          reader.binary_size - reader.binary_used);
        return false;
    }
    if (members[ID].given)
        form->id = members[ID].text;
    if (form->count == 0)
        form->output[form->count++] = (struct berth_oip_output){.kind = BERTH_OIP_LOGITS, .binary = reader.binary_outputs};
    return check_inputs(&reader);
}
