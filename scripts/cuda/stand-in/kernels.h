// CPU versions of the kernels of ONNX Runtime's CUDA provider that the default way to run GroupNormalization launches:
// elementwise operators, Cast, Where, Expand, Pad, and sums in the GPU's order. The C++ name of a kernel tells what it
// computes and which arguments it takes. Source: onnxruntime/core/providers/cuda.
#pragma once

#include <cuda_runtime_api.h>
#include <cxxabi.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace stand_in {

using half = _Float16;

struct bfloat16 {
  uint16_t bits;
  bfloat16() = default;
  bfloat16(float value) {
    uint32_t all;
    std::memcpy(&all, &value, 4);
    bits = value != value ? 0x7fff : uint16_t((all + 0x7fff + ((all >> 16) & 1)) >> 16);
  }
  operator float() const {
    const uint32_t all = uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &all, 4);
    return value;
  }
};

// onnxruntime::cuda::DivMod<int> and TArray.
struct Divisor {
  uint32_t value, magic, shift;
};
template <class T>
struct Array {
  int32_t size;
  T data[8];
};

// A launch: its arguments are pointers to their values.
struct Launch {
  std::string name;
  void** args;
  dim3 grid, block;

  template <class T>
  T arg(int index) const {
    T value;
    std::memcpy(&value, args[index], sizeof value);
    return value;
  }
  bool is(const char* part) const { return name.find(part) != std::string::npos; }
  // What stands in angle brackets first: the first type.
  bool firstTypeIs(const char* type) const { return name.rfind(type, name.find('<') + 1) == name.find('<') + 1; }
};

inline std::string demangle(const char* name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  const std::string result = text ? text : name;
  std::free(text);
  return result;
}

// What is computed in before a result is rounded to T.
template <class T>
using Wide = std::conditional_t<sizeof(T) == 8, double, float>;

template <class T>
std::function<T(T, T)> binaryOperator(const Launch& launch) {
  if (launch.is("OP_Add<")) return [](T a, T b) { return T(Wide<T>(a) + Wide<T>(b)); };
  if (launch.is("OP_Sub<")) return [](T a, T b) { return T(Wide<T>(a) - Wide<T>(b)); };
  if (launch.is("OP_Mul<")) return [](T a, T b) { return T(Wide<T>(a) * Wide<T>(b)); };
  if (launch.is("OP_Div<")) return [](T a, T b) { return T(Wide<T>(a) / Wide<T>(b)); };
  return nullptr;
}

// The offset of an element of the output in an operand that broadcasts.
inline int64_t offsetIn(const Array<int64_t>& strides, const Array<Divisor>& outputStrides, int rank, int index) {
  int64_t offset = 0;
  for (int dim = 0; dim < rank; dim++) {
    const int stride = int(outputStrides.data[dim].value);
    offset += strides.data[dim] * (index / stride);
    index %= stride;
  }
  return offset;
}

template <class T>
bool runBinary(const Launch& launch) {
  const auto compute = binaryOperator<T>(launch);
  if (!compute) return false;
  if (launch.is("_BinaryElementWiseSimple<")) {
    const auto* x = launch.arg<const T*>(0);
    const auto* y = launch.arg<const T*>(1);
    auto* out = launch.arg<T*>(2);
    const bool left = launch.is("Simple<true, "), right = launch.is("Simple<true, true") || launch.is("Simple<false, true");
    for (int i = 0; i < launch.arg<int>(4); i++) out[i] = compute(x[left ? i : 0], y[right ? i : 0]);
    return true;
  }
  if (launch.is("RhsPerChannelBatch")) {
    const bool isBatched = launch.is("RhsPerChannelBatchN<");
    const auto* x = launch.arg<const T*>(0);
    const auto* y = launch.arg<const T*>(1);
    const int inner = int(launch.arg<Divisor>(2).value);
    const int channels = isBatched ? int(launch.arg<Divisor>(3).value) : 0;
    auto* out = launch.arg<T*>(isBatched ? 4 : 3);
    const int count = launch.arg<int>(isBatched ? 6 : 5);
    for (int i = 0; i < count; i++) out[i] = compute(x[i], y[isBatched ? (i / inner) % channels : i / inner]);
    return true;
  }
  // Which of the operands broadcast are the two booleans before the number of threads.
  const size_t end = launch.name.find(", 256, 4");
  if (end == std::string::npos) return false;
  const bool right = launch.name.compare(end - 4, 4, "true") == 0;
  const bool left = launch.name.compare(launch.name.rfind(", ", end - 1) - 4, 4, "true") == 0;
  const int rank = launch.arg<int>(0);
  const auto strides = launch.arg<Array<Divisor>>(5);
  const auto* x = launch.arg<const T*>(2);
  const auto* y = launch.arg<const T*>(4);
  auto* out = launch.arg<T*>(6);
  for (int i = 0; i < launch.arg<int>(8); i++) {
    out[i] = compute(x[left ? offsetIn(launch.arg<Array<int64_t>>(1), strides, rank, i) : i],
                     y[right ? offsetIn(launch.arg<Array<int64_t>>(3), strides, rank, i) : i]);
  }
  return true;
}

