// The addon's exports. TypeScript calls them through lib/runtime/native/addon.ts, which declares their types.
#include <napi.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../buffers/buffer_pool.h"
#include "../kernel/group_norm.h"
#include "../onnxruntime/library.h"
#include "addon_data.h"
#include "array_memory.h"
#include "load_worker.h"
#include "session_object.h"
#include "values.h"

namespace {

// loadLibrary(path) → version
Napi::Value loadLibrary(const Napi::CallbackInfo& info) try {
  ort::load(info[0].As<Napi::String>().Utf8Value());
  return Napi::String::New(info.Env(), ort::version());
} catch (const ort::Error& error) {
  throw toJavaScript(info.Env(), error);
}

// Int32Value would take another number for a number beyond 32 bits.
int32_t toInt32(const Napi::Value& value, const char* name) {
  const double number = value.As<Napi::Number>().DoubleValue();
  if (number >= INT32_MIN && number <= INT32_MAX && number == std::trunc(number)) return static_cast<int32_t>(number);
  throw Napi::RangeError::New(value.Env(), std::string(name) + " must be an integer of 32 bits");
}

ort::LoadOptions readOptions(const Napi::Object& object) {
  const auto number = [&](const char* name) { return toInt32(object.Get(name), name); };
  const auto flag = [&](const char* name) { return object.Get(name).As<Napi::Boolean>().Value(); };
  const auto text = [&](const char* name) { return object.Get(name).As<Napi::String>().Utf8Value(); };
  ort::LoadOptions options;
  options.intraOpNumThreads = number("intraOpNumThreads");
  options.interOpNumThreads = number("interOpNumThreads");
  options.executionMode = static_cast<ort::ExecutionMode>(number("executionMode"));
  options.optimization = static_cast<ort::OptimizationLevel>(number("graphOptimizationLevel"));
  options.cpuMemArena = flag("enableCpuMemArena");
  options.memPattern = flag("enableMemPattern");
  options.logSeverity = number("logSeverityLevel");
  options.profilePrefix = text("profilePrefix");
  options.optimizedModelPath = text("optimizedModelPath");
  const auto sizes = object.Get("freeDimensions").As<Napi::Object>();
  for (const std::string& name : toStrings(sizes.GetPropertyNames())) {
    options.freeDimensions.emplace_back(name, sizes.Get(name).As<Napi::Number>().Int64Value());
  }
  const auto config = object.Get("config").As<Napi::Object>();
  for (const std::string& key : toStrings(config.GetPropertyNames())) {
    options.config.emplace_back(key, config.Get(key).As<Napi::String>().Utf8Value());
  }
  return options;
}

// Adds the files to the options, and returns what holds their contents.
std::vector<ArrayMemory> readFiles(const Napi::Object& object, ort::LoadOptions& options) {
  std::vector<ArrayMemory> contents;
  for (const std::string& name : toStrings(object.GetPropertyNames())) {
    contents.push_back(ArrayMemory::forLoading(object.Get(name).As<Napi::TypedArray>()));
    options.externalFiles.push_back({name, contents.back().data(), contents.back().size()});
  }
  return contents;
}

// createSession(model: Uint8Array, options) → Promise<NativeSession>
Napi::Value createSession(const Napi::CallbackInfo& info) {
  const auto object = info[1].As<Napi::Object>();
  ort::LoadOptions options = readOptions(object);
  std::vector<ArrayMemory> files = readFiles(object.Get("externalFiles").As<Napi::Object>(), options);
  auto worker = std::make_unique<LoadWorker>(info.Env(), ArrayMemory::forLoading(info[0].As<Napi::TypedArray>()),
                                             std::move(files), std::move(options));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  // It deletes itself in the end.
  worker.release();
  return promise;
}

// instructionSet() → what the kernel uses on this machine
Napi::Value instructionSet(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), group_norm::instructionSet());
}

// allocate(bytes) → ArrayBuffer of zeros in the pool's memory
Napi::Value allocate(const Napi::CallbackInfo& info) {
  const auto size = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  if (size == 0) return Napi::ArrayBuffer::New(info.Env(), 0);
  Hold block = BufferPool::ofProcess().takeShared(size);
  if (!block) throwOutOfMemory(info.Env(), size);
  std::memset(block.get(), 0, size);
  void* const data = block.get();
  const Napi::Value buffer = lendToJavaScript(info.Env(), data, size, std::move(block));
  return buffer.IsEmpty() ? Napi::ArrayBuffer::New(info.Env(), size) : buffer;
}

// release(buffer): detaches it, and gives its memory back if it is the pool's
void release(const Napi::CallbackInfo& info) { takeBack(info[0].As<Napi::ArrayBuffer>()); }

// setPoolLimit(bytes)
void setPoolLimit(const Napi::CallbackInfo& info) {
  BufferPool::ofProcess().setLimit(static_cast<size_t>(info[0].As<Napi::Number>().Int64Value()));
}

// poolStatistics() → { usedBlocks, usedBytes, freeBlocks, freeBytes, reused }
Napi::Value poolStatistics(const Napi::CallbackInfo& info) {
  const BufferPool::Statistics statistics = BufferPool::ofProcess().statistics();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("usedBlocks", static_cast<double>(statistics.usedBlocks));
  object.Set("usedBytes", static_cast<double>(statistics.usedBytes));
  object.Set("freeBlocks", static_cast<double>(statistics.freeBlocks));
  object.Set("freeBytes", static_cast<double>(statistics.freeBytes));
  object.Set("reused", static_cast<double>(statistics.reused));
  return object;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData{Napi::Persistent(SessionObject::define(env))};
  env.SetInstanceData(data);
  exports.Set("loadLibrary", Napi::Function::New(env, loadLibrary));
  exports.Set("createSession", Napi::Function::New(env, createSession));
  exports.Set("instructionSet", Napi::Function::New(env, instructionSet));
  exports.Set("allocate", Napi::Function::New(env, allocate));
  exports.Set("release", Napi::Function::New(env, release));
  exports.Set("setPoolLimit", Napi::Function::New(env, setPoolLimit));
  exports.Set("poolStatistics", Napi::Function::New(env, poolStatistics));
  return exports;
}

}  // namespace

NODE_API_MODULE(onnx_groupnorm, initialize)
