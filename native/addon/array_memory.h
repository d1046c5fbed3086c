// The elements of a JavaScript array where another thread can work on them: neither the collector nor a script that
// detaches, transfers or resizes the array's buffer takes the memory away.
#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>
#include <optional>

#include "../buffers/leases.h"

class ArrayMemory {
 public:
  ArrayMemory() = default;

  // Memory of this addon's, and shared memory, is read where it lies; of any other this is a copy.
  static ArrayMemory forReading(Napi::TypedArray);
  // Nothing for memory that can only be copied.
  static std::optional<ArrayMemory> forWriting(Napi::TypedArray);

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
  Hold hold_;
  // A SharedArrayBuffer is never detached, and never shrinks: to keep the object is enough.
  std::shared_ptr<Napi::ObjectReference> shared_;
};

// An ArrayBuffer over `size` bytes at `data`, at least 1, that `hold` keeps. Empty where the engine allows none over
// foreign memory, or JavaScript already has one over this memory.
Napi::Value lendToJavaScript(Napi::Env, void* data, size_t size, Hold hold);

// Detaches the buffer, and lets go of its memory if it was lent. Leaves a buffer alone that is detached already: its
// memory may have moved to another.
void takeBack(Napi::ArrayBuffer);

// Throws a JavaScript error that says so.
[[noreturn]] void throwOutOfMemory(Napi::Env, size_t bytes);
