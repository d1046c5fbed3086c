// GroupNormalization of tensors in the layout of ONNX Runtime's blocked convolutions (NCHWc) as an operator.
#pragma once

#include "c_api.h"

namespace ort {

// BlockedGroupNormalization, for float32. Its inputs are X, scale, bias and optionally a residual of X's shape; its
// attributes are those of FusedGroupNormalization and block_size, which is 8 or 16:
// activation(GroupNormalization(X, scale, bias) + residual). Where a size of the batch or of a spatial dimension is 1,
// the sum repeats the elements, as Add does.
//
// X is what ReorderInput of the domain com.microsoft.nchwc writes: its shape is (N, P, ...), P being the channels
// rounded up to whole blocks, and its memory is (N, P / block_size, ..., block_size). scale and bias have one element
// per channel; they say how many channels there are. The padding of the last block is not read, and 0 in the output.
const CustomOp& blockedGroupNormOp();

}  // namespace ort
