/* torch_pickle.c: a restricted unpickler. See the header for what it reads and why nothing can be executed.
 * Called by torch_bin.c, once for the zip form and five times for the older one. */
#include "formats/torch_pickle.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

static const uint32_t MARK =
    UINT32_MAX; /* on the stack, stands below the items of a container; never a value */

enum callable { CALL_NOTHING, CALL_DICT, CALL_TENSOR, CALL_PARAMETER };

/* Everything a pickle may name. A storage type is data; the others are known by what calling them gives. */
static const struct {
    const char *name; /* module and name, as GLOBAL writes them */
    enum callable call;
    enum berth_dtype dtype;
} globals[] = {
    {"collections OrderedDict", CALL_DICT, 0},
    {"torch._utils _rebuild_tensor_v2", CALL_TENSOR, 0},
    {"torch._utils _rebuild_tensor", CALL_TENSOR, 0},
    {"torch._utils _rebuild_parameter", CALL_PARAMETER, 0},
    {"torch FloatStorage", CALL_NOTHING, BERTH_DTYPE_F32},
    {"torch HalfStorage", CALL_NOTHING, BERTH_DTYPE_F16},
    {"torch BFloat16Storage", CALL_NOTHING, BERTH_DTYPE_BF16},
    {"torch DoubleStorage", CALL_NOTHING, BERTH_DTYPE_F64},
    {"torch CharStorage", CALL_NOTHING, BERTH_DTYPE_I8},
    {"torch ByteStorage", CALL_NOTHING, BERTH_DTYPE_U8},
    {"torch ShortStorage", CALL_NOTHING, BERTH_DTYPE_I16},
    {"torch IntStorage", CALL_NOTHING, BERTH_DTYPE_I32},
    {"torch LongStorage", CALL_NOTHING, BERTH_DTYPE_I64},
    {"torch BoolStorage", CALL_NOTHING, BERTH_DTYPE_BOOL},
};

/* Python's names of the opcodes that are not read, for the message. */
static const struct {
    unsigned char code;
    const char *name;
} refused[] = {
    {'i', "INST"},        {'o', "OBJ"},          {0x81, "NEWOBJ"},
    {0x92, "NEWOBJ_EX"},  {0x82, "EXT1"},        {0x83, "EXT2"},
    {0x84, "EXT4"},       {'P', "PERSID"},       {'S', "STRING"},
    {'V', "UNICODE"},     {'I', "INT"},          {'L', "LONG"},
    {'F', "FLOAT"},       {'p', "PUT"},          {'g', "GET"},
    {'l', "LIST"},        {'d', "DICT"},         {'1', "POP_MARK"},
    {'2', "DUP"},         {'B', "BINBYTES"},     {'C', "SHORT_BINBYTES"},
    {0x8b, "LONG4"},      {0x8d, "BINUNICODE8"}, {0x8e, "BINBYTES8"},
    {0x8f, "EMPTY_SET"},  {0x90, "ADDITEMS"},    {0x91, "FROZENSET"},
    {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
};

struct reader {
    const char *path;
    const unsigned char *data;
    size_t size, at; /* at <= size */
    size_t opcode_at;
    struct berth_pickle *pickle;
    uint32_t *stack;
    size_t depth, stack_capacity;
    uint32_t *memo; /* MARK where nothing was put */
    size_t memo_size, memo_capacity;
    struct berth_error *err;
};

/* --- failures
 * ------------------------------------------------------------------------------------------------ */

static enum berth_status malformed(struct reader *r, const char *what)
{
    return berth_fail(r->err, BERTH_FORMAT, "%s: malformed pickle at byte %zu: %s", r->path, r->opcode_at,
                      what);
}

static enum berth_status refuse(struct reader *r, const char *what, const char *name)
{
    return berth_fail(
        r->err, BERTH_UNSUPPORTED,
        "%s: the pickle asks for %s %s at byte %zu, which is not allowed: berth reads tensors and executes "
        "nothing; save the model's state_dict, best as safetensors",
        r->path, what, name, r->opcode_at);
}

static enum berth_status refuse_opcode(struct reader *r, unsigned char code)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].code == code)
            return refuse(r, "opcode", refused[i].name);
    return berth_fail(r->err, BERTH_FORMAT, "%s: malformed pickle at byte %zu: no opcode 0x%02x", r->path,
                      r->opcode_at, code);
}

