// Tensors between JavaScript and ONNX Runtime. TypeScript has checked what comes in; memory safety is seen to here.
#pragma once

#include <napi.h>

#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "../onnxruntime/model_session.h"
#include "array_memory.h"

// A tensor of JavaScript's in memory that stays valid.
struct BorrowedTensor {
  ArrayMemory memory;
  ort::OwnedValue value;
};

// From { type, dims, data }. Throws Napi::Error or ort::Error.
BorrowedTensor readTensor(Napi::Object tensor);
// Returns an empty value if a run cannot write into the tensor's own memory.
std::optional<BorrowedTensor> writableTensor(Napi::Object tensor);

// Returns { type, dims, data: ArrayBuffer }, for a large value over the runtime's own memory. `inputs` are the inputs
// of the run that made the value: an output that is an input as it came in may lie in that input's memory.
Napi::Object toJavaScript(Napi::Env env, ort::OwnedValue value, const std::vector<BorrowedTensor>& inputs);

// [{ name, type, shape: (number | string)[] }]
Napi::Array toJavaScript(Napi::Env env, const std::vector<ort::ValueInfo>& values);

// An Error with the runtime's code as its property `ortCode`.
Napi::Error toJavaScript(Napi::Env env, const ort::Error& error);

std::vector<std::string> toStrings(Napi::Array array);

// Settles a promise with what `build` returns or throws.
template <typename Build>
void settle(const Napi::Promise::Deferred& deferred, Build build) try {
  try {
    deferred.Resolve(build());
  } catch (const ort::Error& error) {
    deferred.Reject(toJavaScript(deferred.Env(), error).Value());
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    deferred.Reject(toJavaScript(deferred.Env(), ort::Error(error.what())).Value());
  }
} catch (const Napi::Error& error) {
  deferred.Reject(error.Value());
}
