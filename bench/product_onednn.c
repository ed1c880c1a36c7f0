/* product_onednn.c: oneDNN as a maker of products: its matmul primitive out of libdnnl.so.3 or libdnnl.so.2,
 * weights in the layout that it asks for, packed beforehand. The two versions differ in how a memory is
 * described: version 3 hands out pointers, version 2 fills the caller's struct, whose inside nobody needs to
 * know. Numbers of enumerations are those of the public headers. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "product.h"

enum { BF16 = 2, F32 = 3, S8 = 5, U8 = 6 };           /* data types */
enum { TAG_ANY = 1, TAG_ROWS = 3 };                   /* layouts */
enum { QUERY_WEIGHTS = 131 };                         /* of a primitive's descriptor */
enum { ARG_SRC = 1, ARG_DST = 17, ARG_WEIGHTS = 33 }; /* of a run */
enum { CPU = 1, STREAM_DEFAULT = 1, SUCCESS = 0 };
enum { DESCRIPTION_SIZE = 4096, OPERATION_SIZE = 16384 }; /* version 2 fills 696 and 2800 bytes */

struct argument {
    int number;
    void *memory;
};

typedef int create_desc_fn(void *out, void *engine, const void *src, const void *weights, const void *bias,
                           const void *dst, const void *attributes); /* version 3 */
typedef int init_matmul_fn(void *operation, const void *src, const void *weights, const void *bias,
                           const void *dst); /* version 2 */
typedef int create_primitive_desc_fn(void *out, const void *operation, const void *attributes, void *engine,
                                     const void *hint); /* 2 */

struct library {
    int (*engine_create)(void **engine, int kind, size_t index);
    int (*stream_create)(void **stream, void *engine, unsigned flags);
    int (*stream_wait)(void *stream);
    int (*describe)(void *description, int rank, const int64_t *dims, int type,
                    int tag);    /* by tag, either version */
    create_desc_fn *create_desc; /* version 3; NULL in version 2 */
    init_matmul_fn *init_matmul; /* version 2, as the next */
    create_primitive_desc_fn *create_primitive_desc;
    const void *(*query)(const void *desc, int what, int index);
    size_t (*size)(const void *description);
    int (*primitive_create)(void **primitive, const void *desc);
    int (*memory_create)(void **memory, const void *description, void *engine, void *data);
    int (*execute)(const void *primitive, void *stream, int count, const struct argument *arguments);
    int (*destroy_memory)(void *), (*destroy_primitive)(void *), (*destroy_desc)(void *),
        (*destroy_stream)(void *), (*destroy_engine)(void *),
        (*destroy_description)(void *); /* the last in version 3 only */
};

enum { SRC, WEIGHTS, DST, OPERANDS };

struct onednn {
    struct product product;
    struct library library;
    void *engine, *stream, *desc, *primitive;
    void *description[OPERANDS]; /* version 3: the library's own; version 2: the caller's */
    void *data[OPERANDS], *src, *dst;
    void **weights; /* [copies] */
};

static bool load(struct library *library)
{
    setenv("OMP_NUM_THREADS", "1", 1);
    void *handle = dlopen("libdnnl.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        handle = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return false;
    const struct {
        void **function;
        const char *name, *other; /* in version 2, where it differs */
    } wanted[] = {
        {(void **)&library->engine_create, "dnnl_engine_create", NULL},
        {(void **)&library->stream_create, "dnnl_stream_create", NULL},
        {(void **)&library->stream_wait, "dnnl_stream_wait", NULL},
        {(void **)&library->describe, "dnnl_memory_desc_create_with_tag", "dnnl_memory_desc_init_by_tag"},
        {(void **)&library->query, "dnnl_primitive_desc_query_md", NULL},
        {(void **)&library->size, "dnnl_memory_desc_get_size", NULL},
        {(void **)&library->primitive_create, "dnnl_primitive_create", NULL},
        {(void **)&library->memory_create, "dnnl_memory_create", NULL},
        {(void **)&library->execute, "dnnl_primitive_execute", NULL},
        {(void **)&library->destroy_memory, "dnnl_memory_destroy", NULL},
        {(void **)&library->destroy_primitive, "dnnl_primitive_destroy", NULL},
        {(void **)&library->destroy_desc, "dnnl_primitive_desc_destroy", NULL},
        {(void **)&library->destroy_stream, "dnnl_stream_destroy", NULL},
        {(void **)&library->destroy_engine, "dnnl_engine_destroy", NULL},
    };
    bool complete = true;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].function = dlsym(handle, wanted[i].name);
        if (!*wanted[i].function && wanted[i].other)
            *wanted[i].function = dlsym(handle, wanted[i].other);
        complete &= *wanted[i].function != NULL;
    }
    *(void **)&library->create_desc = dlsym(handle, "dnnl_matmul_primitive_desc_create");
    *(void **)&library->destroy_description = dlsym(handle, "dnnl_memory_desc_destroy");
    *(void **)&library->init_matmul = dlsym(handle, "dnnl_matmul_desc_init");
    *(void **)&library->create_primitive_desc = dlsym(handle, "dnnl_primitive_desc_create");
    return complete && (library->create_desc || (library->init_matmul && library->create_primitive_desc));
}