/* --- growing arrays: each grows by at most one element a byte of the pickle, which has a limit
 * ----------------- */

static enum berth_status reserve(struct reader *r, void **block, size_t *capacity, size_t need, size_t item)
{
    if (need <= *capacity)
        return BERTH_OK;
    size_t grown = berth_max(berth_max(*capacity * 2, 1024), need);
    void *moved = berth_realloc(*block, grown, item);
    if (!moved)
        return berth_fail_memory(r->err, r->path, (unsigned long long)grown * item);
    *block = moved;
    *capacity = grown;
    return BERTH_OK;
}

static enum berth_status push(struct reader *r, uint32_t index)
{
    enum berth_status status =
        reserve(r, (void **)&r->stack, &r->stack_capacity, r->depth + 1, sizeof *r->stack);
    if (status == BERTH_OK)
        r->stack[r->depth++] = index;
    return status;
}

static enum berth_status push_value(struct reader *r, struct berth_pickle_value value)
{
    struct berth_pickle *p = r->pickle;
    enum berth_status status =
        reserve(r, (void **)&p->values, &p->value_capacity, p->value_count + 1, sizeof *p->values);
    if (status != BERTH_OK)
        return status;
    p->values[p->value_count] = value;
    return push(r, (uint32_t)p->value_count++);
}

static enum berth_status add_member(struct reader *r, uint32_t container, uint32_t key, uint32_t value)
{
    struct berth_pickle *p = r->pickle;
    enum berth_status status =
        reserve(r, (void **)&p->members, &p->member_capacity, p->member_count + 1, sizeof *p->members);
    if (status == BERTH_OK)
        p->members[p->member_count++] = (struct berth_pickle_member){container, key, value};
    return status;
}

/* --- operands
 * ------------------------------------------------------------------------------------------------ */

static enum berth_status take(struct reader *r, size_t count, const unsigned char **bytes)
{
    if (count > r->size - r->at)
        return malformed(r, "it ends too early");
    *bytes = r->data + r->at;
    r->at += count;
    return BERTH_OK;
}

/* A little-endian integer of `width` <= 8 bytes. */
static enum berth_status take_number(struct reader *r, size_t width, uint64_t *number)
{
    const unsigned char *bytes = NULL;
    enum berth_status status = take(r, width, &bytes);
    *number = 0;
    for (size_t i = 0; status == BERTH_OK && i < width; i++)
        *number |= (uint64_t)bytes[i] << (8 * i);
    return status;
}

/* A line of GLOBAL's operand, its newline dropped. */
static enum berth_status take_line(struct reader *r, const unsigned char **line, size_t *length)
{
    const unsigned char *end = memchr(r->data + r->at, '\n', r->size - r->at);
    if (!end)
        return malformed(r, "a name without an end");
    *line = r->data + r->at;
    *length = (size_t)(end - *line);
    r->at += *length + 1;
    return BERTH_OK;
}

/* --- the stack
 * ----------------------------------------------------------------------------------------------- */

static enum berth_status pop(struct reader *r, uint32_t *index)
{
    if (r->depth == 0 || r->stack[r->depth - 1] == MARK)
        return malformed(r, "nothing is left on the stack");
    *index = r->stack[--r->depth];
    return BERTH_OK;
}

/* The position on the stack of the last MARK. */
static enum berth_status find_mark(struct reader *r, size_t *position)
{
    for (size_t i = r->depth; i-- > 0;)
        if (r->stack[i] == MARK) {
            *position = i;
            return BERTH_OK;
        }
    return malformed(r, "no mark is on the stack");
}

/* The container of the given kind just below position `below`. */
static enum berth_status find_container(struct reader *r, size_t below, enum berth_pickle_kind kind,
                                        uint32_t *index)
{
    if (below == 0 || r->stack[below - 1] == MARK || r->pickle->values[r->stack[below - 1]].kind != kind)
        return malformed(r, "items without their list or dictionary");
    *index = r->stack[below - 1];
    return BERTH_OK;
}

