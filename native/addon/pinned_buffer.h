// Memory of a JavaScript array that stays valid while another thread works on it.
#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>
#include <vector>

// Holding a reference to an ArrayBuffer does not keep its memory: it can be detached (postMessage, transfer())
// while a run reads it, and freed by its new owner. What does is V8's own shared pointer to the memory, which
// Node-API does not hand out; it is asked for through V8's exported function where there is one, and where there
// is not, an input is copied.
class PinnedBuffer {
 public:
  // The elements of a TypedArray for reading. Its buffer must not be resizable. On the JavaScript thread.
  static PinnedBuffer forReading(Napi::TypedArray);
  // The same for writing, where a copy would not do. Throws Napi::Error if the memory cannot be held.
  static PinnedBuffer forWriting(Napi::TypedArray);
  // Whether it ever can.
  static bool canBeForWriting();

  // For a host whose V8 has other shared pointers, or none.
  static void distrustSharedPointers();

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<void> store_;
  // A SharedArrayBuffer is never detached: to hold the object is enough.
  std::shared_ptr<Napi::ObjectReference> shared_;
  std::vector<char> copy_;
};
