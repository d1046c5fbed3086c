#include "values.h"

#include <cstring>
#include <memory>

namespace {

// Below this a copy is cheaper than an ArrayBuffer over foreign memory with its finalizer.
constexpr size_t kCopyUpTo = 64 * 1024;

std::vector<int64_t> readDims(const Napi::Array& array) {
  std::vector<int64_t> dims(array.Length());
  for (uint32_t index = 0; index < array.Length(); index++) {
    dims[index] = array.Get(index).As<Napi::Number>().Int64Value();
  }
  return dims;
}

BorrowedTensor borrow(const Napi::Object& tensor, PinnedBuffer memory) {
  const auto type = static_cast<ort::ElementType>(tensor.Get("type").As<Napi::Number>().Int32Value());
  const auto dims = readDims(tensor.Get("dims").As<Napi::Array>());
  BorrowedTensor borrowed{std::move(memory), nullptr};
  borrowed.value = ort::wrapTensor(borrowed.memory.data(), borrowed.memory.size(), dims, type);
  return borrowed;
}

Napi::ArrayBuffer copyOf(Napi::Env env, const ort::TensorView& view) {
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, view.size);
  if (view.size > 0) std::memcpy(buffer.Data(), view.data, view.size);
  return buffer;
}

using Hold = std::shared_ptr<ort::Value>;

void letGo(napi_env, void*, void* hold) { delete static_cast<Hold*>(hold); }

// The runtime's memory as an ArrayBuffer, which holds `value` from then on. Engines with a memory cage refuse, and so
// does Node 20 above 4 GiB: a copy then.
Napi::ArrayBuffer share(Napi::Env env, const ort::TensorView& view, ort::OwnedValue value) {
  const Hold kept(std::move(value));
  auto* hold = new Hold(kept);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, view.data, view.size, letGo, hold, &buffer);
  if (status == napi_ok) return Napi::ArrayBuffer(env, buffer);
  // Any other refusal has called the finalizer, or will.
  if (status == napi_no_external_buffers_allowed) delete hold;
  if (env.IsExceptionPending()) env.GetAndClearPendingException();
  return copyOf(env, view);
}

Napi::Array toShape(Napi::Env env, const ort::ValueInfo& value) {
  Napi::Array shape = Napi::Array::New(env, value.shape.size());
  for (uint32_t axis = 0; axis < value.shape.size(); axis++) {
    if (value.shape[axis] >= 0) shape.Set(axis, Napi::Number::New(env, static_cast<double>(value.shape[axis])));
    else shape.Set(axis, Napi::String::New(env, value.dimNames[axis]));
  }
  return shape;
}

}  // namespace

BorrowedTensor readTensor(Napi::Object tensor) {
  return borrow(tensor, PinnedBuffer::forReading(tensor.Get("data").As<Napi::TypedArray>()));
}

BorrowedTensor writableTensor(Napi::Object tensor) {
  return borrow(tensor, PinnedBuffer::forWriting(tensor.Get("data").As<Napi::TypedArray>()));
}

Napi::Object toJavaScript(Napi::Env env, ort::OwnedValue value) {
  const ort::TensorView view = ort::viewTensor(value.get());
  Napi::Array dims = Napi::Array::New(env, view.shape.size());
  for (uint32_t axis = 0; axis < view.shape.size(); axis++) dims.Set(axis, static_cast<double>(view.shape[axis]));
  Napi::Object tensor = Napi::Object::New(env);
  tensor.Set("type", static_cast<int32_t>(view.type));
  tensor.Set("dims", dims);
  tensor.Set("data", view.size <= kCopyUpTo ? copyOf(env, view) : share(env, view, std::move(value)));
  return tensor;
}

Napi::Array toJavaScript(Napi::Env env, const std::vector<ort::ValueInfo>& values) {
  Napi::Array list = Napi::Array::New(env, values.size());
  for (uint32_t index = 0; index < values.size(); index++) {
    Napi::Object info = Napi::Object::New(env);
    info.Set("name", values[index].name);
    info.Set("type", static_cast<int32_t>(values[index].type));
    info.Set("shape", toShape(env, values[index]));
    list.Set(index, info);
  }
  return list;
}

std::vector<std::string> toStrings(Napi::Array array) {
  std::vector<std::string> strings(array.Length());
  for (uint32_t index = 0; index < array.Length(); index++) {
    strings[index] = array.Get(index).As<Napi::String>().Utf8Value();
  }
  return strings;
}