static bool run_onednn(struct product *product, size_t copy)
{
    const struct onednn *o = (const struct onednn *)product;
    const struct argument arguments[] = {
        {ARG_SRC, o->src}, {ARG_WEIGHTS, o->weights[copy]}, {ARG_DST, o->dst}};
    return o->library.execute(o->primitive, o->stream, 3, arguments) == SUCCESS &&
           o->library.stream_wait(o->stream) == SUCCESS;
}

static void destroy(int (*function)(void *), void *object)
{
    if (object && function)
        function(object);
}

static void close_onednn(struct product *product)
{
    struct onednn *o = (struct onednn *)product;
    const struct library *library = &o->library;
    for (size_t i = 0; o->weights && i < product->shape.copies; i++)
        destroy(library->destroy_memory, o->weights[i]);
    destroy(library->destroy_memory, o->src);
    destroy(library->destroy_memory, o->dst);
    destroy(library->destroy_primitive, o->primitive);
    destroy(library->destroy_desc, o->desc);
    destroy(library->destroy_stream, o->stream);
    destroy(library->destroy_engine, o->engine);
    for (size_t i = 0; i < OPERANDS; i++) {
        if (library->create_desc)
            destroy(library->destroy_description, o->description[i]);
        else
            berth_free(o->description[i]);
        berth_free(o->data[i]);
    }
    berth_free(o->weights);
    berth_free(o);
}

static bool describe(struct onednn *o, size_t operand, size_t rows, size_t columns, int type, int tag)
{
    const int64_t dims[12] = {(int64_t)rows, (int64_t)columns};
    if (o->library.create_desc) /* version 3: receives a pointer */
        return o->library.describe(&o->description[operand], 2, dims, type, tag) == SUCCESS;
    o->description[operand] = berth_calloc(1, DESCRIPTION_SIZE);
    return o->description[operand] &&
           o->library.describe(o->description[operand], 2, dims, type, tag) == SUCCESS;
}

static bool create_desc(struct onednn *o)
{
    void *const *d = o->description;
    if (o->library.create_desc)
        return o->library.create_desc(&o->desc, o->engine, d[SRC], d[WEIGHTS], NULL, d[DST], NULL) == SUCCESS;
    void *operation = berth_calloc(1, OPERATION_SIZE);
    const bool done = operation &&
                      o->library.init_matmul(operation, d[SRC], d[WEIGHTS], NULL, d[DST]) == SUCCESS &&
                      o->library.create_primitive_desc(&o->desc, operation, NULL, o->engine, NULL) == SUCCESS;
    berth_free(operation);
    return done;
}

static bool create_memories(struct onednn *o)
{
    const struct library *library = &o->library;
    const struct product_shape *s = &o->product.shape;
    const void *packed = library->query(o->desc, QUERY_WEIGHTS, 0);
    if (!packed)
        return false;
    const size_t copy_bytes = library->size(packed) / 64 * 64 + 64;
    o->data[SRC] = product_memory(library->size(o->description[SRC]));
    o->data[DST] = product_memory(library->size(o->description[DST]));
    o->data[WEIGHTS] = product_memory(s->copies * copy_bytes);
    o->weights = berth_calloc(s->copies, sizeof *o->weights);
    bool done = o->data[SRC] && o->data[DST] && o->data[WEIGHTS] && o->weights &&
                library->memory_create(&o->src, o->description[SRC], o->engine, o->data[SRC]) == SUCCESS &&
                library->memory_create(&o->dst, o->description[DST], o->engine, o->data[DST]) == SUCCESS;
    for (size_t i = 0; i < s->copies && done; i++)
        done = library->memory_create(&o->weights[i], packed, o->engine,
                                      (char *)o->data[WEIGHTS] + i * copy_bytes) == SUCCESS;
    return done;
}

static struct product *open_onednn(const struct product_shape *shape, enum berth_isa isa,
                                   char why[PRODUCT_WHY_SIZE])
{
    static const int types[LIMIT_FORMATS][2] = {
        [LIMIT_FP32] = {F32, F32}, [LIMIT_BF16] = {BF16, BF16}, [LIMIT_INT8] = {U8, S8}};
    (void)isa;
    struct onednn *o = berth_calloc(1, sizeof *o);
    snprintf(why, PRODUCT_WHY_SIZE, "libdnnl.so.3 and libdnnl.so.2 are not here (Debian: libdnnl2)");
    if (!o || !load(&o->library)) {
        berth_free(o);
        return NULL;
    }
    o->product = (struct product){*shape, 0, run_onednn, close_onednn};
    if (o->library.engine_create(&o->engine, CPU, 0) == SUCCESS &&
        o->library.stream_create(&o->stream, o->engine, STREAM_DEFAULT) == SUCCESS &&
        describe(o, SRC, shape->m, shape->k, types[shape->format][0], TAG_ROWS) &&
        describe(o, WEIGHTS, shape->k, shape->n, types[shape->format][1], TAG_ANY) &&
        describe(o, DST, shape->m, shape->n, F32, TAG_ROWS) && create_desc(o) &&
        o->library.primitive_create(&o->primitive, o->desc) == SUCCESS && create_memories(o))
        return &o->product;
    snprintf(why, PRODUCT_WHY_SIZE, "oneDNN refuses the product");
    close_onednn(&o->product);
    return NULL;
}

const struct product_maker product_onednn = {"oneDNN", open_onednn};
