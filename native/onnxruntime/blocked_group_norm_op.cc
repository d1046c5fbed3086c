#include "blocked_group_norm_op.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "op_support.h"

namespace ort {
namespace {

const char* const kName = "BlockedGroupNormalization";

// What a node's attributes say; one for each node of a session.
struct Kernel {
  int64_t block;
  // 0: one per channel, of whatever scale has.
  int64_t numGroups;
  float epsilon;
  group_norm::Activation activation;
};

Status* createKernel(const CustomOp*, const Api*, const KernelInfo* info, void** out) {
  return guarded(kName, [&] {
    const Kernel kernel{readInt(info, "block_size"), readInt(info, "num_groups"), readEpsilon(info),
                        readActivation(info)};
    if (kernel.block != 8 && kernel.block != 16) {
      refuse("block_size is " + std::to_string(kernel.block) + "; it must be 8 or 16");
    }
    if (kernel.numGroups < 0) refuse("num_groups is " + std::to_string(kernel.numGroups));
    *out = new Kernel(kernel);
  });
}

// The channels without padding.
int64_t channelsOf(const Tensor& x, const Tensor& scale, const Tensor& bias, int64_t block) {
  if (x.shape.size() < 2) refuse("X " + describe(x.shape) + " must be (N, P, ...), of rank 2 or more");
  if (scale.shape.size() != 1 || bias.shape != scale.shape) {
    refuse("scale " + describe(scale.shape) + " and bias " + describe(bias.shape) +
           " must both have one element per channel");
  }
  const int64_t channels = scale.shape[0];
  const int64_t padded = (channels + block - 1) / block * block;
  if (x.shape[1] != padded) {
    refuse("X " + describe(x.shape) + " must have " + std::to_string(padded) + " channels: the " +
           std::to_string(channels) + " of scale in blocks of " + std::to_string(block));
  }
  return channels;
}

// The shape of the elements in memory.
Shape inMemory(Shape shape, int64_t block) {
  shape[1] /= block;
  shape.push_back(block);
  return shape;
}

void normalize(const Kernel& kernel, KernelContext* context) {
  const Tensor x = readInput(context, kX);
  const Tensor scale = readInput(context, kScale);
  const Tensor bias = readInput(context, kBias);
  const std::optional<Tensor> residual = readOptional(context, kResidual);
  group_norm::Problem problem;
  problem.channels = channelsOf(x, scale, bias, kernel.block);
  problem.groups = kernel.numGroups > 0 ? kernel.numGroups : std::max<int64_t>(problem.channels, 1);
  if (problem.channels % problem.groups != 0) {
    refuse("the " + std::to_string(problem.channels) + " channels of scale are not divisible by num_groups " +
           std::to_string(problem.groups));
  }
  if (residual && (residual->shape.size() != x.shape.size() || residual->shape[1] != x.shape[1])) {
    refuse("residual " + describe(residual->shape) + " must have the rank and the channels of X, " + describe(x.shape));
  }
  const Shape shape = resultShape(x, residual);
  const Shape wanted = inMemory(shape, kernel.block);
  const auto elements = [&](const Tensor& tensor, std::vector<char>& copy) {
    return elementsAs({tensor.data, inMemory(tensor.shape, kernel.block)}, wanted, sizeof(float), copy);
  };
  std::vector<char> repeatedX, repeatedResidual;
  problem.x = elements(x, repeatedX);
  problem.residual = residual ? elements(*residual, repeatedResidual) : nullptr;
  problem.scale = scale.data;
  problem.bias = bias.data;
  problem.batch = shape[0];
  problem.spatial = spatialOf(shape);
  problem.block = kernel.block;
  problem.epsilon = static_cast<double>(kernel.epsilon);
  problem.activation = kernel.activation;
  problem.y = writeOutput(context, shape);
  runKernel(problem, context);
}

// y may take the place of X or of the residual, whose last reader this often is.
size_t mayInplace(int** inputs, int** outputs) {
  static int taken[] = {kX, kResidual};
  static int givers[] = {0, 0};
  *inputs = taken;
  *outputs = givers;
  return 2;
}

CustomOp makeOp() {
  CustomOp op = makeNormalization();
  op.GetName = [](const CustomOp*) { return kName; };
  op.GetInputType = [](const CustomOp*, size_t) { return kFloat; };
  op.GetInputTypeCount = [](const CustomOp*) { return size_t{4}; };
  op.GetOutputType = op.GetInputType;
  op.KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.CreateKernelV2 = createKernel;
  op.KernelComputeV2 = [](void* kernel, KernelContext* context) {
    return guarded(kName, [&] { normalize(*static_cast<const Kernel*>(kernel), context); });
  };
  op.GetMayInplace = mayInplace;
  return op;
}

}  // namespace

const CustomOp& blockedGroupNormOp() {
  static const CustomOp op = makeOp();
  return op;
}

}  // namespace ort
