#include "group_norm_ops.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../kernel/group_norm.h"
#include "broadcast.h"
#include "library.h"

namespace ort {
namespace {

using group_norm::Activation;
using group_norm::DType;

struct GroupNormOp : CustomOp {
  const char* name;
  ElementType elementType;
  DType dtype;
  bool fused;
};

enum Input : size_t { kX, kScale, kBias, kResidual };

// What a node's attributes say; one for each node of a session.
struct Kernel {
  DType dtype;
  // 0: one per channel, of whatever X has.
  int64_t numGroups;
  float epsilon;
  Activation activation;
};

Status* failure(const char* name, const std::exception& error, ErrorCode code) {
  return api().CreateStatus(code, (std::string(name) + ": " + error.what()).c_str());
}

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

[[noreturn]] void refuse(const std::string& message) { throw Error(message, kInvalidArgument); }

Activation parseActivation(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "relu") return Activation::relu;
  if (name == "silu") return Activation::silu;
  refuse("activation '" + name + "' is unknown; known: none, relu, silu");
}

Activation readActivation(const KernelInfo* info) {
  char name[16];
  size_t size = sizeof name;
  check(api().KernelInfoGetAttribute_string(info, "activation", name, &size));
  return parseActivation(name);
}

// epsilon has a default in ONNX, so a node need not carry it.
float readEpsilon(const KernelInfo* info) {
  float epsilon = 1e-5f;
  Status* absent = api().KernelInfoGetAttribute_float(info, "epsilon", &epsilon);
  if (absent) {
    api().ReleaseStatus(absent);
    epsilon = 1e-5f;
  }
  return epsilon;
}

Status* createKernel(const CustomOp* op, const Api*, const KernelInfo* info, void** out) {
  return guarded(op->GetName(op), [&] {
    const auto& self = *static_cast<const GroupNormOp*>(op);
    Kernel kernel{self.dtype, 0, readEpsilon(info), Activation::none};
    check(api().KernelInfoGetAttribute_int64(info, "num_groups", &kernel.numGroups));
    if (kernel.numGroups < (self.fused ? 0 : 1)) refuse("num_groups is " + std::to_string(kernel.numGroups));
    if (self.fused) kernel.activation = readActivation(info);
    *out = new Kernel(kernel);
  });
}

void destroyKernel(void* kernel) { delete static_cast<Kernel*>(kernel); }

struct Tensor {
  void* data = nullptr;
  Shape shape;
};

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

// nullopt for an optional input that the node leaves out.
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

std::string describe(const Shape& shape) {
  std::string text = "[";
  for (const int64_t dim : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + "]";
}

// One element per channel, or, as opset 18 to 20 have it, one per group.
// Per group where both are right, which an X of one channel needs whose elements are repeated to more channels.
bool isPerGroup(const Shape& scale, const Shape& bias, int64_t channels, int64_t groups) {
  if (scale.size() == 1 && scale == bias && scale[0] == groups) return true;
  if (scale.size() == 1 && scale == bias && scale[0] == channels) return false;
  refuse("scale " + describe(scale) + " and bias " + describe(bias) + " must both have one element per channel, [" +
         std::to_string(channels) + "], or (opset 18 to 20) one per group, [" + std::to_string(groups) + "]");
}

// 0 for an empty tensor, whose other dimensions may be too large for their product.
int64_t spatialOf(const Shape& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  return std::accumulate(shape.begin() + 2, shape.end(), int64_t{1}, std::multiplies<>());
}

// Everything but the tensors of `shape`, which is X's shape or what X broadcasts to.
group_norm::Problem describeProblem(const Kernel& kernel, const Tensor& x, const Tensor& scale, const Tensor& bias,
                                    const Shape& shape) {
  if (x.shape.size() < 2) refuse("X " + describe(x.shape) + " must be (N, C, ...), of rank 2 or more");
  const int64_t channels = x.shape[1];
  const int64_t groups = kernel.numGroups > 0 ? kernel.numGroups : std::max<int64_t>(channels, 1);
  if (channels % groups != 0) {
    refuse(std::to_string(channels) + " channels of X " + describe(x.shape) + " are not divisible by num_groups " +
           std::to_string(groups));
  }
  group_norm::Problem problem{};
  problem.dtype = kernel.dtype;
  problem.scale = scale.data;
  problem.bias = bias.data;
  problem.batch = shape[0];
  problem.channels = shape[1];
  problem.spatial = spatialOf(shape);
  problem.groups = groups;
  problem.perGroupAffine = isPerGroup(scale.shape, bias.shape, channels, groups);
  problem.epsilon = kernel.epsilon;
  problem.activation = kernel.activation;
  return problem;
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

void* writeOutput(KernelContext* context, const Shape& shape) {
  Value* value = nullptr;
  check(api().KernelContext_GetOutput(context, 0, shape.data(), shape.size(), &value));
  void* data = nullptr;
  check(api().GetTensorMutableData(value, &data));
  return data;
}

// The shape of GroupNormalization(X) + residual. The session fuses an Add whose terms have equal shapes by the names of
// their sizes, and a name promises nothing: at run time either term may have a size of 1 that Add repeats.
Shape resultShape(const Tensor& x, const std::optional<Tensor>& residual) {
  if (!residual) return x.shape;
  const std::optional<Shape> shape = broadcastShape(x.shape, residual->shape);
  if (!shape || shape->size() != x.shape.size()) {
    refuse("residual " + describe(residual->shape) + " must broadcast to the rank of X, " + describe(x.shape));
  }
  return *shape;
}

// The elements of a tensor as if it had `shape`: `copy` holds them if they must be repeated. Repeated elements of X
// have the mean and the variance of X.
const void* elementsAs(const Tensor& tensor, const Shape& shape, DType dtype, std::vector<char>& copy) {
  if (tensor.shape == shape) return tensor.data;
  copy = expand(tensor.data, tensor.shape, shape, group_norm::bytesOf(dtype));
  return copy.data();
}

void normalize(const Kernel& kernel, KernelContext* context) {
  const Tensor x = readInput(context, kX);
  const std::optional<Tensor> residual = readOptional(context, kResidual);
  const Shape shape = resultShape(x, residual);
  group_norm::Problem problem =
      describeProblem(kernel, x, readInput(context, kScale), readInput(context, kBias), shape);
  std::vector<char> repeatedX, repeatedResidual;
  problem.x = elementsAs(x, shape, kernel.dtype, repeatedX);
  if (residual) problem.residual = elementsAs(*residual, shape, kernel.dtype, repeatedResidual);
  problem.y = writeOutput(context, shape);
  switch (group_norm::run(problem, sessionThreads(context))) {
    case group_norm::Outcome::done:
      return;
    case group_norm::Outcome::invalid:
      refuse("the sizes of X " + describe(x.shape) + " are invalid");
    case group_norm::Outcome::outOfMemory:
      throw Error("out of memory");
  }
}

Status* compute(void* kernel, KernelContext* context) {
  return guarded("GroupNormalization", [&] { normalize(*static_cast<const Kernel*>(kernel), context); });
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

// y may take the place of X, whose last reader this often is.
size_t mayInplace(int** inputs, int** outputs) {
  static int input = kX;
  static int output = 0;
  *inputs = &input;
  *outputs = &output;
  return 1;
}
void releaseMayInplace(int*, int*) {}

GroupNormOp makeOp(const char* name, bool fused, ElementType elementType, DType dtype) {
  GroupNormOp op{};
  op.version = kApiVersion;
  op.GetName = [](const CustomOp* self) { return static_cast<const GroupNormOp*>(self)->name; };
  op.GetExecutionProviderType = [](const CustomOp*) { return "CPUExecutionProvider"; };
  op.GetInputType = [](const CustomOp* self, size_t) { return static_cast<const GroupNormOp*>(self)->elementType; };
  op.GetInputTypeCount = [](const CustomOp* self) {
    return static_cast<const GroupNormOp*>(self)->fused ? size_t{4} : size_t{3};
  };
  op.GetOutputType = op.GetInputType;
  op.GetOutputTypeCount = [](const CustomOp*) { return size_t{1}; };
  op.KernelDestroy = destroyKernel;
  op.GetInputCharacteristic = [](const CustomOp*, size_t index) { return index < kResidual ? kRequired : kOptional; };
  op.GetOutputCharacteristic = [](const CustomOp*, size_t) { return kRequired; };
  op.GetInputMemoryType = [](const CustomOp*, size_t) { return kMemoryDefault; };
  op.CreateKernelV2 = createKernel;
  op.KernelComputeV2 = compute;
  op.InferOutputShapeFn = inferShape;
  op.GetStartVersion = [](const CustomOp*) { return 1; };
  op.GetEndVersion = [](const CustomOp*) { return 0x7fffffff; };
  op.GetMayInplace = mayInplace;
  op.ReleaseMayInplace = releaseMayInplace;
  op.name = name;
  op.fused = fused;
  op.elementType = elementType;
  op.dtype = dtype;
  return op;
}

using OpPerType = std::array<GroupNormOp, 4>;

OpPerType makeOps(const char* name, bool fused) {
  return {makeOp(name, fused, kFloat, DType::float32), makeOp(name, fused, kDouble, DType::float64),
          makeOp(name, fused, kFloat16, DType::float16), makeOp(name, fused, kBfloat16, DType::bfloat16)};
}

CustomOpDomain* makeDomain(const char* name, const OpPerType& ops) {
  CustomOpDomain* domain = nullptr;
  check(api().CreateCustomOpDomain(name, &domain));
  for (const GroupNormOp& op : ops) check(api().CustomOpDomain_Add(domain, &op));
  return domain;
}

}  // namespace

void addGroupNormOps(SessionOptions* options) {
  // They must outlive every session, so they live as long as the process.
  static const OpPerType standardOps = makeOps("GroupNormalization", false);
  static const OpPerType fusedOps = makeOps("FusedGroupNormalization", true);
  static CustomOpDomain* const standard = makeDomain("", standardOps);
  static CustomOpDomain* const fused = makeDomain(kFusedDomain, fusedOps);
  check(api().AddCustomOpDomain(options, standard));
  check(api().AddCustomOpDomain(options, fused));
}

}  // namespace ort
