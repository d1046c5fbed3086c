// The same bits for every number of threads, from run to run, and in place.
#include "check.h"
#include "reference.h"
#include "thread_pool.h"

using group_norm::Activation;

namespace {

const Shape kShapes[] = {{1, 2, 70001, 1}, {1, 6, 40000, 3}, {7, 64, 100, 32}, {3, 4000, 5, 5}, {1, 2, 400000, 2}};

Case kase(const Shape& shape, group_norm::DType dtype) {
  Options options;
  options.dtype = dtype;
  options.residual = true;
  options.activation = Activation::silu;
  return Case(shape, options, 5);
}

TEST(sameBitsForEveryNumberOfThreads) {
  forEachInstructionSet([&](const std::string& set) {
    for (group_norm::DType dtype : kDTypes) {
      for (const Shape& shape : kShapes) {
        Case alone = kase(shape, dtype);
        alone.run({});
        for (int threads : {1, 2, 3, 7, 64}) {
          ThreadPool pool(threads < 8 ? threads : 2);
          group_norm::Threads as = pool.threads();
          as.count = threads;
          for (int again = 0; again < 2; ++again) {
            Case shared = kase(shape, dtype);
            shared.run(as);
            CHECK(shared.y.sameBytes(alone.y), set << " " << describe(shared) << ", " << threads << " threads");
          }
        }
      }
    }
  });
}

TEST(inPlace) {
  ThreadPool pool(3);
  forEachInstructionSet([&](const std::string& set) {
    for (group_norm::DType dtype : kDTypes) {
      for (const Shape& shape : kShapes) {
        Case apart = kase(shape, dtype);
        apart.run(pool.threads());
        Case onX = kase(shape, dtype);
        group_norm::Problem p = onX.problem();
        p.y = onX.x.data();
        CHECK(group_norm::run(p, pool.threads()) == group_norm::Outcome::done, "in place");
        CHECK(onX.x.sameBytes(apart.y), set << " on x " << describe(onX));
        Case onResidual = kase(shape, dtype);
        p = onResidual.problem();
        p.y = onResidual.residual.data();
        CHECK(group_norm::run(p, pool.threads()) == group_norm::Outcome::done, "in place");
        CHECK(onResidual.residual.sameBytes(apart.y), set << " on the residual " << describe(onX));
      }
    }
  });
}

// Rows of a few vectors, of many, and with a last part of a vector; one has a NaN, and one a mean far from 0.
TEST(shortRowsDoNotSeeTheirNeighbours) {
  forEachInstructionSet([&](const std::string& set) {
    for (group_norm::DType dtype : kDTypes) {
      for (const Shape& shape : {Shape{9, 64, 1, 8}, Shape{5, 96, 1, 3}, Shape{3, 12, 49, 3}, Shape{3, 30, 7, 5}}) {
        Case together = kase(shape, dtype);
        const size_t rows = static_cast<size_t>(shape.batch * shape.groups);
        const size_t length = shape.elements() / rows;
        Case alone = kase(shape, dtype);
        for (Case* c : {&together, &alone}) {
          for (size_t i = 2 * length; i < 3 * length; ++i) c->x.set(i, 1000 + c->x.get(i));
        }
        together.x.set(4 * length + 1, std::numeric_limits<double>::quiet_NaN());
        together.run({});
        for (size_t row = 0; row < rows; ++row) {
          const size_t bytes = row * length * alone.x.size();
          const size_t channels = static_cast<size_t>(shape.channels / shape.groups);
          const size_t affine = row % static_cast<size_t>(shape.groups) * channels * alone.x.size();
          group_norm::Problem p = alone.problem();
          p.x = static_cast<const char*>(p.x) + bytes;
          p.residual = static_cast<const char*>(p.residual) + bytes;
          p.scale = static_cast<const char*>(p.scale) + affine;
          p.bias = static_cast<const char*>(p.bias) + affine;
          p.y = static_cast<char*>(p.y) + bytes;
          p.batch = p.groups = 1;
          p.channels = shape.channels / shape.groups;
          CHECK(group_norm::run(p, {}) == group_norm::Outcome::done, "one row");
        }
        for (size_t i = 0; i < shape.elements(); ++i) {
          const bool bad = i / length == 4;
          const bool same = bad ? std::isnan(together.y.get(i)) : together.y.get(i) == alone.y.get(i);
          CHECK(same, set << " " << describe(alone) << " element " << i);
        }
      }
    }
  });
}

TEST(smallTensorsWakeNoThread) {
  ThreadPool pool(2);
  Case tiny = kase({1, 32, 64, 8}, group_norm::DType::float32);
  tiny.run(pool.threads());
  CHECK(pool.calls() == 0, pool.calls() << " calls");
  Case large = kase({1, 32, 40000, 8}, group_norm::DType::float32);
  large.run(pool.threads());
  CHECK(pool.calls() == 1, pool.calls() << " calls");
}

}  // namespace
