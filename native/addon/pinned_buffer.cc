#include "pinned_buffer.h"

#include <atomic>
#include <cstring>

#ifndef _WIN32
#include <dlfcn.h>
#endif

namespace v8 {
class BackingStore;
}

namespace {

// v8::ArrayBuffer::GetBackingStore(), a member function: `this` is the handle, and a napi_value is one too.
using Store = std::shared_ptr<v8::BackingStore>;
struct ArrayBufferHandle {};
using GetBackingStore = Store (*)(ArrayBufferHandle*);

GetBackingStore findGetBackingStore() {
#if defined(__linux__) || defined(__APPLE__)
  // In the Itanium ABI a member function that returns an object takes the same arguments as such a free one.
  return reinterpret_cast<GetBackingStore>(dlsym(RTLD_DEFAULT, "_ZN2v811ArrayBuffer15GetBackingStoreEv"));
#else
  return nullptr;
#endif
}

std::atomic<bool> trustsSharedPointers{true};

// Nothing where memory cannot be held.
GetBackingStore usableGetBackingStore() {
  static const GetBackingStore found = findGetBackingStore();
  return trustsSharedPointers ? found : nullptr;
}

std::shared_ptr<void> holdMemory(napi_value buffer) {
  const GetBackingStore getBackingStore = usableGetBackingStore();
  if (!getBackingStore) return nullptr;
  return std::static_pointer_cast<void>(
      std::shared_ptr<void>(getBackingStore(reinterpret_cast<ArrayBufferHandle*>(buffer))));
}

struct Elements {
  void* data;
  size_t size;
  napi_value buffer;
};

Elements elementsOf(const Napi::TypedArray& array) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  size_t offset = 0;
  const napi_status status =
      napi_get_typedarray_info(array.Env(), array, &type, &length, &data, &buffer, &offset);
  if (status != napi_ok) throw Napi::Error::New(array.Env());
  return {data, length * array.ElementSize(), buffer};
}

}  // namespace

void PinnedBuffer::distrustSharedPointers() { trustsSharedPointers = false; }

PinnedBuffer PinnedBuffer::forReading(Napi::TypedArray array) {
  const Elements elements = elementsOf(array);
  PinnedBuffer pinned;
  pinned.data_ = elements.data;
  pinned.size_ = elements.size;
  const Napi::Object buffer(array.Env(), elements.buffer);
  if (!buffer.IsArrayBuffer()) {
    pinned.shared_ = std::make_shared<Napi::ObjectReference>(Napi::Persistent(buffer));
  } else if (elements.size > 0 && !(pinned.store_ = holdMemory(elements.buffer))) {
    const char* begin = static_cast<const char*>(elements.data);
    pinned.copy_.assign(begin, begin + elements.size);
    pinned.data_ = pinned.copy_.data();
  }
  return pinned;
}

PinnedBuffer PinnedBuffer::forWriting(Napi::TypedArray array) {
  PinnedBuffer pinned = forReading(array);
  if (pinned.copy_.empty()) return pinned;
  throw Napi::Error::New(array.Env(), "this runtime cannot keep an output's memory from being detached");
}

bool PinnedBuffer::canBeForWriting() { return usableGetBackingStore() != nullptr; }