static const struct berth_pickle_value *value_at(const struct reader *r, uint32_t index)
{
    return &r->pickle->values[index];
}

/* --- opcodes
 * ------------------------------------------------------------------------------------------------- */

static enum berth_status push_integer(struct reader *r, size_t width)
{
    uint64_t number = 0;
    enum berth_status status = take_number(r, width, &number);
    int64_t value = width == 4 ? (int32_t)(uint32_t)number : (int64_t)number;
    return status != BERTH_OK
               ? status
               : push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_INT, .integer = value});
}

/* LONG1: two's complement of the given length. */
static enum berth_status push_long(struct reader *r)
{
    uint64_t length = 0;
    const unsigned char *bytes = NULL;
    enum berth_status status = take_number(r, 1, &length);
    if (status != BERTH_OK || (status = take(r, length, &bytes)) != BERTH_OK)
        return status;
    if (length > 8)
        return push_value(r, (struct berth_pickle_value){
                                 .kind = BERTH_PICKLE_LONG, .count = (uint32_t)length, .text = bytes});
    uint64_t number = length > 0 && bytes[length - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = length; i-- > 0;)
        number = number << 8 | bytes[i];
    return push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_INT, .integer = (int64_t)number});
}

static enum berth_status push_text(struct reader *r, size_t width)
{
    uint64_t length = 0;
    const unsigned char *bytes = NULL;
    enum berth_status status = take_number(r, width, &length);
    if (status != BERTH_OK || (status = take(r, length, &bytes)) != BERTH_OK)
        return status;
    return push_value(
        r, (struct berth_pickle_value){.kind = BERTH_PICKLE_TEXT, .count = (uint32_t)length, .text = bytes});
}

/* Pops everything above `from` into a tuple. */
static enum berth_status push_tuple(struct reader *r, size_t from, size_t below)
{
    struct berth_pickle *p = r->pickle;
    struct berth_pickle_value tuple = {
        .kind = BERTH_PICKLE_TUPLE, .count = (uint32_t)(r->depth - from), .first = (uint32_t)p->member_count};
    enum berth_status status = BERTH_OK;
    for (size_t i = from; i < r->depth && status == BERTH_OK; i++)
        status = r->stack[i] == MARK ? malformed(r, "a tuple across a mark")
                                     : add_member(r, (uint32_t)p->value_count, 0, r->stack[i]);
    r->depth = below;
    return status == BERTH_OK ? push_value(r, tuple) : status;
}

static enum berth_status push_marked_tuple(struct reader *r)
{
    size_t mark = 0;
    enum berth_status status = find_mark(r, &mark);
    return status == BERTH_OK ? push_tuple(r, mark + 1, mark) : status;
}

static enum berth_status push_short_tuple(struct reader *r, size_t count)
{
    return r->depth < count ? malformed(r, "nothing is left on the stack")
                            : push_tuple(r, r->depth - count, r->depth - count);
}

/* Moves stack[from, depth) into the container below `below`; `step` is 1 for a list, 2 for a dictionary. */
static enum berth_status add_items(struct reader *r, size_t from, size_t below, size_t step)
{
    uint32_t container = 0;
    enum berth_status status =
        find_container(r, below, step == 2 ? BERTH_PICKLE_DICT : BERTH_PICKLE_LIST, &container);
    if (status == BERTH_OK && (r->depth - from) % step != 0)
        status = malformed(r, "a key without a value");
    for (size_t i = from; i < r->depth && status == BERTH_OK; i += step)
        status = add_member(r, container, r->stack[i], r->stack[i + step - 1]);
    r->depth = below;
    return status;
}

static enum berth_status add_marked_items(struct reader *r, size_t step)
{
    size_t mark = 0;
    enum berth_status status = find_mark(r, &mark);
    return status == BERTH_OK ? add_items(r, mark + 1, mark, step) : status;
}

