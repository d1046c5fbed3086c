// A target of libFuzzer: the project's operators in ONNX Runtime, with attributes, types and shapes that bytes choose.
// Each input becomes a model of one node, which ONNX Runtime loads and runs. Sanitizers watch; a refusal is fine, and a
// result must have the shape that the tensors broadcast to.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../onnxruntime/broadcast.h"
#include "../onnxruntime/group_norm_ops.h"
#include "../onnxruntime/model_session.h"

namespace {

using ort::Shape;

// Takes decisions from the bytes; zeros after their end.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  int64_t below(int64_t count) { return byte() % count; }
  bool flag() { return byte() & 1; }

  // Most numbers are small, so that models run; some have all 64 bits.
  int64_t number() {
    const uint8_t kind = byte();
    if (kind < 224) return kind % 9;
    uint64_t bits = 0;
    for (int index = 0; index < 8; index++) bits = bits << 8 | byte();
    return static_cast<int64_t>(bits);
  }

  std::string text(size_t most) {
    std::string text(static_cast<size_t>(below(static_cast<int64_t>(most) + 1)), ' ');
    for (char& letter : text) letter = static_cast<char>(byte());
    return text;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

// protobuf's wire format. Source: protobuf.dev/programming-guides/encoding.
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string integer(uint32_t field, int64_t value) { return varint(field << 3) + varint(static_cast<uint64_t>(value)); }
std::string bytes(uint32_t field, const std::string& content) {
  return varint(field << 3 | 2) + varint(content.size()) + content;
}
std::string real(uint32_t field, float value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  return varint(field << 3 | 5) + std::string(raw, sizeof raw);
}

// Fields of onnx.proto.
std::string intAttribute(const std::string& name, int64_t value) {
  return bytes(5, bytes(1, name) + integer(3, value) + integer(20, 2));
}
std::string floatAttribute(const std::string& name, float value) {
  return bytes(5, bytes(1, name) + real(2, value) + integer(20, 1));
}
std::string textAttribute(const std::string& name, const std::string& value) {
  return bytes(5, bytes(1, name) + bytes(4, value) + integer(20, 3));
}

struct Tensor {
  std::string name;
  Shape shape;
};

// How a model declares a shape.
enum class Declared { sizes, names, rank, nothing };

std::string valueInfo(const Tensor& tensor, ort::ElementType type, Declared declared) {
  std::string shape;
  for (size_t axis = 0; axis < tensor.shape.size(); axis++) {
    const std::string name = "d" + std::to_string(axis);
    shape += bytes(1, declared == Declared::sizes   ? integer(1, tensor.shape[axis])
                      : declared == Declared::names ? bytes(2, name)
                                                    : std::string());
  }
  const std::string shapeField = declared == Declared::nothing ? std::string() : bytes(2, shape);
  return bytes(1, tensor.name) + bytes(2, bytes(1, integer(1, type) + shapeField));
}

Shape chooseShape(Choices& choices, size_t rank) {
  Shape shape(rank);
  for (int64_t& dim : shape) dim = choices.below(10) + (choices.byte() > 250 ? 300 : 0);
  return shape;
}

// A shape that often fits: X's own, with some sizes of 1.
Shape chooseResidual(Choices& choices, const Shape& x) {
  if (choices.below(8) == 7) return chooseShape(choices, static_cast<size_t>(choices.below(6)));
  Shape shape = x;
  for (int64_t& dim : shape) {
    if (choices.below(4) == 0) dim = 1;
  }
  return shape;
}

size_t bytesOf(ort::ElementType type) {
  if (type == ort::kDouble) return 8;
  return type == ort::kFloat ? 4 : 2;
}

// Exactly as many bytes as the shape has, so that a sanitizer sees the first byte beyond.
struct Memory {
  std::unique_ptr<char[]> data;
  ort::OwnedValue value;
};

Memory fill(Choices& choices, const Shape& shape, ort::ElementType type) {
  size_t count = 1;
  for (const int64_t dim : shape) count *= static_cast<size_t>(dim);
  const size_t size = count * bytesOf(type);
  Memory memory{std::make_unique<char[]>(std::max<size_t>(size, 1)), nullptr};
  const uint8_t seed = choices.byte();
  for (size_t index = 0; index < size; index++) {
    memory.data[index] = static_cast<char>(seed < 128 ? (index * 37 + seed) & 0x3f : choices.byte());
  }
  memory.value = ort::wrapTensor(memory.data.get(), size, shape, type);
  return memory;
}

// The most elements of a tensor, so that inputs stay fast.
constexpr int64_t kMostElements = 1 << 16;

bool isSmall(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count <= kMostElements;
}

void runModel(Choices& choices) {
  const ort::ElementType types[] = {ort::kFloat, ort::kDouble, ort::kFloat16, ort::kBfloat16};
  enum class Op { standard, fused, blocked };
  const char* const names[] = {"GroupNormalization", "FusedGroupNormalization", "BlockedGroupNormalization"};
  const Op op = static_cast<Op>(choices.below(3));
  const int64_t opset = choices.flag() ? 21 : 18;
  const ort::ElementType type = op == Op::blocked ? ort::kFloat : types[choices.below(4)];
  const auto declared = static_cast<Declared>(choices.below(4));

  Tensor x{"x",
           chooseShape(choices, choices.below(8) == 7 ? choices.flag() : static_cast<size_t>(2 + choices.below(4)))};
  int64_t channels = x.shape.size() > 1 ? x.shape[1] : choices.below(10);
  const int64_t block = choices.below(8) == 7 ? choices.number() : choices.flag() ? 8 : 16;
  if (op == Op::blocked && x.shape.size() > 1 && block > 0 && block <= 16 && choices.below(8) != 7) {
    channels += choices.below(30);
    x.shape[1] = (channels + block - 1) / block * block;
  }
  const int64_t groups = choices.flag() && channels > 0 ? channels : choices.number();
  const bool perGroup = choices.below(3) == 0 && groups > 0 && groups < 1000;
  Tensor scale{"scale", {perGroup ? groups : channels}};
  Tensor bias = {"bias", scale.shape};
  if (choices.below(8) == 7) scale.shape = chooseShape(choices, static_cast<size_t>(choices.below(3)));
  if (choices.below(8) == 7) bias.shape = chooseShape(choices, static_cast<size_t>(choices.below(3)));
  std::vector<Tensor> inputs{x, scale, bias};
  if (op != Op::standard && choices.flag()) {
    const bool same = op == Op::blocked && choices.below(8) != 7;
    inputs.push_back({"residual", same ? x.shape : chooseResidual(choices, x.shape)});
  }
  for (const Tensor& input : inputs) {
    if (!isSmall(input.shape)) return;
  }

  std::string node;
  for (const Tensor& input : inputs) node += bytes(1, input.name);
  node += bytes(2, "y") + bytes(4, names[static_cast<size_t>(op)]);
  if (op != Op::standard) node += bytes(7, ort::kFusedDomain);
  if (op == Op::blocked && choices.below(16) != 15) node += intAttribute("block_size", block);
  if (choices.below(16) != 15) node += intAttribute("num_groups", groups);
  uint32_t epsilonBits = 0;
  for (int index = 0; index < 4; index++) epsilonBits = epsilonBits << 8 | choices.byte();
  float epsilon = 0;
  std::memcpy(&epsilon, &epsilonBits, sizeof epsilon);
  if (choices.flag()) node += floatAttribute("epsilon", epsilon);
  if (choices.flag()) node += intAttribute("correction", choices.below(3));
  const std::string activations[] = {"none", "relu", "silu", choices.text(40)};
  if (op != Op::standard && choices.below(16) != 15) node += textAttribute("activation", activations[choices.below(4)]);

  std::string graph = bytes(1, node) + bytes(2, "g");
  for (const Tensor& input : inputs) graph += bytes(11, valueInfo(input, type, declared));
  graph += bytes(12, valueInfo({"y", x.shape}, type, Declared::nothing));
  const std::string model = integer(1, 8) + bytes(8, integer(2, opset)) +
                            bytes(8, bytes(1, ort::kFusedDomain) + integer(2, 1)) + bytes(7, graph);

  ort::LoadOptions options;
  options.intraOpNumThreads = 1;
  options.cpuMemArena = false;
  const ort::ModelSession session(model.data(), model.size(), options);
  std::vector<Memory> memories;
  std::vector<std::string> inputNames;
  std::vector<ort::Value*> values;
  for (const Tensor& input : inputs) memories.push_back(fill(choices, input.shape, type));
  for (size_t index = 0; index < inputs.size(); index++) {
    inputNames.push_back(inputs[index].name);
    values.push_back(memories[index].value.get());
  }
  const auto results = const_cast<ort::ModelSession&>(session).run(inputNames, values, {"y"}, {nullptr}, nullptr);
  const ort::TensorView view = ort::viewTensor(results.at(0).get());
  Shape expected = x.shape;
  if (inputs.size() > 3) {
    // Shapes are aligned at their ends.
    const Shape& residual = inputs[3].shape;
    const size_t missing = expected.size() - residual.size();
    for (size_t axis = 0; axis < residual.size(); axis++) {
      if (residual[axis] != 1) expected.at(missing + axis) = residual[axis];
    }
  }
  if (view.shape != expected) std::abort();
  size_t count = 1;
  for (const int64_t dim : expected) count *= static_cast<size_t>(dim);
  if (view.size != count * bytesOf(type)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* path = std::getenv("ONNXRUNTIME_LIBRARY");
  if (!path) {
    std::fputs("set ONNXRUNTIME_LIBRARY to the path of ONNX Runtime's library\n", stderr);
    std::exit(2);
  }
  ort::load(path);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(data, size);
  try {
    runModel(choices);
  } catch (const ort::Error&) {
    // ONNX Runtime or the operator refused it.
  }
  return 0;
}
