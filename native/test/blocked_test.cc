// The blocked layout: values against the definition over every way in which groups and blocks meet, the same bits
// however it is computed, and values that float arithmetic would lose.
#include "check.h"
#include "reference.h"
#include "thread_pool.h"

using group_norm::Activation;
using group_norm::Outcome;

namespace {

// Groups within a block, of several blocks, of parts of blocks; channels that do not fill the last block; chunks of
// every number of positions; odd numbers of positions.
const Shape kShapes[] = {
    {1, 16, 1, 4},     {2, 16, 9, 16},   {1, 32, 49, 2},  {2, 64, 49, 32}, {1, 64, 25, 1},    {2, 80, 15, 8},
    {1, 48, 33, 2},    {1, 120, 7, 5},   {1, 20, 31, 4},  {2, 7, 5, 7},    {1, 7, 13, 1},     {1, 40, 63, 4},
    {1, 3, 100, 1},    {3, 36, 17, 3},   {1, 60, 21, 5},  {1, 24, 257, 3}, {1, 16, 2049, 4},  {2, 10, 4100, 2},
    {1, 32, 3001, 1},  {1, 17, 1, 17},   {1, 96, 64, 32}, {5, 12, 1, 4},   {1, 23, 1030, 23}, {1, 56, 100, 8},
    {1, 30, 1025, 10}, {1, 320, 16, 32}, {1, 100, 11, 2},
};

template <typename Body>
void forEachSetAndBlock(Body body) {
  forEachInstructionSet([&](const std::string& set) {
    for (const int64_t block : {8, 16}) body(set, block);
  });
}

Shape blocked(Shape shape, int64_t block) {
  shape.block = block;
  return shape;
}

TEST(blockedValuesOfEveryShape) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    forEachSetAndBlock([&](const std::string& set, int64_t block) {
      uint64_t seed = 1;
      for (const Shape& shape : kShapes) {
        Options options;
        options.activation = static_cast<Activation>(seed % 3);
        options.residual = seed % 2 == 0;
        options.mean = seed % 4 == 0 ? 3 : 0;
        Case c(blocked(shape, block), options, seed++);
        c.run(pool.threads());
        c.verify(set);
      }
    });
  }
}

TEST(blockedValuesOfRandomShapes) {
  ThreadPool pool(2);
  std::mt19937_64 random(4);
  const auto upTo = [&](uint64_t most) { return static_cast<int64_t>(random() % most) + 1; };
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const int64_t groups = upTo(12);
    const Shape shape = {upTo(3), groups * upTo(seed % 2 == 0 ? 4 : 20), upTo(seed % 3 == 0 ? 20 : 300), groups};
    Options options;
    options.activation = static_cast<Activation>(upTo(3) - 1);
    options.residual = upTo(2) == 1;
    forEachSetAndBlock([&](const std::string& set, int64_t block) {
      Case c(blocked(shape, block), options, seed);
      c.run(pool.threads());
      c.verify(set);
    });
  }
}

TEST(blockedMeansLargeBesideTheDeviation) {
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const double mean : {300.0, -1000.0, 1e4, 1e6}) {
      for (const double deviation : {0.1, 1.0, 40.0}) {
        Options options;
        options.mean = mean;
        options.deviation = deviation;
        for (const Shape& shape : {Shape{1, 20, 3000, 2}, Shape{1, 80, 5, 2}}) {
          Case c(blocked(shape, block), options, 11);
          c.run({});
          c.verify(set);
        }
      }
    }
  });
}

// Lanes whose first elements are unlike the rest, and channels of a group with means of their own.
TEST(blockedDataThatChanges) {
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    Case c(blocked({1, 20, 1000, 2}, block), {}, 3);
    for (size_t i = 0; i < 100; ++i) c.x.set(c.shape.at(0, 3, i), 1000 + c.x.get(c.shape.at(0, 3, i)));
    c.x.set(c.shape.at(0, 17, 0), 3e4);
    for (size_t i = 0; i < 1000; ++i) c.x.set(c.shape.at(0, 5, i), -70 + c.x.get(c.shape.at(0, 5, i)));
    c.run({});
    c.verify(set);
  });
}

TEST(blockedPointersOffAlignment) {
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const size_t shift : std::initializer_list<size_t>{1, 4, 12, 32}) {
      Options options;
      options.shift = shift;
      options.residual = true;
      Case c(blocked({2, 24, 131, 3}, block), options, shift);
      c.run({});
      c.verify(set);
    }
  });
}

