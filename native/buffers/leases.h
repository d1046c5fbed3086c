// The memory that JavaScript has views of. A run asks here whether a tensor lies in such memory, and then holds it, so
// that nothing that JavaScript does frees it under the run. Knows neither Node-API nor ONNX Runtime.
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
  // One lending of some memory. An address is lent again and again, so that it does not name a lease.
  class Lease;

  // Those of the process, never destroyed.
  static Leases& ofProcess();

  // Lends `size` bytes, at least 1. Null if a part of them is lent already. end() must be called for the result.
  Lease* begin(void* data, size_t size, Hold hold);

  // Lets go of the memory that is lent at `data` exactly. Returns false if there is none.
  bool letGo(const void* data) noexcept;

  // Lets go of the memory, unless letGo() has, and deletes the lease.
  void end(Lease*) noexcept;

  // Returns the hold of the lease in which all of the bytes lie; null if there is none.
  Hold find(const void* data, size_t size) const noexcept;

 private:
  mutable std::mutex mutex_;
  std::map<const char*, Lease*> byAddress_;
};
