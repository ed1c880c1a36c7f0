/* onnx_types.h: element types of ONNX tensors, by ONNX's own numbers. */
#ifndef BERTH_FORMATS_ONNX_TYPES_H
#define BERTH_FORMATS_ONNX_TYPES_H

#include <stddef.h>

enum berth_onnx_type {
    BERTH_ONNX_F32 = 1,
    BERTH_ONNX_U8 = 2,
    BERTH_ONNX_I8 = 3,
    BERTH_ONNX_I32 = 6,
    BERTH_ONNX_I64 = 7,
    BERTH_ONNX_BOOL = 9,
    BERTH_ONNX_F16 = 10,
    BERTH_ONNX_F64 = 11,
    BERTH_ONNX_BF16 = 16
};

/* Bytes of one element; 0 for a type that berth does not know. */
static inline size_t berth_onnx_type_size(int type)
{
    switch (type) {
        case BERTH_ONNX_U8:
        case BERTH_ONNX_I8:
        case BERTH_ONNX_BOOL:
            return 1;
        case BERTH_ONNX_F16:
        case BERTH_ONNX_BF16:
            return 2;
        case BERTH_ONNX_F32:
        case BERTH_ONNX_I32:
            return 4;
        case BERTH_ONNX_I64:
        case BERTH_ONNX_F64:
            return 8;
        default:
            return 0;
    }
}

#endif
