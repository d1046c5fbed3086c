#include "op_support.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

namespace ort {

using group_norm::Activation;

namespace {

Activation parseActivation(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "relu") return Activation::relu;
  if (name == "silu") return Activation::silu;
  refuse("activation '" + name + "' is unknown; known: none, relu, silu");
}

Shape shapeOf(const Value* value) {
  TensorTypeAndShapeInfo* info = nullptr;
  check(api().GetTensorTypeAndShape(value, &info));
  const OwnedTensorInfo owned(info);
  size_t rank = 0;
  check(api().GetDimensionsCount(info, &rank));
  Shape shape(rank);
  check(api().GetDimensions(info, shape.data(), rank));
  return shape;
}

// The session's own threads. Should they fail, nothing has run yet, and the calling thread does it all.
void parallelFor(void* context, size_t count, void (*body)(void* user, size_t index), void* user) {
  Status* failed = api().KernelContext_ParallelFor(static_cast<const KernelContext*>(context), body, count, 0, user);
  if (!failed) return;
  api().ReleaseStatus(failed);
  for (size_t index = 0; index < count; index++) body(user, index);
}

group_norm::Threads sessionThreads(KernelContext* context) {
  static const int processors = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return {parallelFor, context, processors};
}

bool isKnownOrNamed(const TensorTypeAndShapeInfo* info) {
  size_t rank = 0;
  check(api().GetDimensionsCount(info, &rank));
  Shape shape(rank);
  std::vector<const char*> names(rank, "");
  check(api().GetDimensions(info, shape.data(), rank));
  check(api().GetSymbolicDimensions(info, names.data(), rank));
  for (size_t axis = 0; axis < rank; axis++) {
    if (shape[axis] < 0 && !*names[axis]) return false;
  }
  return rank > 0;
}

// The output is X's shape: without this the runtime plans and fuses nothing behind the operator. A size that has
// neither number nor name is -1 here, which the runtime would take for a number.
Status* inferShape(const CustomOp* op, ShapeInferContext* context) {
  return guarded(op->GetName(op), [&] {
    TensorTypeAndShapeInfo* info = nullptr;
    check(api().ShapeInferContext_GetInputTypeShape(context, kX, &info));
    if (isKnownOrNamed(info)) check(api().ShapeInferContext_SetOutputTypeShape(context, 0, info));
  });
}

}  // namespace

Status* failure(const char* name, const std::exception& error, ErrorCode code) {
  return api().CreateStatus(code, (std::string(name) + ": " + error.what()).c_str());
}

void refuse(const std::string& message) { throw Error(message, kInvalidArgument); }

std::string describe(const Shape& shape) {
  std::string text = "[";
  for (const int64_t dim : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + "]";
}

int64_t readInt(const KernelInfo* info, const char* name) {
  int64_t value = 0;
  check(api().KernelInfoGetAttribute_int64(info, name, &value));
  return value;
}

Activation readActivation(const KernelInfo* info) {
  char name[16];
  size_t size = sizeof name;
  check(api().KernelInfoGetAttribute_string(info, "activation", name, &size));
  return parseActivation(name);
}

float readEpsilon(const KernelInfo* info) {
  float epsilon = 1e-5f;
  Status* absent = api().KernelInfoGetAttribute_float(info, "epsilon", &epsilon);
  if (absent) {
    api().ReleaseStatus(absent);
    epsilon = 1e-5f;
  }
  return epsilon;
}

int64_t readCorrection(const KernelInfo* info) {
  int64_t correction = 0;
  Status* absent = api().KernelInfoGetAttribute_int64(info, "correction", &correction);
  if (absent) {
    api().ReleaseStatus(absent);
    return 0;
  }
  if (correction != 0 && correction != 1) refuse("correction is " + std::to_string(correction) + ", not 0 or 1");
  return correction;
}

std::optional<Tensor> readOptional(const KernelContext* context, size_t index) {
  size_t inputs = 0;
  check(api().KernelContext_GetInputCount(context, &inputs));
  if (index >= inputs) return std::nullopt;
  const Value* value = nullptr;
  check(api().KernelContext_GetInput(context, index, &value));
  if (!value) return std::nullopt;
  Tensor tensor;
  // The runtime has no accessor for data that is only read.
  check(api().GetTensorMutableData(const_cast<Value*>(value), &tensor.data));
  tensor.shape = shapeOf(value);
  return tensor;
}

Tensor readInput(const KernelContext* context, Input input) { return readOptional(context, input).value(); }

void* writeOutput(KernelContext* context, const Shape& shape) {
  Value* value = nullptr;
  check(api().KernelContext_GetOutput(context, 0, shape.data(), shape.size(), &value));
  void* data = nullptr;
  check(api().GetTensorMutableData(value, &data));
  return data;
}

int64_t spatialOf(const Shape& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  return std::accumulate(shape.begin() + 2, shape.end(), int64_t{1}, std::multiplies<>());
}

Shape resultShape(const Tensor& x, const std::optional<Tensor>& residual) {
  if (!residual) return x.shape;
  const std::optional<Shape> shape = broadcastShape(x.shape, residual->shape);
  if (!shape || shape->size() != x.shape.size()) {
    refuse("residual " + describe(residual->shape) + " must broadcast to the rank of X, " + describe(x.shape));
  }
  return *shape;
}

const void* elementsAs(const Tensor& tensor, const Shape& shape, size_t elementBytes, std::vector<char>& copy) {
  if (tensor.shape == shape) return tensor.data;
  copy = expand(tensor.data, tensor.shape, shape, elementBytes);
  return copy.data();
}

void runKernel(const group_norm::Problem& problem, KernelContext* context) {
  switch (group_norm::run(problem, sessionThreads(context))) {
    case group_norm::Outcome::done:
      return;
    case group_norm::Outcome::invalid:
      throw Error("the sizes of X are invalid", kInvalidArgument);
    case group_norm::Outcome::outOfMemory:
      throw Error("out of memory");
  }
}

CustomOp makeNormalization() {
  CustomOp op{};
  op.version = kApiVersion;
  op.GetExecutionProviderType = [](const CustomOp*) { return "CPUExecutionProvider"; };
  op.GetOutputTypeCount = [](const CustomOp*) { return size_t{1}; };
  op.GetInputCharacteristic = [](const CustomOp*, size_t index) { return index < kResidual ? kRequired : kOptional; };
  op.GetOutputCharacteristic = [](const CustomOp*, size_t) { return kRequired; };
  op.GetInputMemoryType = [](const CustomOp*, size_t) { return kMemoryDefault; };
  op.InferOutputShapeFn = inferShape;
  op.GetStartVersion = [](const CustomOp*) { return 1; };
  op.GetEndVersion = [](const CustomOp*) { return 0x7fffffff; };
  op.ReleaseMayInplace = [](int*, int*) {};
  return op;
}

}  // namespace ort
