#include "pool_allocator.h"

#include "../buffers/buffer_pool.h"

namespace ort {
namespace {

struct PoolAllocator : Allocator {
  MemoryInfo* memory = nullptr;
  // The runtime's own. Where the pool has no memory it is asked: it then fails as the runtime expects of an
  // allocator, which it does not check for null.
  Allocator* fallback = nullptr;
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

PoolAllocator* makeAllocator(const Api& api) {
  auto* allocator = new PoolAllocator{{kApiVersion, alloc, free, info, alloc}, nullptr, nullptr};
  // Neither fails with these arguments.
  if (Status* status = api.CreateCpuMemoryInfo(kDeviceAllocator, kMemoryDefault, &allocator->memory)) api.ReleaseStatus(status);
  if (Status* status = api.GetAllocatorWithDefaultOptions(&allocator->fallback)) api.ReleaseStatus(status);
  return allocator;
}

}  // namespace

Allocator* poolAllocator(const Api& api) {
  static PoolAllocator* const allocator = makeAllocator(api);
  return allocator;
}

}  // namespace ort
