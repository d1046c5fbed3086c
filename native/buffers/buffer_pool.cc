#include "buffer_pool.h"

#include <algorithm>
#include <iterator>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_HAS_ASAN 1
#endif
#endif
#ifdef POOL_HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace {

// Enough for the tensors of a large network at work. docs/sessions.md names it.
constexpr size_t kDefaultLimit = size_t{1} << 30;

// Above this, capacityFor() could overflow.
constexpr size_t kMostBytes = SIZE_MAX / 4;

constexpr std::align_val_t kAlign{BufferPool::kAlignment};

#ifdef POOL_HAS_ASAN
// Makes the first `bytes` bytes of a block the only ones that may be touched.
void allowAccess(void* memory, size_t bytes, size_t capacity) {
  ASAN_POISON_MEMORY_REGION(memory, capacity);
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
}
#else
void allowAccess(void*, size_t, size_t) {}
#endif

}  // namespace

BufferPool& BufferPool::ofProcess() {
  static BufferPool* const pool = new BufferPool(kDefaultLimit, 0);
  return *pool;
}

BufferPool::~BufferPool() {
  for (const auto& [capacity, sizeClass] : sizeClasses_) release(sizeClass.free);
}

void* BufferPool::take(size_t bytes) noexcept try {
  if (bytes > kMostBytes) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  const size_t capacity = capacityFor(bytes);
  SizeClass& sizeClass = sizeClasses_.try_emplace(capacity, SizeClass{capacity, {}}).first->second;
  const auto block = use(sizeClass);
  block->bytes = bytes;
  allowAccess(block->memory, bytes, capacity);
  statistics_.usedBlocks++;
  statistics_.usedBytes += bytes;
  return block->memory;
} catch (const std::bad_alloc&) {
  return nullptr;
}

// A free block of that size, or a new one.
BufferPool::Blocks::iterator BufferPool::use(SizeClass& sizeClass) {
  if (!sizeClass.free.empty()) {
    used_.splice(used_.begin(), sizeClass.free, sizeClass.free.begin());
    statistics_.freeBlocks--;
    statistics_.freeBytes -= sizeClass.capacity;
    statistics_.reused++;
    return used_.begin();
  }
  Blocks made{{nullptr, &sizeClass, 0, 0}};
  made.front().memory = ::operator new(sizeClass.capacity, kAlign, std::nothrow);
  if (!made.front().memory) throw std::bad_alloc();
  try {
    byMemory_.emplace(made.front().memory, made.begin());
  } catch (...) {
    release(made);
    throw;
  }
  used_.splice(used_.begin(), made);
  return used_.begin();
}

std::shared_ptr<void> BufferPool::takeShared(size_t bytes) {
  void* memory = take(bytes);
  if (!memory) return nullptr;
  // Gives the block back should there be no memory for the pointer's count.
  return std::shared_ptr<void>(memory, [this](void* block) { giveBack(block); });
}

bool BufferPool::giveBack(void* memory) noexcept {
  Blocks excess;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = byMemory_.find(memory);
    if (found == byMemory_.end()) return false;
    const Blocks::iterator block = found->second;
    SizeClass& sizeClass = *block->sizeClass;
    allowAccess(memory, 0, sizeClass.capacity);
    statistics_.usedBlocks--;
    statistics_.usedBytes -= block->bytes;
    statistics_.freeBlocks++;
    statistics_.freeBytes += sizeClass.capacity;
    block->givenBackAt = ++clock_;
    sizeClass.free.splice(sizeClass.free.begin(), used_, block);
    excess = takeOut(users_ > 0 ? limit_ : 0);
  }
  release(excess);
  return true;
}

void BufferPool::setLimit(size_t bytes) noexcept {
  Blocks excess;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    limit_ = bytes;
    excess = takeOut(bytes);
  }
  release(excess);
}

void BufferPool::addUser() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  users_++;
}

void BufferPool::removeUser() noexcept {
  Blocks all;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--users_ == 0) all = takeOut(0);
  }
  release(all);
}

BufferPool::Statistics BufferPool::statistics() const noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  return statistics_;
}

size_t BufferPool::capacityFor(size_t bytes) noexcept {
  size_t step = kAlignment;
  while (step * 16 < bytes) step *= 2;
  return std::max(step, (bytes + step - 1) / step * step);
}

// Takes free blocks out of the pool until at most `limit` bytes are free. The caller releases them without the lock:
// the operating system takes a while for it.
BufferPool::Blocks BufferPool::takeOut(size_t limit) {
  Blocks out;
  while (statistics_.freeBytes > limit) {
    SizeClass* oldest = nullptr;
    for (auto& [capacity, sizeClass] : sizeClasses_) {
      if (sizeClass.free.empty()) continue;
      if (!oldest || sizeClass.free.back().givenBackAt < oldest->free.back().givenBackAt) oldest = &sizeClass;
    }
    byMemory_.erase(oldest->free.back().memory);
    out.splice(out.end(), oldest->free, std::prev(oldest->free.end()));
    statistics_.freeBlocks--;
    statistics_.freeBytes -= oldest->capacity;
  }
  return out;
}

void BufferPool::release(const Blocks& blocks) {
  for (const Block& block : blocks) {
    allowAccess(block.memory, block.sizeClass->capacity, block.sizeClass->capacity);
    ::operator delete(block.memory, kAlign);
  }
}