/* SETITEM, APPEND: the container and `step` items on top of the stack. */
static enum berth_status add_top_items(struct reader *r, size_t step)
{
    if (r->depth < step)
        return malformed(r, "nothing is left on the stack");
    for (size_t i = r->depth - step; i < r->depth; i++)
        if (r->stack[i] == MARK)
            return malformed(r, "a mark where an item is meant");
    return add_items(r, r->depth - step, r->depth - step, step);
}

static enum berth_status memoize(struct reader *r, uint64_t slot)
{
    /* Picklers number from 0, and each number costs two bytes at least: a larger one is made up. */
    if (r->depth == 0 || r->stack[r->depth - 1] == MARK || slot >= r->at)
        return malformed(r, "an impossible memo");
    size_t old = r->memo_capacity;
    enum berth_status status =
        reserve(r, (void **)&r->memo, &r->memo_capacity, (size_t)slot + 1, sizeof *r->memo);
    if (status != BERTH_OK)
        return status;
    for (size_t i = old; i < r->memo_capacity; i++)
        r->memo[i] = MARK;
    r->memo[slot] = r->stack[r->depth - 1];
    r->memo_size = berth_max(r->memo_size, (size_t)slot + 1);
    return BERTH_OK;
}

static enum berth_status memoize_numbered(struct reader *r, size_t width)
{
    uint64_t slot = 0;
    enum berth_status status = take_number(r, width, &slot);
    return status == BERTH_OK ? memoize(r, slot) : status;
}

static enum berth_status recall(struct reader *r, size_t width)
{
    uint64_t slot = 0;
    enum berth_status status = take_number(r, width, &slot);
    if (status != BERTH_OK)
        return status;
    return slot < r->memo_size && r->memo[slot] != MARK ? push(r, r->memo[slot])
                                                        : malformed(r, "an empty memo");
}

/* A global by its module and name. */
static enum berth_status push_global(struct reader *r, const unsigned char *module, size_t module_length,
                                     const unsigned char *name, size_t name_length)
{
    for (unsigned i = 0; i < sizeof globals / sizeof *globals; i++) {
        const char *want = globals[i].name;
        if (strlen(want) == module_length + 1 + name_length && memcmp(want, module, module_length) == 0 &&
            want[module_length] == ' ' && memcmp(want + module_length + 1, name, name_length) == 0)
            return push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_GLOBAL, .global = i});
    }
    char text[160];
    snprintf(text, sizeof text, "%.*s.%.*s", (int)berth_min(module_length, 70), (const char *)module,
             (int)berth_min(name_length, 70), (const char *)name);
    return refuse(r, "global", text);
}

static enum berth_status push_named_global(struct reader *r)
{
    const unsigned char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    enum berth_status status = take_line(r, &module, &module_length);
    if (status == BERTH_OK)
        status = take_line(r, &name, &name_length);
    return status == BERTH_OK ? push_global(r, module, module_length, name, name_length) : status;
}

static enum berth_status push_stack_global(struct reader *r)
{
    uint32_t name = 0, module = 0;
    enum berth_status status = pop(r, &name);
    if (status != BERTH_OK || (status = pop(r, &module)) != BERTH_OK)
        return status;
    const struct berth_pickle_value *m = value_at(r, module), *n = value_at(r, name);
    if (m->kind != BERTH_PICKLE_TEXT || n->kind != BERTH_PICKLE_TEXT)
        return malformed(r, "a global without a name");
    return push_global(r, m->text, m->count, n->text, n->count);
}

static bool item_is(const struct reader *r, const struct berth_pickle_value *tuple, size_t i,
                    enum berth_pickle_kind kind)
{
    return i < tuple->count && berth_pickle_item(r->pickle, tuple, i)->kind == kind;
}

