// How long a session's runs take: one that is shorter than the way to another thread and back is made on the spot.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>

class RunPace {
 public:
  using Clock = std::chrono::steady_clock;

  // To libuv's thread pool and back takes from 20 µs to as long as this, where the threads sleep and are far from
  // each other, as in a virtual machine.
  static constexpr std::chrono::microseconds kShort{250};

  // Runs of the same inputs' size differ by what else the machine does: one slow one says little.
  void record(size_t inputBytes, Clock::duration duration) {
    const bool isKnown = inputBytes == inputBytes_.load(std::memory_order_relaxed);
    const Clock::duration before{expected_.load(std::memory_order_relaxed)};
    inputBytes_.store(inputBytes, std::memory_order_relaxed);
    expected_.store((isKnown ? std::min(duration, before + before / 2) : duration).count(), std::memory_order_relaxed);
  }

  // Whether the last runs were short, and had inputs of this size or larger.
  bool expectsShort(size_t inputBytes) const {
    return inputBytes <= inputBytes_.load(std::memory_order_relaxed) &&
           expected_.load(std::memory_order_relaxed) <= Clock::duration(kShort).count();
  }

 private:
  std::atomic<size_t> inputBytes_{0};
  std::atomic<Clock::rep> expected_{Clock::duration::max().count() / 2};
};
