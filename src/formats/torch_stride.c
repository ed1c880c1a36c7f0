/* torch_stride.c: from strides to row-major. Checkpoints converted from TensorFlow keep their matrices as
 * transposed views; everything else is contiguous and stays a view on the file. Called by torch_bin.c. */
#include "formats/torch_stride.h"

#include <string.h>

#include "base/checked.h"

/* The highest element that a view with at least one element reaches; false when it is outside of the storage.
 */
static bool lies_inside(const struct berth_strided *view)
{
    size_t last = (size_t)view->offset;
    for (size_t i = 0; i < view->rank; i++) {
        size_t reach;
        if (!berth_mul((size_t)view->size[i] - 1, (size_t)view->stride[i], &reach) ||
            !berth_add(last, reach, &last))
            return false;
    }
    return last < view->elements;
}

/* A dimension of one element may have any stride. */
static bool is_contiguous(const struct berth_strided *view)
{
    size_t expected = 1;
    for (size_t i = view->rank; i-- > 0;) {
        if (view->size[i] != 1 && (size_t)view->stride[i] != expected)
            return false;
        expected *= (size_t)view->size[i];
    }
    return true;
}

bool berth_strided_resolve(const struct berth_strided *view, struct berth_tensor *tensor)
{
    *tensor = (struct berth_tensor){.dtype = view->dtype, .rank = view->rank, .elements = 1};
    if (view->offset < 0 || (uint64_t)view->offset > view->elements)
        return false;
    for (size_t i = 0; i < view->rank; i++) {
        if (view->size[i] < 0 || view->stride[i] < 0)
            return false;
        tensor->shape[i] = (size_t)view->size[i];
        if (!berth_mul(tensor->elements, tensor->shape[i], &tensor->elements))
            return false;
    }
    size_t element = berth_dtype_size(view->dtype);
    if (!berth_mul(tensor->elements, element, &tensor->bytes) || (tensor->elements > 0 && !lies_inside(view)))
        return false;
    if (tensor->elements == 0 || is_contiguous(view))
        tensor->data = view->data + (size_t)view->offset * element;
    return true;
}

static void copy_row(const unsigned char *from, size_t step, size_t count, size_t element, unsigned char *out)
{
    switch (element) { /* a constant size makes each copy one load and one store */
        case 2:
            for (size_t i = 0; i < count; i++)
                memcpy(out + 2 * i, from + step * i, 2);
            break;
        case 4:
            for (size_t i = 0; i < count; i++)
                memcpy(out + 4 * i, from + step * i, 4);
            break;
        default:
            for (size_t i = 0; i < count; i++)
                memcpy(out + element * i, from + step * i, element);
    }
}

void berth_strided_copy(const struct berth_strided *view, unsigned char *out)
{
    size_t element = berth_dtype_size(view->dtype), last = view->rank - 1;
    size_t row = (size_t)view->size[last];
    int64_t at[BERTH_TENSOR_MAX_RANK] = {0}; /* the row's position; not contiguous, so rank is at least 1 */
    size_t start = (size_t)view->offset;
    for (;;) {
        copy_row(view->data + start * element, (size_t)view->stride[last] * element, row, element, out);
        out += row * element;
        size_t i = last;
        while (i > 0) {
            i--;
            start += (size_t)view->stride[i];
            if (++at[i] < view->size[i])
                break;
            start -= (size_t)view->stride[i] * (size_t)view->size[i];
            at[i] = 0;
            if (i == 0)
                return;
        }
        if (last == 0)
            return;
    }
}
