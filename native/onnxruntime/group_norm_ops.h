// The kernel as ONNX Runtime operators.
#pragma once

#include "c_api.h"

namespace ort {

// The domain of BlockedGroupNormalization (blocked_group_norm_op.h) and of FusedGroupNormalization, which is
// GroupNormalization with what follows it. The inputs of FusedGroupNormalization are X, scale, bias
// and optionally a residual, which is added as by Add, but of no more dimensions than X; its attributes are
// num_groups, epsilon and activation ("none", "relu" or "silu"):
// activation(GroupNormalization(X, scale, bias) + residual). The session writes it into a model that it loads; it is
// in no file.
constexpr const char* kFusedDomain = "onnx_groupnorm";

// Gives sessions the standard GroupNormalization of the default domain, which the runtime then prefers to the
// operator's function body, and the operators of kFusedDomain. For float32, float64, float16 and bfloat16: once one
// element type has a kernel under that name, the runtime refuses models with any other.
void addGroupNormOps(SessionOptions*);

}  // namespace ort
