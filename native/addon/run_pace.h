// How long a session's runs take: one that is shorter than the way to another thread and back is made on the spot.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

class RunPace {
 public:
  using Clock = std::chrono::steady_clock;

  // To libuv's thread pool and back takes about 20 µs, and the loop is not free in that time either.
  static constexpr std::chrono::microseconds kShort{30};

  void record(size_t inputBytes, Clock::duration duration) {
    const bool isShort = duration <= kShort;
    // A slow run unlearns what a fast one has taught.
    shortUpTo_.store(isShort ? inputBytes : 0, std::memory_order_relaxed);
    known_.store(isShort, std::memory_order_relaxed);
  }

  // Whether the last run was short, and had inputs of this size or larger.
  bool expectsShort(size_t inputBytes) const {
    return known_.load(std::memory_order_relaxed) && inputBytes <= shortUpTo_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<size_t> shortUpTo_{0};
  std::atomic<bool> known_{false};
};
