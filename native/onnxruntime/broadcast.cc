#include "broadcast.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

namespace ort {
namespace {

// The shape with ones in front, so that it has `rank` dimensions.
Shape padded(const Shape& shape, size_t rank) {
  Shape result(rank - shape.size(), 1);
  result.insert(result.end(), shape.begin(), shape.end());
  return result;
}

size_t elementCount(Shape::const_iterator begin, Shape::const_iterator end) {
  return static_cast<size_t>(std::accumulate(begin, end, int64_t{1}, std::multiplies<>()));
}

// Writes the elements of the dimensions from `own` and `wanted` on, and returns the end of what it wrote.
char* repeat(const char* from, Shape::const_iterator own, Shape::const_iterator ownEnd, Shape::const_iterator wanted,
             size_t elementBytes, char* to) {
  if (std::equal(own, ownEnd, wanted)) {
    const size_t bytes = elementCount(own, ownEnd) * elementBytes;
    std::memcpy(to, from, bytes);
    return to + bytes;
  }
  const size_t step = *own == 1 ? 0 : elementCount(own + 1, ownEnd) * elementBytes;
  for (int64_t index = 0; index < *wanted; ++index, from += step) {
    to = repeat(from, own + 1, ownEnd, wanted + 1, elementBytes, to);
  }
  return to;
}

}  // namespace

std::optional<Shape> broadcastShape(const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape shape = padded(a, rank);
  const Shape other = padded(b, rank);
  for (size_t axis = 0; axis < rank; ++axis) {
    if (shape[axis] == 1) shape[axis] = other[axis];
    if (other[axis] != 1 && other[axis] != shape[axis]) return std::nullopt;
  }
  return shape;
}

std::vector<char> expand(const void* elements, const Shape& own, const Shape& wanted, size_t elementBytes) {
  std::vector<char> expanded(elementCount(wanted.begin(), wanted.end()) * elementBytes);
  if (expanded.empty()) return expanded;
  const Shape dims = padded(own, wanted.size());
  repeat(static_cast<const char*>(elements), dims.begin(), dims.end(), wanted.begin(), elementBytes, expanded.data());
  return expanded;
}

}  // namespace ort
