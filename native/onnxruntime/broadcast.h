// Broadcasting of tensors as ONNX defines it for Add: shapes are aligned at their ends, and a size of 1 is repeated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ort {

using Shape = std::vector<int64_t>;

// Returns the shape of a + b, or nullopt if their sizes do not fit.
std::optional<Shape> broadcastShape(const Shape& a, const Shape& b);

// Returns the elements of a tensor of shape `own`, repeated to the shape `wanted`, to which `own` must broadcast.
std::vector<char> expand(const void* elements, const Shape& own, const Shape& wanted, size_t elementBytes);

}  // namespace ort
