#include "group_norm.h"

#include "instruction_set.h"
#include "rows.h"
#include "schedule.h"

namespace group_norm {
namespace {

// Above this many bytes of x and y together, y is written past the caches: they could not keep it for its reader, and
// to write through them is to read it first. Measured with 32 MB of last-level cache, npm run test:native -- --bench.
constexpr size_t kStreamingBytes = size_t{24} << 20;

bool valid(const Problem& p) {
  return p.batch >= 0 && p.channels >= 0 && p.spatial >= 0 && p.groups > 0 && p.channels % p.groups == 0;
}

bool empty(const Problem& p) { return p.batch == 0 || p.channels == 0 || p.spatial == 0; }

// Written in place, the lines of y are in the caches already.
bool streams(const Problem& p) {
  const size_t bytes = static_cast<size_t>(p.batch * p.channels * p.spatial) * bytesOf(p.dtype);
  const bool inPlace = p.y == p.x || p.y == p.residual;
  const bool aligned = reinterpret_cast<uintptr_t>(p.y) % bytesOf(p.dtype) == 0;
  return 2 * bytes > kStreamingBytes && !inPlace && aligned;
}

}  // namespace

Outcome run(const Problem& problem, const Threads& threads) noexcept {
  if (!valid(problem)) return Outcome::invalid;
  if (empty(problem)) return Outcome::done;
  const Rows rows(problem, kernelsInUse(), streams(problem));
  return normalizeAll(rows, threads) ? Outcome::done : Outcome::outOfMemory;
}

}  // namespace group_norm
