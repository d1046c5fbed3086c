// Tensors between JavaScript and ONNX Runtime. TypeScript has checked what comes in; memory safety is seen to here.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "../onnxruntime/model_session.h"
#include "pinned_buffer.h"

// A tensor of JavaScript's, over its own memory.
struct BorrowedTensor {
  PinnedBuffer memory;
  ort::OwnedValue value;
};

// From { type, dims, data }. Throws Napi::Error or ort::Error.
BorrowedTensor readTensor(Napi::Object tensor);
BorrowedTensor writableTensor(Napi::Object tensor);

// { type, dims, data: ArrayBuffer }: over the runtime's memory, without a copy, if it is worth it.
Napi::Object toJavaScript(Napi::Env env, ort::OwnedValue value);

// [{ name, type, shape: (number | string)[] }]
Napi::Array toJavaScript(Napi::Env env, const std::vector<ort::ValueInfo>& values);

std::vector<std::string> toStrings(Napi::Array array);
