#include "group_norm_ops.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "blocked_group_norm_op.h"
#include "op_support.h"

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

// What a node's attributes say; one for each node of a session.
struct Kernel {
  DType dtype;
  // 0: one per channel, of whatever X has.
  int64_t numGroups;
  float epsilon;
  int64_t correction;
  Activation activation;
};

Status* createKernel(const CustomOp* op, const Api*, const KernelInfo* info, void** out) {
  return guarded(op->GetName(op), [&] {
    const auto& self = *static_cast<const GroupNormOp*>(op);
    Kernel kernel{self.dtype, readInt(info, "num_groups"), readEpsilon(info), 0, Activation::none};
    if (kernel.numGroups < (self.fused ? 0 : 1)) refuse("num_groups is " + std::to_string(kernel.numGroups));
    if (self.fused) {
      kernel.activation = readActivation(info);
      kernel.correction = readCorrection(info);
    }
    *out = new Kernel(kernel);
  });
}

void destroyKernel(void* kernel) { delete static_cast<Kernel*>(kernel); }

// One element per channel, or, as opset 18 to 20 have it, one per group.
// Per group where both are right, which an X of one channel needs whose elements are repeated to more channels.
bool isPerGroup(const Shape& scale, const Shape& bias, int64_t channels, int64_t groups) {
  if (scale.size() == 1 && scale == bias && scale[0] == groups) return true;
  if (scale.size() == 1 && scale == bias && scale[0] == channels) return false;
  refuse("scale " + describe(scale) + " and bias " + describe(bias) + " must both have one element per channel, [" +
         std::to_string(channels) + "], or (opset 18 to 20) one per group, [" + std::to_string(groups) + "]");
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
  problem.correction = static_cast<double>(kernel.correction);
  problem.activation = kernel.activation;
  return problem;
}

void normalize(const Kernel& kernel, KernelContext* context) {
  const Tensor x = readInput(context, kX);
  const std::optional<Tensor> residual = readOptional(context, kResidual);
  const Shape shape = resultShape(x, residual);
  group_norm::Problem problem =
      describeProblem(kernel, x, readInput(context, kScale), readInput(context, kBias), shape);
  std::vector<char> repeatedX, repeatedResidual;
  problem.x = elementsAs(x, shape, group_norm::bytesOf(kernel.dtype), repeatedX);
  if (residual) {
    problem.residual = elementsAs(*residual, shape, group_norm::bytesOf(kernel.dtype), repeatedResidual);
  }
  problem.y = writeOutput(context, shape);
  runKernel(problem, context);
}

Status* compute(void* kernel, KernelContext* context) {
  return guarded("GroupNormalization", [&] { normalize(*static_cast<const Kernel*>(kernel), context); });
}

// y may take the place of X, whose last reader this often is.
size_t mayInplace(int** inputs, int** outputs) {
  static int input = kX;
  static int output = 0;
  *inputs = &input;
  *outputs = &output;
  return 1;
}

GroupNormOp makeOp(const char* name, bool fused, ElementType elementType, DType dtype) {
  GroupNormOp op{makeNormalization(), name, elementType, dtype, fused};
  op.GetName = [](const CustomOp* self) { return static_cast<const GroupNormOp*>(self)->name; };
  op.GetInputType = [](const CustomOp* self, size_t) { return static_cast<const GroupNormOp*>(self)->elementType; };
  op.GetInputTypeCount = [](const CustomOp* self) {
    return static_cast<const GroupNormOp*>(self)->fused ? size_t{4} : size_t{3};
  };
  op.GetOutputType = op.GetInputType;
  op.KernelDestroy = destroyKernel;
  op.CreateKernelV2 = createKernel;
  op.KernelComputeV2 = compute;
  op.GetMayInplace = mayInplace;
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

CustomOpDomain* makeOwnDomain(const OpPerType& fused) {
  CustomOpDomain* domain = makeDomain(kFusedDomain, fused);
  check(api().CustomOpDomain_Add(domain, &blockedGroupNormOp()));
  return domain;
}

}  // namespace

void addGroupNormOps(SessionOptions* options) {
  // They must outlive every session, so they live as long as the process.
  static const OpPerType standard = makeOps("GroupNormalization", false);
  static const OpPerType fused = makeOps("FusedGroupNormalization", true);
  static CustomOpDomain* const onnxDomain = makeDomain("", standard);
  static CustomOpDomain* const ownDomain = makeOwnDomain(fused);
  check(api().AddCustomOpDomain(options, onnxDomain));
  check(api().AddCustomOpDomain(options, ownDomain));
}

}  // namespace ort
