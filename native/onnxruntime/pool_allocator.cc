#include "pool_allocator.h"

#include "../buffers/buffer_pool.h"
#include "library.h"

namespace ort {
namespace {

struct PoolAllocator : Allocator {
  MemoryInfo* memory;
  // The runtime's own, which is asked where the pool has no memory: it fails in the way that the runtime knows. The
  // runtime does not check what an allocator returns for null.
  Allocator* fallback;
};

void* alloc(Allocator* allocator, size_t size) {
  if (void* memory = BufferPool::ofProcess().take(size)) return memory;
  Allocator* fallback = static_cast<PoolAllocator*>(allocator)->fallback;
  return fallback->Alloc(fallback, size);
}

void free(Allocator* allocator, void* memory) {
  if (BufferPool::ofProcess().giveBack(memory)) return;
  Allocator* fallback = static_cast<PoolAllocator*>(allocator)->fallback;
  fallback->Free(fallback, memory);
}

const MemoryInfo* info(const Allocator* allocator) { return static_cast<const PoolAllocator*>(allocator)->memory; }

PoolAllocator* makeAllocator() {
  MemoryInfo* memory = nullptr;
  check(api().CreateCpuMemoryInfo(kDeviceAllocator, kMemoryDefault, &memory));
  Allocator* fallback = nullptr;
  check(api().GetAllocatorWithDefaultOptions(&fallback));
  return new PoolAllocator{{kApiVersion, alloc, free, info, alloc}, memory, fallback};
}

}  // namespace

Allocator* poolAllocator() {
  static PoolAllocator* const allocator = makeAllocator();
  return allocator;
}

}  // namespace ort
