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

  // Holds memory that this addon has lent, and shared memory. Copies any other memory.
  static ArrayMemory forReading(Napi::TypedArray);
  // The same for the bytes of a model, which are read once: the pool does not keep the copy.
  static ArrayMemory forLoading(Napi::TypedArray);
  // The same without a copy: empty for memory that would have to be copied.
  static std::optional<ArrayMemory> forWriting(Napi::TypedArray);

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  static ArrayMemory inPlaceOrCopied(Napi::TypedArray, Hold (*take)(size_t));

  void* data_ = nullptr;
  size_t size_ = 0;
  Hold hold_;
  // A SharedArrayBuffer is never detached, and never shrinks: to keep the object is enough.
  std::shared_ptr<Napi::ObjectReference> shared_;
};

// Returns an ArrayBuffer over `size` bytes at `data`, at least 1, which `hold` keeps valid. Returns an empty value if
// the engine allows no ArrayBuffer over foreign memory, or JavaScript already has a view of this memory.
Napi::Value lendToJavaScript(Napi::Env, void* data, size_t size, Hold hold);

// Detaches the buffer, and lets go of its memory if it was lent. Does nothing to a detached buffer: its memory may have
// moved to another buffer.
void takeBack(Napi::ArrayBuffer);

// Throws a JavaScript error.
[[noreturn]] void throwOutOfMemory(Napi::Env, size_t bytes);
