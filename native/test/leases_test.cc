// The memory that JavaScript has views of.
#include "../buffers/leases.h"

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"

namespace {

struct Lent {
  explicit Lent(size_t size) : memory(new char[size], std::default_delete<char[]>()) {}

  Hold hold() const { return memory; }
  long holders() const { return memory.use_count() - 1; }

  std::shared_ptr<char> memory;
};

}  // namespace

TEST(leasesFindTheMemoryOfAnyPartOfIt) {
  Leases leases;
  const Lent lent(100);
  char* data = lent.memory.get();
  Leases::Lease* lease = leases.begin(data, 100, lent.hold());
  CHECK(leases.find(data, 100) && leases.find(data + 99, 1) && leases.find(data + 40, 0), "a part was not found");
  CHECK(!leases.find(data - 1, 2) && !leases.find(data + 99, 2) && !leases.find(data + 100, 1),
        "memory was found that is not lent");
  leases.end(lease);
  CHECK(!leases.find(data, 100), "a lease that has ended was found");
}

TEST(leasesHoldMemoryUntilItIsLetGo) {
  Leases leases;
  const Lent lent(100);
  Leases::Lease* lease = leases.begin(lent.memory.get(), 100, lent.hold());
  const Hold run = leases.find(lent.memory.get(), 100);
  CHECK(lent.holders() == 2, lent.holders());
  CHECK(!leases.letGo(lent.memory.get() + 1), "only the start names the memory");
  CHECK(leases.letGo(lent.memory.get()), "the memory was not let go");
  CHECK(!leases.letGo(lent.memory.get()), "the memory was let go twice");
  CHECK(lent.holders() == 1, "a run should hold what it has found");
  leases.end(lease);
}

TEST(leasesDoNotTakeALaterLeaseOfTheSameAddressForAnEarlierOne) {
  Leases leases;
  const Lent lent(100);
  Leases::Lease* first = leases.begin(lent.memory.get(), 100, lent.hold());
  leases.letGo(lent.memory.get());
  Leases::Lease* second = leases.begin(lent.memory.get(), 50, lent.hold());
  leases.end(first);
  CHECK(leases.find(lent.memory.get(), 50), "the end of the first lease ended the second");
  leases.end(second);
  CHECK(lent.holders() == 0, lent.holders());
}

TEST(leasesLendNoMemoryTwice) {
  Leases leases;
  const Lent lent(100);
  char* data = lent.memory.get();
  Leases::Lease* lease = leases.begin(data + 20, 50, lent.hold());
  CHECK(!leases.begin(data + 20, 50, lent.hold()) && !leases.begin(data, 21, lent.hold()) &&
            !leases.begin(data + 69, 5, lent.hold()) && !leases.begin(data, 100, lent.hold()),
        "memory was lent twice");
  Leases::Lease* after = leases.begin(data + 70, 30, lent.hold());
  Leases::Lease* before = leases.begin(data, 20, lent.hold());
  CHECK(after && before, "neighbouring memory is not lent");
  for (Leases::Lease* one : {lease, after, before}) leases.end(one);
}

TEST(leasesMayBeUsedByManyThreads) {
  Leases leases;
  std::atomic<int> lost{0};
  const auto work = [&] {
    for (int round = 0; round < 2000; round++) {
      const Lent lent(64);
      Leases::Lease* lease = leases.begin(lent.memory.get(), 64, lent.hold());
      if (!leases.find(lent.memory.get() + 8, 8)) lost++;
      if (round % 2) leases.letGo(lent.memory.get());
      leases.end(lease);
      if (lent.holders() != 0) lost++;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  CHECK(lost == 0, lost << " leases were lost");
}
