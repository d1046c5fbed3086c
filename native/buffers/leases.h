// The memory that JavaScript has views of. A run looks up whether a tensor lies in such memory, and then holds the
// memory, so that JavaScript cannot free it during the run. Knows neither Node-API nor ONNX Runtime.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

// Keeps memory valid for as long as a copy of it lives.
using Hold = std::shared_ptr<void>;

// All functions may be called from any thread.
class Leases {
 public:
  // One lending of some memory. The same address is lent again and again, so an address does not identify a lease.
  class Lease;

  // The leases of the process. They are never destroyed.
  static Leases& ofProcess();

  // Lends `size` bytes, at least 1. Returns null if a part of them is lent already. The caller must end() the lease.
  Lease* begin(void* data, size_t size, Hold hold);

  // Lets go of the memory whose lease begins at `data`. Returns false if no lease begins there.
  bool letGo(const void* data) noexcept;

  // Lets go of the memory, unless letGo() has, and deletes the lease.
  void end(Lease*) noexcept;

  // Returns the hold of the lease that contains all of the bytes, or null.
  Hold find(const void* data, size_t size) const noexcept;

 private:
  mutable std::mutex mutex_;
  std::map<const char*, Lease*> byAddress_;
};
