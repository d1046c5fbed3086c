// Values against the definition: every dtype, instruction set and number of threads, over shapes that reach every
// path: rows of one element and of many chunks, channels shorter and longer than a vector, odd tails.
#include "check.h"
#include "reference.h"
#include "thread_pool.h"

using group_norm::Activation;
using group_norm::DType;

namespace {

const Shape kShapes[] = {
    {1, 1, 1, 1},    {2, 6, 1, 3},     {3, 64, 1, 4},    {1, 2048, 1, 2},  {2, 8, 3, 8},     {1, 12, 7, 4},
    {2, 32, 64, 8},  {1, 10, 15, 5},   {1, 6, 33, 2},    {5, 4, 49, 4},    {1, 16, 196, 1},  {3, 96, 5, 3},
    {1, 4, 4097, 2}, {1, 2, 16385, 1}, {1, 3, 20000, 3}, {1, 1, 40000, 1}, {2, 10, 4096, 1}, {1, 640, 13, 2},
    {1, 9, 5000, 3}, {1, 1300, 1, 1},  {3, 6, 16, 2},    {1, 30, 1201, 1}, {70, 9, 4, 3},
};

void everyShape(ThreadPool& pool, const std::string& set, DType dtype) {
  uint64_t seed = 1;
  for (const Shape& shape : kShapes) {
    Options options;
    options.dtype = dtype;
    options.activation = static_cast<Activation>(seed % 3);
    options.residual = seed % 2 == 0;
    options.perGroupAffine = seed % 5 == 0;
    options.mean = seed % 4 == 0 ? 3 : 0;
    Case c(shape, options, seed++);
    c.run(pool.threads());
    c.verify(set);
  }
}

TEST(valuesOfEveryShape) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    forEachInstructionSet([&](const std::string& set) {
      for (DType dtype : kDTypes) everyShape(pool, set, dtype);
    });
  }
}

TEST(everyActivationWithAndWithoutResidual) {
  ThreadPool pool(2);
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : kDTypes) {
      for (int kind = 0; kind < 12; ++kind) {
        Options options;
        options.dtype = dtype;
        options.activation = static_cast<Activation>(kind % 3);
        options.residual = kind / 3 % 2 == 1;
        options.perGroupAffine = kind / 6 == 1;
        for (const Shape& shape : {Shape{2, 12, 77, 3}, Shape{1, 20, 3, 4}}) {
          Case c(shape, options, static_cast<uint64_t>(kind));
          c.run(pool.threads());
          c.verify(set);
        }
      }
    }
  });
}

TEST(varianceOverOneElementLess) {
  ThreadPool pool(2);
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : kDTypes) {
      uint64_t seed = 100;
      for (const Shape& shape : kShapes) {
        Options options;
        options.dtype = dtype;
        options.correction = 1;
        // Of a row of one element it is 0 / 0, and every result NaN.
        Case c(shape, options, seed++);
        c.run(pool.threads());
        c.verify(set);
      }
    }
    Options blocked;
    blocked.correction = 1;
    Case c({2, 24, 35, 4, 8}, blocked, 1);
    c.run(pool.threads());
    c.verify(set);
  });
}

TEST(randomShapes) {
  ThreadPool pool(3);
  std::mt19937_64 random(4);
  const auto upTo = [&](uint64_t most) { return static_cast<int64_t>(random() % most) + 1; };
  for (uint64_t seed = 0; seed < 150; ++seed) {
    const int64_t groups = upTo(8);
    const Shape shape = {upTo(4), groups * upTo(6), upTo(seed % 3 == 0 ? 20 : 900), groups};
    Options options;
    options.dtype = kDTypes[seed % 4];
    options.activation = static_cast<Activation>(upTo(3) - 1);
    options.residual = upTo(2) == 1;
    options.perGroupAffine = upTo(4) == 1;
    forEachInstructionSet([&](const std::string& set) {
      Case c(shape, options, seed);
      c.run(pool.threads());
      c.verify(set);
    });
  }
}

// The definition E[x^2] - E[x]^2 gives NaN for some of these.
TEST(meansLargeBesideTheDeviation) {
  ThreadPool pool(2);
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : {DType::float32, DType::float64}) {
      for (double mean : {300.0, -1000.0, 1e4, 1e6}) {
        for (double deviation : {0.1, 1.0, 40.0}) {
          Options options;
          options.dtype = dtype;
          options.mean = mean;
          options.deviation = deviation;
          Case c({1, 8, 9000, 2}, options, 11);
          c.run(pool.threads());
          c.verify(set);
          for (const Shape& shape : {Shape{1, 80, 5, 2}, Shape{40, 64, 1, 4}, Shape{2, 6, 49, 3}}) {
            Case s(shape, options, 12);
            s.run(pool.threads());
            s.verify(set);
          }
        }
      }
    }
  });
}

// A block whose first elements are unlike the rest: the shift is far from the mean.
TEST(dataThatChangesInABlock) {
  ThreadPool pool(1);
  forEachInstructionSet([&](const std::string& set) {
    Case c({1, 1, 4096, 1}, {}, 3);
    for (size_t i = 0; i < 512; ++i) c.x.set(i, 1000 + c.x.get(i));
    c.run(pool.threads());
    c.verify(set);
    c.x.set(0, 3e4);
    c.run(pool.threads());
    c.verify(set);
  });
}

TEST(pointersOffAlignment) {
  ThreadPool pool(2);
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : kDTypes) {
      for (const size_t shift : std::initializer_list<size_t>{1, 2, 4, 8, 12}) {
        Options options;
        options.dtype = dtype;
        options.shift = shift;
        options.residual = true;
        for (const Shape& shape : {Shape{1, 4, 131, 2}, Shape{1, 14, 3, 2}}) {
          Case c(shape, options, shift);
          c.run(pool.threads());
          c.verify(set);
        }
      }
    }
  });
}

// Large enough to be written past the caches, at an address where vectors are not aligned.
TEST(largeTensors) {
  ThreadPool pool(2);
  forEachInstructionSet([&](const std::string& set) {
    if (set == "portable") return;  // has no such writes
    for (const size_t shift : std::initializer_list<size_t>{0, 4}) {
      Options options;
      options.shift = shift;
      options.activation = Activation::relu;
      for (const Shape& shape : {Shape{1, 5, 1000003, 5}, Shape{8, 4096, 99, 64}}) {
        Case c(shape, options, 21);
        c.run(pool.threads());
        c.verify(set);
      }
    }
  });
}

}  // namespace
