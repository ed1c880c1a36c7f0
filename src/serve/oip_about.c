/* oip_about.c: what the server and its models say of themselves in the Open Inference Protocol. */
#include <string.h>

#include "serve/handlers.h"
#include "serve/oip.h"

void berth_handle_oip_server(struct berth_request *request)
{
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"name\":\"berth\",\"version\":");
    berth_write_text(&writer, berth_version());
    berth_write(&writer, ",\"extensions\":[\"classification\",\"model_repository\",\"binary_tensor_data\","
                         "\"statistics\"]}");
    berth_write_end(&writer, &request->reply);
}

/* Members of both readings of the specification: its text shows one, its schema the other. */
void berth_handle_oip_live(struct berth_request *request)
{
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"live\":true}");
    berth_write_end(&writer, &request->reply);
}

void berth_handle_oip_ready(struct berth_request *request)
{
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"live\":true,\"ready\":true}");
    berth_write_end(&writer, &request->reply);
}

/* A model that is not there, or not loaded, has its error from the call. */
void berth_handle_oip_model_ready(struct berth_request *request)
{
    const struct berth_call *call = berth_call_begin(request, NULL, NULL, BERTH_CALL_LOOK);
    if (!call)
        return;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"name\":");
    berth_write_text(&writer, call->name);
    berth_write(&writer, ",\"ready\":true}");
    berth_write_end(&writer, &request->reply);
}

static void write_tensor(struct berth_writer *writer, bool first, const char *name, const char *datatype, size_t rank,
                         size_t width)
{
    berth_write(writer, first ? "{\"name\":\"" : ",{\"name\":\"");
    berth_write(writer, name);
    berth_write(writer, "\",\"datatype\":\"");
    berth_write(writer, datatype);
    berth_write(writer, "\",\"shape\":[-1");
    if (rank > 1) {
        berth_write(writer, ",");
        berth_write_integer(writer, width ? (int64_t)width : -1);
    }
    berth_write(writer, "]}");
}

static void write_inputs(struct berth_writer *writer, const struct berth_model_info *info)
{
    for (size_t i = 0; i < BERTH_OIP_INPUTS; i++)
        if (i != BERTH_OIP_TYPES || info->type_vocab_size)
            write_tensor(writer, i == 0, berth_oip_input_names[i], i == BERTH_OIP_TEXT ? "BYTES" : "INT64",
                         i == BERTH_OIP_TEXT ? 1 : 2, 0);
}

static void write_outputs(struct berth_writer *writer, const struct berth_model_info *info)
{
    write_tensor(writer, true, berth_oip_output_names[BERTH_OIP_LOGITS], "FP32", 2, info->labels);
    if (strcmp(info->problem, "regression") != 0)
        write_tensor(writer, false, berth_oip_output_names[BERTH_OIP_LABEL], "BYTES", 1, 0);
    write_tensor(writer, false, berth_oip_output_names[BERTH_OIP_SCORE], "FP32", 1, 0);
}

/* Every version that is loaded; the call's own is, whatever happened meanwhile. */
static void write_versions(struct berth_writer *writer, struct berth_registry *registry, const struct berth_call *call)
{
    bool some = false;
    for (size_t i = 0; i < berth_registry_count(registry); i++) {
        struct berth_entry *entry = berth_registry_at(registry, i);
        bool own = strcmp(entry->version, call->version) == 0;
        if (strcmp(entry->name, call->name) != 0 || (!own && !berth_registry_ready(registry, entry, NULL, 0)))
            continue;
        berth_write(writer, some ? "," : "");
        berth_write_text(writer, entry->version);
        some = true;
    }
}

void berth_handle_oip_model(struct berth_request *request)
{
    const struct berth_call *call = berth_call_begin(request, NULL, NULL, BERTH_CALL_LOOK);
    if (!call)
        return;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"name\":");
    berth_write_text(&writer, call->name);
    berth_write(&writer, ",\"versions\":[");
    write_versions(&writer, request->server->registry, call);
    berth_write(&writer, "],\"platform\":\"berth_");
    berth_write(&writer, call->info->runtime);
    berth_write(&writer, "\",\"inputs\":[");
    write_inputs(&writer, call->info);
    berth_write(&writer, "],\"outputs\":[");
    if (call->info->has_head)
        write_outputs(&writer, call->info);
    berth_write(&writer, "]}");
    berth_write_end(&writer, &request->reply);
}
