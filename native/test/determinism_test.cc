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
