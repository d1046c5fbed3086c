// The kernel against memcpy of the same bytes with the same threads, and SiLU against none. Each figure is the
// median of ratios of neighbouring measurements: what else the machine does meanwhile touches both.
//
//   bench [THREADS [ROUNDS [INSTRUCTION_SET [WORD-OF-A-SHAPE]]]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "tensor.h"
#include "thread_pool.h"

using group_norm::Activation;
using group_norm::DType;

namespace {

struct Setting {
  const char* name;
  int64_t batch, channels, spatial, groups;
  DType dtype = DType::float32;
  int64_t block = 0;
};

const Setting kSettings[] = {
    {"1x32x8x8", 1, 32, 64, 32},
    {"1x320x16x16", 1, 320, 256, 32},
    {"1x64x64x64", 1, 64, 4096, 32},
    {"1x320x32x32", 1, 320, 1024, 32},
    {"1x320x64x64", 1, 320, 4096, 32},
    {"8x256x32x32", 8, 256, 1024, 32},
    {"1x64x256x256", 1, 64, 65536, 32},
    {"1x64x256x256 G=1", 1, 64, 65536, 1},
    {"4x64x128x128 G=8", 4, 64, 16384, 8},
    {"1x128x256x256", 1, 128, 65536, 32},
    {"1x128x256x256 G=1", 1, 128, 65536, 1},
    {"256x1024 (rank 2)", 256, 1024, 1, 32},
    {"64x512x7x7", 64, 512, 49, 32},
    {"1x320x64x64 f16", 1, 320, 4096, 32, DType::float16},
    {"1x320x64x64 bf16", 1, 320, 4096, 32, DType::bfloat16},
    {"1x320x64x64 f64", 1, 320, 4096, 32, DType::float64},
    // In the blocked layout.
    {"1x64x256x256 /16", 1, 64, 65536, 32, DType::float32, 16},
    {"1x320x64x64 /16", 1, 320, 4096, 32, DType::float32, 16},
    {"8x256x32x32 /16", 8, 256, 1024, 32, DType::float32, 16},
    {"64x512x7x7 /16", 64, 512, 49, 32, DType::float32, 16},
    {"1x512x14x14 /16", 1, 512, 196, 32, DType::float32, 16},
};

double secondsOf(int repetitions, const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) work();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  return elapsed.count() / repetitions;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Copy {
  char* to;
  const char* from;
  size_t bytes;
  size_t parts;

  static void part(void* user, size_t i) {
    const Copy& c = *static_cast<Copy*>(user);
    const size_t begin = c.bytes * i / c.parts;
    std::memcpy(c.to + begin, c.from + begin, c.bytes * (i + 1) / c.parts - begin);
  }
};

void measure(const Setting& s, ThreadPool& pool, int rounds) {
  const size_t count = static_cast<size_t>(s.batch * s.channels * s.spatial);
  Tensor x(s.dtype, count), y(s.dtype, count);
  Tensor scale(s.dtype, static_cast<size_t>(s.channels)), bias(s.dtype, static_cast<size_t>(s.channels));
  for (size_t i = 0; i < count; ++i) x.set(i, static_cast<double>(i * 2654435761u % 65536) / 65536 - 0.5);
  for (size_t i = 0; i < scale.count(); ++i) scale.set(i, 1);
  const group_norm::Threads threads = pool.threads();

  group_norm::Problem p;
  p.dtype = s.dtype;
  p.x = x.data();
  p.scale = scale.data();
  p.bias = bias.data();
  p.batch = s.batch;
  p.channels = s.channels;
  p.spatial = s.spatial;
  p.groups = s.groups;
  p.block = s.block;
  p.y = y.data();
  group_norm::Problem silu = p;
  silu.activation = Activation::silu;

  const size_t bytes = count * x.size();
  Copy copy = {static_cast<char*>(y.data()), static_cast<const char*>(x.data()), bytes,
               bytes < 65536 ? 1 : static_cast<size_t>(threads.count)};
  const auto copyAll = [&] {
    if (copy.parts == 1) return Copy::part(&copy, 0);
    threads.parallelFor(threads.context, copy.parts, Copy::part, &copy);
  };
  const int repetitions = static_cast<int>(std::max<size_t>(2, (size_t{4} << 20) / bytes));

  std::vector<double> copies, alone, withSilu, ratio, siluRatio;
  for (int round = 0; round < rounds + 2; ++round) {
    const double a = secondsOf(repetitions, copyAll);
    const double b = secondsOf(repetitions, [&] { group_norm::run(p, threads); });
    const double c = secondsOf(repetitions, [&] { group_norm::run(silu, threads); });
    if (round < 2) continue;  // caches, page tables and clocks settle
    copies.push_back(a);
    alone.push_back(b);
    withSilu.push_back(c);
    ratio.push_back(b / a);
    siluRatio.push_back(c / b);
  }
  const auto least = [](const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()) * 1e6; };
  std::printf("%-20s %7.2f %10.1f %10.1f %10.1f %9.2f %9.2f\n", s.name, static_cast<double>(bytes) / (1 << 20),
              least(copies), least(alone), least(withSilu), median(ratio), median(siluRatio));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 30;
  if (argc > 3 && !group_norm::forceInstructionSet(argv[3])) {
    std::fprintf(stderr, "this machine has no %s\n", argv[3]);
    return 2;
  }
  ThreadPool pool(threads);
  std::printf("%s, %d threads, %d rounds; least microseconds, median ratios\n", group_norm::instructionSet(), threads,
              rounds);
  std::printf("%-20s %7s %10s %10s %10s %9s %9s\n", "shape", "MB", "memcpy", "norm", "+ SiLU", "/ memcpy", "SiLU /");
  const char* word = argc > 4 ? argv[4] : "";
  for (const Setting& setting : kSettings) {
    if (std::strstr(setting.name, word)) measure(setting, pool, rounds);
  }
  return 0;
}
