#include "schedule.h"

#include <algorithm>
#include <memory>
#include <new>

namespace group_norm {
namespace {

// Below this many elements a thread is not worth waking.
constexpr size_t kLeastPerThread = 16384;

// Tasks for each thread. A late thread leaves its last tasks to the others.
constexpr size_t kTasksPerThread = 4;

// Rows that are read twice should still be in the last-level cache the second time.
constexpr size_t kCacheBytes = size_t{16} << 20;

template <typename Body>
void forEach(const Threads& threads, size_t count, const Body& body) {
  if (count <= 1 || !threads.parallelFor) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
  const auto call = [](void* user, size_t index) { (*static_cast<const Body*>(user))(index); };
  threads.parallelFor(threads.context, count, call, const_cast<Body*>(&body));
}

// Threads that this much work can keep busy.
template <typename Rows>
size_t threadsFor(const Rows& rows, const Threads& threads) {
  if (!threads.parallelFor || threads.count <= 1) return 1;
  const size_t useful = std::max<size_t>(1, rows.count() * rows.length() / kLeastPerThread);
  return std::min(static_cast<size_t>(threads.count), useful);
}

// Each task is some whole rows.
template <typename Rows>
void byRows(const Rows& rows, const Threads& threads, size_t threadCount) {
  const size_t tasks = threadCount == 1 ? 1 : std::min(rows.count(), threadCount * kTasksPerThread);
  forEach(threads, tasks,
          [&](size_t task) { rows.normalizeRows(rows.count() * task / tasks, rows.count() * (task + 1) / tasks); });
}

// Each task is a chunk of a row: the statistics of all chunks, then the output of all. As many rows at a time as
// the last-level cache holds from the one to the other.
template <typename Rows>
bool byChunks(const Rows& rows, const Threads& threads) {
  const size_t chunks = rows.chunksEach();
  const size_t rowsAtOnce = std::min(rows.count(), std::max<size_t>(1, kCacheBytes / rows.bytesEach()));
  using Statistics = typename Rows::Statistics;
  const std::unique_ptr<Statistics[]> ofChunks(new (std::nothrow) Statistics[rowsAtOnce * chunks]);
  const std::unique_ptr<Statistics[]> ofRows(new (std::nothrow) Statistics[rowsAtOnce]);
  if (!ofChunks || !ofRows) return false;

  for (size_t first = 0; first < rows.count(); first += rowsAtOnce) {
    const size_t count = std::min(rowsAtOnce, rows.count() - first);
    forEach(threads, count * chunks,
            [&](size_t i) { ofChunks[i] = rows.chunkMoments(first + i / chunks, i % chunks); });
    for (size_t row = 0; row < count; ++row) {
      ofRows[row] = {};
      for (size_t i = 0; i < chunks; ++i) ofRows[row] = merge(ofRows[row], ofChunks[row * chunks + i]);
    }
    // Backwards: what was read last is nearest.
    const size_t last = count * chunks - 1;
    forEach(threads, count * chunks, [&](size_t i) {
      const size_t row = (last - i) / chunks;
      rows.normalizeChunk(first + row, (last - i) % chunks, ofRows[row]);
    });
  }
  return true;
}

// Whole rows need one meeting of the threads, and one trip to memory if a row fits the caches. They do badly when
// threads are left without a row, or when the rows under way do not fit.
template <typename Rows>
bool wholeRowsSuit(const Rows& rows, size_t threadCount) {
  if (threadCount == 1 || rows.chunksEach() == 1) return true;
  const size_t rounds = (rows.count() + threadCount - 1) / threadCount;
  const bool allBusy = rows.count() * 5 >= rounds * threadCount * 4;
  return allBusy && rows.bytesEach() * threadCount <= kCacheBytes;
}

}  // namespace

template <typename Rows>
bool normalizeAll(const Rows& rows, const Threads& threads) {
  const size_t threadCount = threadsFor(rows, threads);
  if (!wholeRowsSuit(rows, threadCount)) return byChunks(rows, threads);
  byRows(rows, threads, threadCount);
  return true;
}

template bool normalizeAll(const Rows&, const Threads&);
template bool normalizeAll(const BlockedRows&, const Threads&);

}  // namespace group_norm
