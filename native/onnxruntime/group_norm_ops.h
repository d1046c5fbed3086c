// The kernel as ONNX Runtime operators.
#pragma once

#include "c_api.h"

namespace ort {

// The domain of BlockedGroupNormalization, which blocked_group_norm_op.h describes, and of FusedGroupNormalization:
// GroupNormalization with what follows it. The latter's inputs are X, scale, bias and optionally a residual, which is
// added as by Add, but of no more dimensions than X; its attributes are num_groups (0: one group per channel), epsilon,
// correction (0, or 1 for the variance over one element less, as PyTorch's var; optional) and activation ("none",
// "relu" or "silu"): activation(GroupNormalization(X, scale, bias) + residual). The session writes them into a model
// that it loads; they are in no file.
constexpr const char* kFusedDomain = "onnx_groupnorm";

// Gives sessions the standard GroupNormalization of the default domain, which the runtime then prefers to the
// operator's function body, and the operators of kFusedDomain. For float32, float64, float16 and bfloat16: once one
// element type has a kernel under that name, the runtime refuses models with any other.
void addGroupNormOps(SessionOptions*);

}  // namespace ort
