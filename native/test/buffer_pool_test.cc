// The pool of memory: what it hands out, keeps and frees.
#include "../buffers/buffer_pool.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "check.h"

namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Fills a block so that another owner of the same memory would be seen.
void sign(void* block, size_t bytes, unsigned char mark) { std::memset(block, mark, bytes); }
bool isSigned(const void* block, size_t bytes, unsigned char mark) {
  const auto* data = static_cast<const unsigned char*>(block);
  return bytes == 0 || (data[0] == mark && data[bytes - 1] == mark && data[bytes / 2] == mark);
}

}  // namespace

TEST(poolRoundsSizesUpByAtMostAnEighth) {
  for (size_t bytes = 1; bytes < 200 * kMiB; bytes += 1 + bytes / 7) {
    const size_t capacity = BufferPool::capacityFor(bytes);
    const size_t most = bytes + bytes / 8 + BufferPool::kAlignment;
    CHECK(capacity >= bytes && capacity <= most, bytes << " bytes in " << capacity);
    CHECK(capacity % BufferPool::kAlignment == 0, capacity);
    CHECK(BufferPool::capacityFor(capacity) == capacity, capacity);
  }
}

TEST(poolAlignsItsBlocks) {
  BufferPool pool(kMiB);
  for (const size_t bytes : {0, 1, 63, 64, 65, 1000, 1 << 20}) {
    void* block = pool.take(bytes);
    CHECK(block && reinterpret_cast<uintptr_t>(block) % BufferPool::kAlignment == 0, bytes << " bytes at " << block);
    pool.giveBack(block);
  }
}

TEST(poolHandsOutAgainWhatWasGivenBackLast) {
  BufferPool pool(10 * kMiB);
  void* first = pool.take(kMiB);
  void* second = pool.take(kMiB);
  CHECK(first != second, "one block was handed out twice");
  pool.giveBack(first);
  pool.giveBack(second);
  CHECK(pool.take(kMiB) == second, "the last block should be in the caches");
  CHECK(pool.take(kMiB - 1000) == first, "a slightly smaller tensor should share the block");
  CHECK(pool.statistics().reused == 2, pool.statistics().reused);
  pool.giveBack(first);
  pool.giveBack(second);
}

TEST(poolKeepsNoMoreThanItsLimitAndFreesTheOldestFirst) {
  BufferPool pool(3 * kMiB);
  void* blocks[4];
  for (auto& block : blocks) block = pool.take(kMiB);
  void* other = pool.take(2 * kMiB);
  CHECK(pool.statistics().usedBytes == 6 * kMiB, pool.statistics().usedBytes);
  for (void* block : blocks) pool.giveBack(block);
  CHECK(pool.statistics().freeBytes == 3 * kMiB, pool.statistics().freeBytes);
  pool.giveBack(other);
  CHECK(pool.statistics().freeBlocks == 2, pool.statistics().freeBlocks);
  CHECK(pool.take(kMiB) == blocks[3], "the youngest block should have stayed");
  pool.giveBack(blocks[3]);
  pool.setLimit(kMiB);
  CHECK(pool.statistics().freeBytes == kMiB, pool.statistics().freeBytes);
  pool.removeUser();
  CHECK(pool.statistics().freeBlocks == 0 && pool.statistics().freeBytes == 0, pool.statistics().freeBytes);
}

TEST(poolKeepsNothingWithALimitOfZero) {
  BufferPool pool(0);
  pool.giveBack(pool.take(kMiB));
  CHECK(pool.statistics().freeBlocks == 0 && pool.statistics().usedBlocks == 0, pool.statistics().freeBlocks);
}

TEST(poolKeepsFreeBlocksOnlyWhileItHasUsers) {
  BufferPool pool(kMiB, 0);
  pool.giveBack(pool.take(1024));
  CHECK(pool.statistics().freeBlocks == 0, pool.statistics().freeBlocks);
  pool.addUser();
  void* late = pool.take(2048);
  pool.giveBack(pool.take(1024));
  CHECK(pool.statistics().freeBlocks == 1, pool.statistics().freeBlocks);
  pool.removeUser();
  pool.giveBack(late);
  CHECK(pool.statistics().freeBlocks == 0, pool.statistics().freeBlocks);
}

TEST(poolReturnsNullForMoreMemoryThanThereIs) {
  BufferPool pool(kMiB);
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX - 100, SIZE_MAX / 2, SIZE_MAX / 5}) {
    CHECK(pool.take(bytes) == nullptr, bytes);
    CHECK(!pool.takeShared(bytes), bytes);
  }
  CHECK(pool.statistics().usedBlocks == 0, pool.statistics().usedBlocks);
}

TEST(poolTakesBackNothingThatIsNotItsOwn) {
  BufferPool pool(kMiB), other(kMiB);
  void* block = other.take(100);
  CHECK(!pool.giveBack(block) && !pool.giveBack(nullptr), "a pool took what is not its own");
  CHECK(other.giveBack(block), "a pool should know its own block");
}

TEST(poolGetsASharedBlockBackFromItsLastHolder) {
  BufferPool pool(kMiB);
  std::shared_ptr<void> first = pool.takeShared(1000);
  std::shared_ptr<void> second = first;
  first.reset();
  CHECK(pool.statistics().usedBlocks == 1, pool.statistics().usedBlocks);
  second.reset();
  CHECK(pool.statistics().usedBlocks == 0 && pool.statistics().freeBlocks == 1, pool.statistics().freeBlocks);
}

TEST(poolNeverHandsOneBlockToTwoThreads) {
  BufferPool pool(4 * kMiB);
  std::atomic<int> wrong{0};
  const auto work = [&](unsigned char mark) {
    std::mt19937 random(mark);
    struct Taken {
      void* block;
      size_t bytes;
    };
    std::vector<Taken> taken;
    for (int step = 0; step < 5000; step++) {
      if (taken.size() < 8 && random() % 2) {
        const size_t bytes = random() % (1 << (random() % 19));
        taken.push_back({pool.take(bytes), bytes});
        sign(taken.back().block, bytes, mark);
      } else if (!taken.empty()) {
        const Taken last = taken[random() % taken.size()];
        if (!isSigned(last.block, last.bytes, mark)) wrong++;
        for (auto& one : taken) {
          if (one.block == last.block) one = taken.back();
        }
        taken.pop_back();
        pool.giveBack(last.block);
      }
      if (step % 1000 == 0) pool.setLimit(random() % (8 * kMiB));
    }
    for (const Taken& one : taken) pool.giveBack(one.block);
  };
  std::vector<std::thread> threads;
  for (unsigned char mark = 1; mark <= 6; mark++) threads.emplace_back(work, mark);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0, wrong << " blocks had two owners");
  CHECK(pool.statistics().usedBlocks == 0 && pool.statistics().usedBytes == 0, pool.statistics().usedBytes);
  CHECK(pool.statistics().freeBytes <= 8 * kMiB, pool.statistics().freeBytes);
}
