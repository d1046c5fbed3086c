// NaN, infinities, huge, tiny and constant values; empty tensors; invalid problems.
#include "check.h"
#include "reference.h"
#include "thread_pool.h"

using group_norm::Activation;
using group_norm::DType;

namespace {

const double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::numeric_limits<double>::quiet_NaN();

Options of(DType dtype, Activation activation = Activation::none) {
  Options options;
  options.dtype = dtype;
  options.activation = activation;
  return options;
}

template <typename Body>
void forEachSetAndDType(Body body) {
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : kDTypes) body(set, dtype);
  });
}

TEST(nanAndInfMakeTheirGroupNaN) {
  ThreadPool pool(2);
  forEachSetAndDType([&](const std::string& set, DType dtype) {
    for (double bad : {kNaN, kInf, -kInf}) {
      for (const size_t position : std::initializer_list<size_t>{0, 3, 700, 4999, 9999}) {
        for (Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
          Case c({1, 6, 5000, 3}, of(dtype, activation), 1);
          c.x.set(10000 + position, bad);
          c.run(pool.threads());
          size_t nans = 0;
          for (size_t i = 0; i < 10000; ++i) nans += std::isnan(c.y.get(10000 + i));
          CHECK(nans == 10000, set << " " << describe(c) << " " << bad << " at " << position << ": " << nans);
          CHECK(std::isfinite(c.y.get(9999)) && std::isfinite(c.y.get(20000)), "other groups " << describe(c));
        }
      }
    }
  });
}

// PyTorch 2.13: relu and silu of these, one by one. A scale of 0 lets the bias through.
TEST(activationsOfSpecialValues) {
  const double in[] = {kNaN, kInf, -kInf, 0.0, -104.0, 104.0};
  const double relu[] = {kNaN, kInf, 0, 0, 0, 104.0};
  const double silu[] = {kNaN, kInf, kNaN, 0, 0, 104.0};
  forEachSetAndDType([&](const std::string& set, DType dtype) {
    for (Activation activation : {Activation::relu, Activation::silu}) {
      const double* wanted = activation == Activation::relu ? relu : silu;
      Case c({1, 6, 40, 1}, of(dtype, activation), 1);
      for (size_t i = 0; i < 6; ++i) {
        c.scale.set(i, 0);
        c.bias.set(i, in[i]);
      }
      c.run({});
      for (size_t i = 0; i < c.y.count(); ++i) {
        const double expected = wanted[i / 40];
        const double actual = c.y.get(i);
        const bool same =
            std::isnan(expected) ? std::isnan(actual) : actual == expected || std::fabs(actual - expected) < 1e-40;
        CHECK(same, set << " " << describe(c) << " of " << in[i / 40] << ": " << actual << ", expected " << expected);
      }
    }
  });
}

TEST(bfloat16RoundsNaNToNaN) {
  for (uint32_t bits : {0x7F800001u, 0x7FFFFFFFu, 0xFF800001u, 0xFFFFFFFFu}) {
    CHECK(std::isnan(decode(group_norm::narrowToBFloat16(group_norm::floatOf(bits)).bits, 7, 8)), bits);
  }
}

TEST(constantInputIsExactlyTheBias) {
  ThreadPool pool(2);
  forEachSetAndDType([&](const std::string& set, DType dtype) {
    for (double value : {0.0, 0.1, -1000.1, 3.3e4}) {
      for (const Shape& shape : {Shape{1, 4, 20001, 2}, Shape{2, 9, 3, 3}, Shape{4, 8, 1, 8}}) {
        Case c(shape, of(dtype), 1);
        for (size_t i = 0; i < c.x.count(); ++i) c.x.set(i, value);
        c.run(pool.threads());
        for (size_t i = 0; i < c.y.count(); ++i) {
          const size_t channel = i / static_cast<size_t>(shape.spatial) % static_cast<size_t>(shape.channels);
          CHECK(c.y.get(i) == c.bias.get(channel), set << " " << describe(c) << " of " << value << ": " << c.y.get(i));
        }
      }
    }
  });
}

// 0 / 0, as in PyTorch.
TEST(constantInputWithoutEpsilonIsNaN) {
  forEachSetAndDType([&](const std::string& set, DType dtype) {
    Options options = of(dtype);
    options.epsilon = 0;
    Case c({1, 2, 50, 1}, options, 1);
    for (size_t i = 0; i < c.x.count(); ++i) c.x.set(i, 7);
    c.run({});
    for (size_t i = 0; i < c.y.count(); ++i) CHECK(std::isnan(c.y.get(i)), set << " " << c.y.get(i));
  });
}

