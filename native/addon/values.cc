#include "values.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

namespace {

// Below this a copy is cheaper than an ArrayBuffer over foreign memory with its finalizer.
constexpr size_t kCopyUpTo = 64 * 1024;

std::vector<int64_t> readDims(const Napi::Array& array) {
  std::vector<int64_t> dims(array.Length());
  for (uint32_t index = 0; index < dims.size(); index++) {
    dims[index] = array.Get(index).As<Napi::Number>().Int64Value();
  }
  return dims;
}

BorrowedTensor borrow(const Napi::Object& tensor, ArrayMemory memory) {
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

bool liesInOneOf(const std::vector<BorrowedTensor>& inputs, const void* data) {
  return std::any_of(inputs.begin(), inputs.end(), [&](const BorrowedTensor& input) {
    const char* begin = static_cast<const char*>(input.memory.data());
    return data >= begin && data < begin + input.memory.size();
  });
}

Napi::Array toShape(Napi::Env env, const ort::ValueInfo& value) {
  Napi::Array shape = Napi::Array::New(env, value.shape.size());
  for (uint32_t axis = 0; axis < value.shape.size(); axis++) {
    if (value.shape[axis] >= 0) {
      shape.Set(axis, Napi::Number::New(env, static_cast<double>(value.shape[axis])));
    } else {
      shape.Set(axis, Napi::String::New(env, value.dimNames[axis]));
    }
  }
  return shape;
}

}  // namespace

BorrowedTensor readTensor(Napi::Object tensor) {
  return borrow(tensor, ArrayMemory::forReading(tensor.Get("data").As<Napi::TypedArray>()));
}

std::optional<BorrowedTensor> writableTensor(Napi::Object tensor) {
  auto memory = ArrayMemory::forWriting(tensor.Get("data").As<Napi::TypedArray>());
  if (!memory) return std::nullopt;
  return borrow(tensor, *std::move(memory));
}

Napi::Object toJavaScript(Napi::Env env, ort::OwnedValue value, const std::vector<BorrowedTensor>& inputs) {
  const ort::TensorView view = ort::viewTensor(value.get());
  Napi::Array dims = Napi::Array::New(env, view.shape.size());
  for (uint32_t axis = 0; axis < view.shape.size(); axis++) dims.Set(axis, static_cast<double>(view.shape[axis]));
  Napi::Object tensor = Napi::Object::New(env);
  tensor.Set("type", static_cast<int32_t>(view.type));
  tensor.Set("dims", dims);
  Napi::Value data;
  // Keeps the memory until it is copied, if JavaScript gets no view of it.
  const std::shared_ptr<ort::Value> hold(std::move(value));
  if (view.size > kCopyUpTo && !liesInOneOf(inputs, view.data)) {
    data = lendToJavaScript(env, view.data, view.size, hold);
  }
  tensor.Set("data", data.IsEmpty() ? copyOf(env, view) : data);
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

Napi::Error toJavaScript(Napi::Env env, const ort::Error& error) {
  Napi::Error made = Napi::Error::New(env, error.what());
  made.Set("ortCode", ort::nameOf(error.code()));
  return made;
}

std::vector<std::string> toStrings(Napi::Array array) {
  std::vector<std::string> strings(array.Length());
  for (uint32_t index = 0; index < strings.size(); index++) {
    strings[index] = array.Get(index).As<Napi::String>().Utf8Value();
  }
  return strings;
}