template <class T>
bool runUnary(const Launch& launch) {
  const auto* x = launch.arg<const T*>(0);
  auto* out = launch.arg<T*>(1);
  const long count = launch.arg<long>(3);
  if (launch.is("OP_Sqrt<")) {
    for (long i = 0; i < count; i++) out[i] = std::sqrt(x[i]);
  } else if (launch.is("OP_Abs<")) {
    for (long i = 0; i < count; i++) out[i] = std::fabs(x[i]);
  } else if (launch.is("OP_Div<")) {
    const T divisor = launch.arg<T>(2);
    for (long i = 0; i < count; i++) out[i] = x[i] / divisor;
  } else {
    return false;
  }
  return true;
}

template <class From, class To>
bool cast(const Launch& launch) {
  using Between = std::conditional_t<sizeof(From) == 8 || sizeof(To) == 8, double, float>;
  const auto* x = launch.arg<const From*>(0);
  auto* out = launch.arg<To*>(1);
  for (long i = 0; i < launch.arg<long>(3); i++) out[i] = To(Between(x[i]));
  return true;
}

inline bool runCast(const Launch& launch) {
  const auto types = [&](const char* both) { return launch.firstTypeIs(both); };
  if (types("float, float,")) return cast<float, float>(launch);
  if (types("float, double,")) return cast<float, double>(launch);
  if (types("double, float,")) return cast<double, float>(launch);
  if (types("double, double,")) return cast<double, double>(launch);
  if (types("float, __half,")) return cast<float, half>(launch);
  if (types("__half, float,")) return cast<half, float>(launch);
  if (types("__half, __half,")) return cast<half, half>(launch);
  if (types("float, onnxruntime::BFloat16,")) return cast<float, bfloat16>(launch);
  if (types("onnxruntime::BFloat16, float,")) return cast<bfloat16, float>(launch);
  return types("onnxruntime::BFloat16, onnxruntime::BFloat16,") && cast<bfloat16, bfloat16>(launch);
}

// The sum of a row by `blocks` blocks of threads: of each thread, then of a warp, of a block, and of the blocks.
template <class T>
T sumOfRow(const T* row, int length, int blocks, int threads) {
  constexpr int WARP = 32, PER_THREAD = 4, MAX_WARPS = 8;
  const int all = threads * blocks, warps = threads / WARP;
  std::vector<T> ofBlocks(blocks);
  for (int block = 0; block < blocks; block++) {
    std::vector<T> sums(threads, T(0));
    for (int thread = 0; thread < threads; thread++) {
      for (int start = block * threads + thread; start < length; start += PER_THREAD * all) {
        for (int i = 0; i < PER_THREAD && start + i * all < length; i++) sums[thread] += row[start + i * all];
      }
    }
    std::vector<T> ofWarps(warps);
    for (int warp = 0; warp < warps; warp++) {
      T* lanes = &sums[warp * WARP];
      for (int stride = WARP / 2; stride > 0; stride /= 2) {
        for (int lane = 0; lane < stride; lane++) lanes[lane] += lanes[lane + stride];
      }
      ofWarps[warp] = lanes[0];
    }
    for (int stride = MAX_WARPS / 2; stride > 0; stride /= 2) {
      for (int warp = 0; warp < stride && warp + stride < warps; warp++) ofWarps[warp] += ofWarps[warp + stride];
    }
    ofBlocks[block] = ofWarps[0];
  }
  int stride = 1;
  while (stride < blocks) stride *= 2;
  for (stride /= 2; stride > 0; stride /= 2) {
    for (int block = 0; block < stride && block + stride < blocks; block++) ofBlocks[block] += ofBlocks[block + stride];
  }
  return ofBlocks[0];
}

// reduce_matrix_columns_kernel: each row of a matrix to its sum.
template <class T>
bool sumRows(const Launch& launch) {
  const int rows = launch.arg<int>(0), columns = launch.arg<int>(1);
  const auto* x = launch.arg<const T*>(2);
  auto* out = launch.arg<T*>(3);
  for (int row = 0; row < rows; row++) {
    out[row] = sumOfRow(x + int64_t(row) * columns, columns, launch.grid.x, launch.block.x * launch.block.y);
  }
  return true;
}

// reduce_matrix_rows_kernel: each column of a matrix added to what stands there.
template <class T>
bool sumColumns(const Launch& launch) {
  constexpr int PER_THREAD = 4;
  const auto* x = launch.arg<const T*>(0);
  auto* out = launch.arg<T*>(1);
  const int rows = launch.arg<int>(2), columns = launch.arg<int>(3);
  const int threads = int(launch.block.y), all = threads * int(launch.grid.y);
  for (int column = 0; column < columns; column++) {
    for (int block = 0; block < int(launch.grid.y); block++) {
      std::vector<T> sums(threads, T(0));
      for (int thread = 0; thread < threads; thread++) {
        for (int start = block * threads + thread; start < rows; start += all * PER_THREAD) {
          for (int row = start; row < rows && row < start + all * PER_THREAD; row += all) {
            sums[thread] += x[int64_t(row) * columns + column];
          }
        }
      }
      for (int stride = threads / 2; stride > 0; stride /= 2) {
        for (int thread = 0; thread < stride; thread++) sums[thread] += sums[thread + stride];
      }
      out[column] += sums[0];
    }
  }
  return true;
}