// Large enough to be written past the caches, where every vector is aligned and its block is not padded. In place
// tensors are written through the caches.
TEST(blockedLargeTensors) {
  ThreadPool pool(2);
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const int64_t spatial : {160002, 160001}) {
      Options options;
      options.activation = Activation::relu;
      Case c(blocked({1, 20, spatial, 2}, block), options, 21);
      Case inPlace = c;
      group_norm::Problem p = inPlace.problem();
      p.y = inPlace.x.data();
      CHECK(group_norm::run(p, pool.threads()) == Outcome::done, describe(c));
      for (const size_t shift : std::initializer_list<size_t>{0, 4}) {
        std::vector<char> memory(c.y.count() * sizeof(float) + 128);
        p = c.problem();
        p.y = memory.data() + 64 - reinterpret_cast<uintptr_t>(memory.data()) % 64 + shift;
        CHECK(group_norm::run(p, pool.threads()) == Outcome::done, describe(c));
        CHECK(std::memcmp(p.y, inPlace.x.data(), c.y.count() * sizeof(float)) == 0, set << " " << describe(c));
      }
    }
  });
}

Case kase(const Shape& shape) {
  Options options;
  options.residual = true;
  options.activation = Activation::silu;
  return Case(shape, options, 5);
}

const Shape kLongShapes[] = {{1, 32, 5001, 1}, {2, 48, 1500, 3}, {1, 40, 3000, 4}, {3, 64, 300, 32}};

TEST(blockedSameBitsForEveryNumberOfThreads) {
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const Shape& shape : kLongShapes) {
      Case alone = kase(blocked(shape, block));
      alone.run({});
      for (const int threads : {2, 3, 64}) {
        ThreadPool pool(threads < 8 ? threads : 2);
        group_norm::Threads as = pool.threads();
        as.count = threads;
        Case shared = kase(blocked(shape, block));
        shared.run(as);
        CHECK(shared.y.sameBytes(alone.y), set << " " << describe(shared) << ", " << threads << " threads");
      }
    }
  });
}

TEST(blockedSamplesHaveTheSameBitsAloneAsInABatch) {
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const Shape& shape : {Shape{3, 40, 1500, 4}, Shape{4, 21, 33, 3}}) {
      Case batch = kase(blocked(shape, block));
      batch.run({});
      const size_t bytes = batch.y.count() / static_cast<size_t>(shape.batch) * sizeof(float);
      for (size_t item = 0; item < static_cast<size_t>(shape.batch); ++item) {
        Shape one = blocked(shape, block);
        one.batch = 1;
        Case alone = kase(one);
        group_norm::Problem p = alone.problem();
        p.x = static_cast<const char*>(batch.x.data()) + item * bytes;
        p.residual = static_cast<const char*>(batch.residual.data()) + item * bytes;
        p.scale = batch.scale.data();
        p.bias = batch.bias.data();
        CHECK(group_norm::run(p, {}) == Outcome::done, describe(alone));
        CHECK(std::memcmp(p.y, static_cast<const char*>(batch.y.data()) + item * bytes, bytes) == 0,
              set << " item " << item << " of " << describe(batch));
      }
    }
  });
}

TEST(blockedInPlace) {
  ThreadPool pool(3);
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const Shape& shape : kLongShapes) {
      Case apart = kase(blocked(shape, block));
      apart.run(pool.threads());
      Case onX = kase(blocked(shape, block));
      group_norm::Problem p = onX.problem();
      p.y = onX.x.data();
      CHECK(group_norm::run(p, pool.threads()) == Outcome::done, "in place");
      CHECK(onX.x.sameBytes(apart.y), set << " on x " << describe(onX));
      Case onResidual = kase(blocked(shape, block));
      p = onResidual.problem();
      p.y = onResidual.residual.data();
      CHECK(group_norm::run(p, pool.threads()) == Outcome::done, "in place");
      CHECK(onResidual.residual.sameBytes(apart.y), set << " on the residual " << describe(onX));
    }
  });
}

// Of 7 groups of 6 channels, whose blocks they share with other groups.
TEST(blockedNanAndInfMakeTheirGroupNaN) {
  const double inf = std::numeric_limits<double>::infinity();
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const double bad : {std::nan(""), inf, -inf}) {
      for (const size_t position : std::initializer_list<size_t>{0, 3, 300}) {
        for (const Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
          Options options;
          options.activation = activation;
          Case c(blocked({1, 42, 301, 7}, block), options, 1);
          c.x.set(c.shape.at(0, 15, position), bad);
          c.run({});
          for (size_t channel = 0; channel < 42; ++channel) {
            const bool isNaN = std::isnan(c.y.get(c.shape.at(0, channel, 200)));
            CHECK(isNaN == (channel / 6 == 2), set << " " << describe(c) << " " << bad << " channel " << channel);
          }
        }
      }
    }
  });
}

