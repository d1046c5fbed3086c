#include "group_norm.h"

#include "blocked_rows.h"
#include "instruction_set.h"
#include "rows.h"
#include "schedule.h"

namespace group_norm {
namespace {

// Above this many bytes of x and y together, y is written past the caches: they could not keep it for its reader, and
// to write through them is to read it first. Measured with 32 MB of last-level cache, npm run test:native -- --bench.
constexpr size_t kStreamingBytes = size_t{24} << 20;

bool validLayout(const Problem& p) {
  return p.block == 0 || ((p.block == 8 || p.block == 16) && p.dtype == DType::float32 && !p.perGroupAffine);
}

bool valid(const Problem& p) {
  return validLayout(p) && p.batch >= 0 && p.channels >= 0 && p.spatial >= 0 && p.groups > 0 &&
         p.channels % p.groups == 0;
}

bool empty(const Problem& p) { return p.batch == 0 || p.channels == 0 || p.spatial == 0; }

// Whether what is to be stored past the caches begins at a multiple of the largest vector, or else of an element, which
// is enough where the store may begin with a part.
bool aligned(const Problem& p) {
  const auto address = reinterpret_cast<uintptr_t>(p.y);
  if (p.block > 0) return address % 64 == 0 && p.spatial * p.block % 16 == 0;
  return address % bytesOf(p.dtype) == 0;
}

// Written in place, the lines of y are in the caches already.
bool streams(const Problem& p) {
  const size_t bytes = static_cast<size_t>(p.batch * p.channels * p.spatial) * bytesOf(p.dtype);
  const bool inPlace = p.y == p.x || p.y == p.residual;
  return 2 * bytes > kStreamingBytes && !inPlace && aligned(p);
}

}  // namespace

Outcome run(const Problem& problem, const Threads& threads) noexcept {
  if (!valid(problem)) return Outcome::invalid;
  if (empty(problem)) return Outcome::done;
  const bool streaming = streams(problem);
  const bool done = problem.block > 0 ? normalizeAll(BlockedRows(problem, kernelsInUse(), streaming), threads)
                                      : normalizeAll(Rows(problem, kernelsInUse(), streaming), threads);
  return done ? Outcome::done : Outcome::outOfMemory;
}

}  // namespace group_norm