template <class T>
bool pad(const Launch& launch) {
  const auto size = [&](int index) { return launch.arg<int64_t>(index); };
  const int64_t height = size(2), outHeight = size(3), width = size(4), outWidth = size(5);
  const T value = launch.arg<T>(8);
  const auto* x = launch.arg<const T*>(9);
  auto* out = launch.arg<T*>(10);
  for (int64_t i = 0; i < size(11); i++) {
    const int64_t column = i % outWidth - size(7), row = i / outWidth % outHeight - size(6);
    const bool isInside = row >= 0 && column >= 0 && row < height && column < width;
    out[i] = isInside ? x[(i / outWidth / outHeight * height + row) * width + column] : value;
  }
  return true;
}

template <class T>
bool where(const Launch& launch) {
  // 0 in a BroadcastIndexType is an operand of the output's size, 1 a scalar.
  int64_t strides[3] = {1, 1, 1};
  size_t at = 0;
  for (int64_t& stride : strides) {
    at = launch.name.find("BroadcastIndexType)", at) + 19;
    stride = launch.name[at] == '0';
  }
  const auto* condition = launch.arg<const bool*>(0);
  const auto* x = launch.arg<const T*>(1);
  const auto* y = launch.arg<const T*>(2);
  auto* out = launch.arg<T*>(3);
  for (int i = 0; i < launch.arg<int>(4); i++) {
    out[i] = condition[i * strides[0]] ? x[i * strides[1]] : y[i * strides[2]];
  }
  return true;
}

// By the size of an element alone.
template <class T>
bool expand(const Launch& launch) {
  if (launch.is("_FillFromDataPtrKernel<")) {
    auto* out = launch.arg<T*>(0);
    for (int i = 0; i < launch.arg<int>(2); i++) out[i] = *launch.arg<const T*>(1);
    return true;
  }
  if (launch.is("ExpandKernel2D<")) {
    const auto* x = launch.arg<const T*>(1);
    auto* out = launch.arg<T*>(2);
    const int inner = int(launch.arg<Divisor>(3).value);
    for (int i = 0; i < launch.arg<int>(0); i++) {
      out[i] = x[(i / inner) * launch.arg<int>(4) + (i % inner) * launch.arg<int>(5)];
    }
    return true;
  }
  if (!launch.is("ExpandKernel<")) return false;
  const auto* x = launch.arg<const T*>(2);
  auto* out = launch.arg<T*>(3);
  const auto outputStrides = launch.arg<Array<Divisor>>(4);
  const auto strides = launch.arg<Array<int64_t>>(5);
  for (int i = 0; i < launch.arg<int>(1); i++) out[i] = x[offsetIn(strides, outputStrides, launch.arg<int>(0), i)];
  return true;
}

inline bool runExpand(const Launch& launch) {
  if (launch.firstTypeIs("int") || launch.firstTypeIs("unsigned int")) return expand<uint32_t>(launch);
  if (launch.firstTypeIs("long") || launch.firstTypeIs("unsigned long")) return expand<uint64_t>(launch);
  return (launch.firstTypeIs("short") || launch.firstTypeIs("unsigned short")) && expand<uint16_t>(launch);
}

template <class T>
bool runTyped(const Launch& launch) {
  if (launch.is("_BinaryElementWise")) return runBinary<T>(launch);
  if constexpr (sizeof(T) >= 4) {
    if (launch.is("_UnaryElementWise<")) return runUnary<T>(launch);
    if (launch.is("reduce_matrix_rows_kernel<")) return sumColumns<T>(launch);
    // Without a function of the elements or of the sum, and without a division.
    if (launch.is("reduce_matrix_columns_kernel<") && launch.is("Identity, onnxruntime::cuda::Identity, false"))
      return sumRows<T>(launch);
    if (launch.is("_PadNCHWInputWithPaddingAlongHAndWKernel<") && launch.is(", 0>(")) return pad<T>(launch);
    if (launch.is("_TenaryElementWiseSimple<")) return where<T>(launch);
  }
  return false;
}

// Runs a kernel that is known here; false if it is not.
inline bool run(const Launch& launch) {
  if (launch.is("OP_Cast<")) return runCast(launch);
  if (launch.is("ExpandKernel") || launch.is("_FillFromDataPtrKernel<")) return runExpand(launch);
  if (launch.is("__half")) return runTyped<half>(launch);
  if (launch.is("BFloat16")) return runTyped<bfloat16>(launch);
  if (launch.is("double")) return runTyped<double>(launch);
  return launch.is("float") && runTyped<float>(launch);
}

}  // namespace stand_in