/* BINPERSID: the tuple ("storage", type, key, location, elements[, view]) becomes a storage. */
static enum berth_status push_storage(struct reader *r)
{
    uint32_t index = 0;
    enum berth_status status = pop(r, &index);
    if (status != BERTH_OK)
        return status;
    struct berth_pickle_value storage = *value_at(r, index);
    if (storage.kind != BERTH_PICKLE_TUPLE || storage.count < 5 ||
        !berth_pickle_is_text(berth_pickle_item(r->pickle, &storage, 0), "storage"))
        return refuse(r, "a persistent object that is no", "storage");
    const struct berth_pickle_value *type = berth_pickle_item(r->pickle, &storage, 1);
    if (type->kind != BERTH_PICKLE_GLOBAL || globals[type->global].call != CALL_NOTHING ||
        !item_is(r, &storage, 2, BERTH_PICKLE_TEXT) || !item_is(r, &storage, 4, BERTH_PICKLE_INT))
        return malformed(r, "a storage without type, key or size");
    if (storage.count > 5 && !item_is(r, &storage, 5, BERTH_PICKLE_OTHER))
        return refuse(r, "a view of a", "storage");
    storage.kind = BERTH_PICKLE_STORAGE;
    return push_value(r, storage);
}

static enum berth_status call_tensor(struct reader *r, const struct berth_pickle_value *arguments)
{
    if (!item_is(r, arguments, 0, BERTH_PICKLE_STORAGE) || !item_is(r, arguments, 1, BERTH_PICKLE_INT) ||
        !item_is(r, arguments, 2, BERTH_PICKLE_TUPLE) || !item_is(r, arguments, 3, BERTH_PICKLE_TUPLE))
        return malformed(r, "a tensor without storage, offset, size or stride");
    struct berth_pickle_value tensor = *arguments;
    tensor.kind = BERTH_PICKLE_TENSOR;
    return push_value(r, tensor);
}

/* REDUCE: calls a global, that is, describes what the call would make. */
static enum berth_status call(struct reader *r)
{
    uint32_t index = 0, callee = 0;
    enum berth_status status = pop(r, &index);
    if (status != BERTH_OK || (status = pop(r, &callee)) != BERTH_OK)
        return status;
    const struct berth_pickle_value *arguments = value_at(r, index), *function = value_at(r, callee);
    if (arguments->kind != BERTH_PICKLE_TUPLE || function->kind != BERTH_PICKLE_GLOBAL)
        return malformed(r, "a call of something that is no function");
    switch (globals[function->global].call) {
        case CALL_DICT:
            if (arguments->count > 0)
                return refuse(r, "an argument of", globals[function->global].name);
            return push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_DICT});
        case CALL_TENSOR:
            return call_tensor(r, arguments);
        case CALL_PARAMETER:
            if (!item_is(r, arguments, 0, BERTH_PICKLE_TENSOR))
                return malformed(r, "a parameter without a tensor");
            return push(r, r->pickle->members[arguments->first].value);
        case CALL_NOTHING:
            break;
    }
    return refuse(r, "a call of", globals[function->global].name);
}

/* BUILD: attributes of a dictionary (a state_dict's _metadata) are dropped. */
static enum berth_status build(struct reader *r)
{
    uint32_t state = 0, object = 0;
    enum berth_status status = pop(r, &state);
    if (status == BERTH_OK)
        status = find_container(r, r->depth, BERTH_PICKLE_DICT, &object);
    return status;
}

static enum berth_status check_protocol(struct reader *r)
{
    uint64_t version = 0;
    enum berth_status status = take_number(r, 1, &version);
    return status == BERTH_OK && (version < 2 || version > 5) ? malformed(r, "no protocol from 2 to 5")
                                                              : status;
}

static enum berth_status skip(struct reader *r, size_t count)
{
    const unsigned char *ignored = NULL;
    return take(r, count, &ignored);
}