TEST(blockedPaddingHasNoInfluence) {
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const Shape& shape : {Shape{2, 21, 700, 3}, Shape{1, 13, 9, 1}}) {
      Case first = kase(blocked(shape, block));
      first.run({});
      for (const double value : {0.0, 1e30, -1e-30}) {
        Case c = kase(blocked(shape, block));
        c.forEachPadding([&](size_t at) {
          c.x.set(at, at % 3 == 0 ? value : -value);
          c.residual.set(at, value);
        });
        c.run({});
        CHECK(c.y.sameBytes(first.y), set << " " << describe(c) << " of " << value);
      }
    }
  });
}

TEST(blockedConstantGroupsAreExactlyTheBias) {
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const double value : {0.0, 0.1, -1000.1, 3.3e4}) {
      for (const Shape& shape : {Shape{1, 20, 3001, 2}, Shape{2, 9, 3, 3}, Shape{1, 80, 50, 8}}) {
        Case c(blocked(shape, block), {}, 1);
        for (size_t i = 0; i < c.x.count(); ++i) c.x.set(i, value);
        c.run({});
        for (size_t channel = 0; channel < static_cast<size_t>(shape.channels); ++channel) {
          for (size_t i = 0; i < static_cast<size_t>(shape.spatial); ++i) {
            const double y = c.y.get(c.shape.at(0, channel, i));
            CHECK(y == c.bias.get(channel), set << " " << describe(c) << " of " << value << ": " << y);
          }
        }
      }
    }
  });
}

// Squares that float does not hold, an epsilon smaller than what it would lose, and scales beyond it.
TEST(blockedValuesBeyondFloat) {
  ThreadPool pool(2);
  forEachSetAndBlock([&](const std::string& set, int64_t block) {
    for (const Shape& shape : {Shape{1, 20, 700, 4}, Shape{2, 12, 9, 2}}) {
      for (const double deviation : {1e-30, 1e-22, 1e25, 1e37}) {
        for (const double epsilon : {0.0, 1e-5}) {
          Options options;
          options.deviation = deviation;
          options.epsilon = epsilon;
          options.residual = true;
          options.activation = Activation::relu;
          Case c(blocked(shape, block), options, 1);
          // Another group of the same blocks is as usual.
          const auto its = static_cast<size_t>(shape.channels / shape.groups);
          for (size_t channel = 0; channel < its; ++channel) {
            for (size_t i = 0; i < static_cast<size_t>(shape.spatial); ++i) {
              const size_t at = c.shape.at(0, channel, i);
              c.x.set(at, c.x.get(at) / deviation);
            }
          }
          c.run(pool.threads());
          c.verify(set);
        }
      }
      Options options;
      options.deviation = 1e-2;
      Case c(blocked(shape, block), options, 1);
      for (size_t i = 0; i < c.scale.count(); ++i) c.scale.set(i, 2e38);
      c.run(pool.threads());
      c.verify(set);
    }
  });
}

TEST(blockedProblemsThatAreNone) {
  const auto outcomeOf = [](int64_t block, group_norm::DType dtype, bool perGroupAffine) {
    Case c({1, 4, 2, 2, 8}, {}, 1);
    group_norm::Problem p = c.problem();
    p.block = block;
    p.dtype = dtype;
    p.perGroupAffine = perGroupAffine;
    return group_norm::run(p, {});
  };
  CHECK(outcomeOf(8, group_norm::DType::float32, false) == Outcome::done, "a block of 8");
  for (const int64_t block : {-8, 4, 32}) {
    CHECK(outcomeOf(block, group_norm::DType::float32, false) == Outcome::invalid, "a block of " << block);
  }
  CHECK(outcomeOf(8, group_norm::DType::float64, false) == Outcome::invalid, "float64");
  CHECK(outcomeOf(8, group_norm::DType::float32, true) == Outcome::invalid, "an affine per group");
  for (const Shape& shape : {Shape{0, 4, 9, 2, 8}, Shape{2, 4, 0, 2, 8}, Shape{2, 0, 9, 2, 8}}) {
    Case c(shape, {}, 1);
    c.run({});
  }
}

}  // namespace
