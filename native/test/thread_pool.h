// A ParallelFor of std::threads for the tests and the benchmark.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "../kernel/group_norm.h"

class ThreadPool {
 public:
  explicit ThreadPool(int count) : count_(count) {
    for (int i = 1; i < count; ++i) {
      workers_.emplace_back([this] { work(); });
    }
  }

  ~ThreadPool() {
    stopping_ = true;
    generation_.fetch_add(1);
    for (std::thread& worker : workers_) worker.join();
  }

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  group_norm::Threads threads() { return {&ThreadPool::parallelFor, this, count_}; }

  int calls() const { return calls_; }

 private:
  static void parallelFor(void* context, size_t count, void (*body)(void*, size_t), void* user) {
    ThreadPool& pool = *static_cast<ThreadPool*>(context);
    ++pool.calls_;
    pool.body_ = body;
    pool.user_ = user;
    pool.tasks_ = count;
    pool.next_ = 0;
    pool.busy_ = static_cast<int>(pool.workers_.size());
    pool.generation_.fetch_add(1);
    pool.runTasks();
    while (pool.busy_ > 0) std::this_thread::yield();
  }

  void runTasks() {
    for (size_t i = next_.fetch_add(1); i < tasks_; i = next_.fetch_add(1)) body_(user_, i);
  }

  // Spins as ONNX Runtime's threads do, so that the benchmark measures the kernel and not how threads are woken.
  void work() {
    for (unsigned seen = 0;;) {
      for (int spins = 0; generation_.load() == seen; ++spins) {
        if (spins > 20000) std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
      seen = generation_.load();
      if (stopping_) return;
      runTasks();
      --busy_;
    }
  }

  const int count_;
  int calls_ = 0;
  std::vector<std::thread> workers_;
  std::atomic<bool> stopping_{false};
  std::atomic<unsigned> generation_{0};
  std::atomic<int> busy_{0};
  std::atomic<size_t> next_{0};
  size_t tasks_ = 0;
  void (*body_)(void*, size_t) = nullptr;
  void* user_ = nullptr;
};