// Squares of these are Inf or 0 in float.
TEST(hugeAndTinyValues) {
  ThreadPool pool(2);
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : {DType::float32, DType::bfloat16}) {
      for (double deviation : {1e-36, 1e-30, 1e-20, 1e-12, 1e17, 1e20, 1e30, 1.9e38}) {
        for (Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
          Options options = of(dtype, activation);
          options.deviation = deviation;
          options.epsilon = 0;
          options.residual = true;
          Case c({1, 4, 3000, 2}, options, 1);
          c.run(pool.threads());
          c.verify(set);
        }
      }
    }
  });
}

TEST(hugeAndTinyValuesInShortRows) {
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : {DType::float32, DType::bfloat16}) {
      for (double deviation : {1e-36, 1e-20, 1e17, 1e20, 1.9e38}) {
        Options options = of(dtype);
        options.deviation = deviation;
        options.epsilon = 0;
        for (const Shape& shape : {Shape{20, 64, 1, 4}, Shape{2, 6, 49, 3}}) {
          Case c(shape, options, 1);
          c.run({});
          c.verify(set);
        }
      }
    }
  });
}

// The sum of such a row is Inf.
TEST(meansNearTheLargestDouble) {
  forEachInstructionSet([&](const std::string& set) {
    for (const Shape& shape : {Shape{3, 64, 1, 4}, Shape{2, 6, 49, 3}, Shape{1, 2, 5000, 1}}) {
      Options options = of(DType::float64);
      options.mean = 1e308;
      options.deviation = 1e150;
      Case c(shape, options, 1);
      for (size_t i = 0; i < c.x.count(); ++i) c.x.set(i, i % 2 == 0 ? 1e308 : 1e308 + 1e296);
      c.run({});
      for (size_t i = 0; i < c.y.count(); ++i) CHECK(std::isfinite(c.y.get(i)), set << " " << describe(c));
    }
  });
}

// scale / deviation is more than the type holds, and most results are not: those are right, the others Inf of their
// sign.
TEST(scalesThatOverflow) {
  ThreadPool pool(2);
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : {DType::float32, DType::bfloat16}) {
      for (const Shape& shape : {Shape{2, 4, 9, 2}, Shape{2, 8, 1, 2}, Shape{1, 4, 20000, 2}}) {
        Options options = of(dtype);
        options.deviation = 1e-2;
        Case c(shape, options, 1);
        for (size_t i = 0; i < c.scale.count(); ++i) c.scale.set(i, 2e38);
        c.run(pool.threads());
        c.verify(set);
      }
    }
  });
}

// (x - mean) * Inf, and NaN where x is the mean itself.
TEST(infiniteScale) {
  forEachSetAndDType([&](const std::string& set, DType dtype) {
    for (int64_t spatial : {3, 100}) {
      Case c({1, 2, spatial, 1}, of(dtype), 1);
      for (size_t i = 0; i < c.x.count(); ++i) c.x.set(i, i % 2 == 0 ? 1 : -1);
      c.scale.set(1, kInf);
      c.run({});
      for (size_t i = 0; i < c.x.count(); ++i) {
        const bool infinite = i >= static_cast<size_t>(spatial);
        const double actual = c.y.get(i);
        CHECK(infinite ? actual == (c.x.get(i) > 0 ? kInf : -kInf) : std::isfinite(actual), set << " " << actual);
      }
    }
  });
}

TEST(emptyTensors) {
  ThreadPool pool(2);
  for (DType dtype : kDTypes) {
    for (const Shape& shape : {Shape{0, 4, 9, 2}, Shape{2, 4, 0, 2}, Shape{2, 0, 9, 2}, Shape{0, 0, 0, 1}}) {
      Case c(shape, of(dtype), 1);
      c.run(pool.threads());
    }
  }
}

TEST(problemsThatAreNone) {
  const Shape shapes[] = {{1, 5, 2, 2}, {1, 4, 2, 0}, {1, 4, 2, -2}, {-1, 4, 2, 2}, {1, -4, 2, 2}, {1, 4, -2, 2}};
  for (const Shape& shape : shapes) {
    Case c({1, 4, 2, 2}, {}, 1);
    group_norm::Problem p = c.problem();
    p.batch = shape.batch;
    p.channels = shape.channels;
    p.spatial = shape.spatial;
    p.groups = shape.groups;
    CHECK(group_norm::run(p, {}) == group_norm::Outcome::invalid,
          shape.batch << "x" << shape.channels << "x" << shape.spatial << " " << shape.groups);
  }
}

TEST(instructionSetsByName) {
  const std::string best = group_norm::instructionSet();
  CHECK(!group_norm::forceInstructionSet("mmx"), "mmx");
  CHECK(best == group_norm::instructionSet(), "a refused one changes nothing");
  CHECK(group_norm::forceInstructionSet("portable"), "portable is everywhere");
  CHECK(group_norm::forceInstructionSet(best.c_str()), best);
}

}  // namespace
