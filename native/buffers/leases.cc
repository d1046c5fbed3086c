#include "leases.h"

#include <iterator>
#include <utility>

class Leases::Lease {
 public:
  const char* begin;
  const char* end;
  Hold hold;
};

Leases& Leases::ofProcess() {
  static Leases* const leases = new Leases;
  return *leases;
}

Leases::Lease* Leases::begin(void* data, size_t size, Hold hold) {
  const char* begin = static_cast<const char*>(data);
  auto lease = std::make_unique<Lease>(Lease{begin, begin + size, std::move(hold)});
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto next = byAddress_.lower_bound(begin);
  if (next != byAddress_.end() && next->first < lease->end) return nullptr;
  if (next != byAddress_.begin() && begin < std::prev(next)->second->end) return nullptr;
  byAddress_.emplace_hint(next, begin, lease.get());
  return lease.release();
}

// `hold` is destroyed after the lock is released, because freeing memory takes a while.
bool Leases::letGo(const void* data) noexcept {
  Hold hold;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = byAddress_.find(static_cast<const char*>(data));
  if (found == byAddress_.end()) return false;
  hold = std::move(found->second->hold);
  byAddress_.erase(found);
  return true;
}

void Leases::end(Lease* lease) noexcept {
  const std::unique_ptr<Lease> owned(lease);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = byAddress_.find(lease->begin);
  if (found != byAddress_.end() && found->second == lease) byAddress_.erase(found);
}

Hold Leases::find(const void* data, size_t size) const noexcept {
  const char* begin = static_cast<const char*>(data);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto next = byAddress_.upper_bound(begin);
  if (next == byAddress_.begin()) return nullptr;
  const Lease& lease = *std::prev(next)->second;
  return begin + size <= lease.end ? lease.hold : nullptr;
}
