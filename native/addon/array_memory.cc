#include "array_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "../buffers/buffer_pool.h"

namespace {

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
  const napi_status status = napi_get_typedarray_info(array.Env(), array, &type, &length, &data, &buffer, &offset);
  if (status != napi_ok) throw Napi::Error::New(array.Env());
  return {data, length * array.ElementSize(), buffer};
}

Hold takeFromPool(size_t size) { return BufferPool::ofProcess().takeShared(size); }

Hold takeFresh(size_t size) { return Hold(std::malloc(std::max<size_t>(size, 1)), std::free); }

Hold copyOf(Napi::Env env, const Elements& elements, Hold (*take)(size_t)) {
  Hold copy = take(elements.size);
  if (!copy) throwOutOfMemory(env, elements.size);
  if (elements.size > 0) std::memcpy(copy.get(), elements.data, elements.size);
  return copy;
}

// Ends the lease when the buffer's memory is no longer used: it may have moved from buffer to buffer.
void endLease(napi_env, void*, void* lease) { Leases::ofProcess().end(static_cast<Leases::Lease*>(lease)); }

}  // namespace

std::optional<ArrayMemory> ArrayMemory::forWriting(Napi::TypedArray array) {
  const Elements elements = elementsOf(array);
  ArrayMemory memory;
  memory.data_ = elements.data;
  memory.size_ = elements.size;
  const Napi::Object buffer(array.Env(), elements.buffer);
  if (!buffer.IsArrayBuffer()) {
    memory.shared_ = std::make_shared<Napi::ObjectReference>(Napi::Persistent(buffer));
    return memory;
  }
  memory.hold_ = Leases::ofProcess().find(elements.data, elements.size);
  if (memory.hold_) return memory;
  return std::nullopt;
}

ArrayMemory ArrayMemory::forReading(Napi::TypedArray array) { return inPlaceOrCopied(array, takeFromPool); }

ArrayMemory ArrayMemory::forLoading(Napi::TypedArray array) { return inPlaceOrCopied(array, takeFresh); }

ArrayMemory ArrayMemory::inPlaceOrCopied(Napi::TypedArray array, Hold (*take)(size_t)) {
  if (auto memory = forWriting(array)) return *std::move(memory);
  const Elements elements = elementsOf(array);
  ArrayMemory memory;
  memory.hold_ = copyOf(array.Env(), elements, take);
  memory.data_ = memory.hold_.get();
  memory.size_ = elements.size;
  return memory;
}

Napi::Value lendToJavaScript(Napi::Env env, void* data, size_t size, Hold hold) {
  Leases::Lease* lease = Leases::ofProcess().begin(data, size, std::move(hold));
  if (!lease) return Napi::Value();
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, data, size, endLease, lease, &buffer);
  if (status == napi_ok) return Napi::Value(env, buffer);
  // Node-API refuses with these before it has a finalizer to call: the engine allows no such buffers, or the
  // environment is ending. After any other refusal, such as Node 20's above 4 GiB, the finalizer has been called, or
  // will be.
  const bool hasFinalizer =
      status != napi_no_external_buffers_allowed && status != napi_pending_exception && status != napi_cannot_run_js;
  if (!hasFinalizer) Leases::ofProcess().end(lease);
  if (env.IsExceptionPending()) env.GetAndClearPendingException();
  return Napi::Value();
}

void takeBack(Napi::ArrayBuffer buffer) {
  if (buffer.IsDetached()) return;
  const void* data = buffer.Data();
  buffer.Detach();
  Leases::ofProcess().letGo(data);
}

void throwOutOfMemory(Napi::Env env, size_t bytes) {
  throw Napi::Error::New(env, "out of memory: there are no " + std::to_string(bytes) + " bytes for a tensor");
}