/* One opcode; STOP is the caller's. */
static enum berth_status dispatch(struct reader *r, unsigned char code)
{
    uint32_t ignored;
    enum berth_status status;
    switch (code) {
        case 0x80: /* PROTO */
            return check_protocol(r);
        case 0x95: /* FRAME: a hint about sizes */
            return skip(r, 8);
        case '(': /* MARK */
            return push(r, MARK);
        case '0': /* POP */
            return pop(r, &ignored);
        case 'N': /* NONE */
            return push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_OTHER});
        case 'G': /* BINFLOAT */
            status = skip(r, 8);
            return status == BERTH_OK ? push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_OTHER})
                                      : status;
        case 0x88: /* NEWTRUE */
        case 0x89: /* NEWFALSE */
            return push_value(
                r, (struct berth_pickle_value){.kind = BERTH_PICKLE_BOOL, .integer = code == 0x88});
        case 'K': /* BININT1 */
            return push_integer(r, 1);
        case 'M': /* BININT2 */
            return push_integer(r, 2);
        case 'J': /* BININT */
            return push_integer(r, 4);
        case 0x8a: /* LONG1 */
            return push_long(r);
        case 'U':  /* SHORT_BINSTRING */
        case 0x8c: /* SHORT_BINUNICODE */
            return push_text(r, 1);
        case 'T': /* BINSTRING */
        case 'X': /* BINUNICODE */
            return push_text(r, 4);
        case ')': /* EMPTY_TUPLE */
            return push_short_tuple(r, 0);
        case 0x85: /* TUPLE1 */
        case 0x86: /* TUPLE2 */
        case 0x87: /* TUPLE3 */
            return push_short_tuple(r, code - 0x84u);
        case 't': /* TUPLE */
            return push_marked_tuple(r);
        case ']': /* EMPTY_LIST */
            return push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_LIST});
        case '}': /* EMPTY_DICT */
            return push_value(r, (struct berth_pickle_value){.kind = BERTH_PICKLE_DICT});
        case 'a': /* APPEND */
            return add_top_items(r, 1);
        case 'e': /* APPENDS */
            return add_marked_items(r, 1);
        case 's': /* SETITEM */
            return add_top_items(r, 2);
        case 'u': /* SETITEMS */
            return add_marked_items(r, 2);
        case 'q': /* BINPUT */
            return memoize_numbered(r, 1);
        case 'r': /* LONG_BINPUT */
            return memoize_numbered(r, 4);
        case 0x94: /* MEMOIZE */
            return memoize(r, r->memo_size);
        case 'h': /* BINGET */
            return recall(r, 1);
        case 'j': /* LONG_BINGET */
            return recall(r, 4);
        case 'c': /* GLOBAL */
            return push_named_global(r);
        case 0x93: /* STACK_GLOBAL */
            return push_stack_global(r);
        case 'Q': /* BINPERSID */
            return push_storage(r);
        case 'R': /* REDUCE */
            return call(r);
        case 'b': /* BUILD */
            return build(r);
        default:
            return refuse_opcode(r, code);
    }
}

static enum berth_status run(struct reader *r)
{
    for (;;) {
        r->opcode_at = r->at;
        if (r->at == r->size)
            return r->size < BERTH_PICKLE_LIMIT
                       ? malformed(r, "it ends without STOP")
                       : berth_fail(r->err, BERTH_LIMIT, "%s: a pickle of more than %d bytes", r->path,
                                    BERTH_PICKLE_LIMIT);
        unsigned char code = r->data[r->at++];
        enum berth_status status = code == '.' ? pop(r, &r->pickle->root) : dispatch(r, code);
        if (status != BERTH_OK || code == '.')
            return status;
    }
}

enum berth_status berth_pickle_read(const char *path, const unsigned char *data, size_t size,
                                    struct berth_pickle *pickle, struct berth_error *err)
{
    *pickle = (struct berth_pickle){0};
    struct reader reader = {.path = path,
                            .data = data,
                            .size = berth_min(size, BERTH_PICKLE_LIMIT),
                            .pickle = pickle,
                            .err = err};
    enum berth_status status = run(&reader);
    pickle->size = reader.at;
    berth_free(reader.stack);
    berth_free(reader.memo);
    if (status != BERTH_OK)
        berth_pickle_clear(pickle);
    return status;
}

void berth_pickle_clear(struct berth_pickle *pickle)
{
    berth_free(pickle->values);
    berth_free(pickle->members);
    *pickle = (struct berth_pickle){0};
}

enum berth_dtype berth_pickle_storage_dtype(const struct berth_pickle *pickle,
                                            const struct berth_pickle_value *storage)
{
    return globals[berth_pickle_item(pickle, storage, 1)->global].dtype;
}

bool berth_pickle_is_text(const struct berth_pickle_value *value, const char *word)
{
    return value->kind == BERTH_PICKLE_TEXT && value->count == strlen(word) &&
           memcmp(value->text, word, value->count) == 0;
}
