// What the operators of this addon have in common: what they read of a node and of a run, and what they write.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "../kernel/group_norm.h"
#include "broadcast.h"
#include "library.h"

namespace ort {

// The inputs of every operator; the residual is optional.
enum Input : size_t { kX, kScale, kBias, kResidual };

struct Tensor {
  void* data = nullptr;
  Shape shape;
};

Status* failure(const char* name, const std::exception& error, ErrorCode code);

// Runs `body`, and returns an exception as a status, because exceptions must not reach the runtime.
template <typename Body>
Status* guarded(const char* name, const Body& body) try {
  body();
  return nullptr;
} catch (const Error& error) {
  return failure(name, error, error.code());
} catch (const std::exception& error) {
  return failure(name, error, kFail);
}

[[noreturn]] void refuse(const std::string& message);

std::string describe(const Shape& shape);

int64_t readInt(const KernelInfo* info, const char* name);
// 0 if the node does not carry it.
int64_t readCorrection(const KernelInfo* info);
group_norm::Activation readActivation(const KernelInfo* info);
// epsilon has a default in ONNX, so a node need not carry it.
float readEpsilon(const KernelInfo* info);

// nullopt for an optional input that the node leaves out.
std::optional<Tensor> readOptional(const KernelContext* context, size_t index);
Tensor readInput(const KernelContext* context, Input input);

// Returns the memory of the output, which is of this shape.
void* writeOutput(KernelContext* context, const Shape& shape);

// The product of all dimensions after the channels; 0 for an empty tensor, whose other dimensions may be too large for
// their product.
int64_t spatialOf(const Shape& shape);

// The shape of GroupNormalization(X) + residual. The session fuses an Add whose terms have equal shapes by the names of
// their sizes, and a name promises nothing: at run time either term may have a size of 1 that Add repeats.
Shape resultShape(const Tensor& x, const std::optional<Tensor>& residual);

// The elements of a tensor as if it had `shape`: `copy` holds them if they must be repeated. Repeated elements of X
// have the mean and the variance of X.
const void* elementsAs(const Tensor& tensor, const Shape& shape, size_t elementBytes, std::vector<char>& copy);

// Computes y with the session's own threads. Throws Error.
void runKernel(const group_norm::Problem& problem, KernelContext* context);

// A description of an operator with these inputs and one output of X's shape. It lacks the name, the types, the number
// of inputs and the kernel.
CustomOp makeNormalization();

}  // namespace ort
