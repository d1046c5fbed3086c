// Memory for tensors, shared by the whole process. A block that is given back waits for the next taker of its size,
// because fresh memory costs a page fault for every 4 KiB. Knows neither Node-API nor ONNX Runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

// All functions may be called from any thread.
class BufferPool {
 public:
  static constexpr size_t kAlignment = 64;

  struct Statistics {
    size_t usedBlocks = 0;
    size_t usedBytes = 0;  // as their takers asked for them
    size_t freeBlocks = 0;
    size_t freeBytes = 0;
    size_t reused = 0;  // how often take() has found a free block
  };

  // The pool of the process. It is never destroyed: finalizers and threads may use it until the process has ended.
  static BufferPool& ofProcess();

  // Keeps at most `limit` bytes of free blocks; the block that was given back longest ago is freed first.
  explicit BufferPool(size_t limit, size_t users = 1) : limit_(limit), users_(users) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Returns `bytes` bytes with any contents, aligned to kAlignment; null if there is no memory.
  void* take(size_t bytes) noexcept;

  // The same, given back when the last copy of the pointer is gone.
  std::shared_ptr<void> takeShared(size_t bytes);

  // Ends the use of what take() has returned. Returns false if it is not of this pool.
  bool giveBack(void* memory) noexcept;

  void setLimit(size_t bytes) noexcept;

  // The pool keeps free blocks only while it has users, such as sessions. The last user to go frees them.
  void addUser() noexcept;
  void removeUser() noexcept;

  Statistics statistics() const noexcept;

  // Returns the size of the block that take() makes for `bytes`: one of eight for each doubling, so that tensors of
  // about the same size share blocks.
  static size_t capacityFor(size_t bytes) noexcept;

 private:
  struct SizeClass;

  struct Block {
    void* memory;
    SizeClass* sizeClass;
    size_t bytes;
    uint64_t givenBackAt;
  };
  // Blocks move from list to list by splice(), which takes no memory and cannot fail.
  using Blocks = std::list<Block>;

  struct SizeClass {
    size_t capacity;
    Blocks free;  // what was given back last comes first
  };

  Blocks::iterator use(SizeClass&);
  Blocks takeOut(size_t limit);
  static void release(const Blocks&);

  mutable std::mutex mutex_;
  size_t limit_;
  size_t users_;
  uint64_t clock_ = 0;
  Statistics statistics_;
  std::map<size_t, SizeClass> sizeClasses_;
  Blocks used_;
  std::unordered_map<void*, Blocks::iterator> byMemory_;  // all blocks, used and free
};
