// The addon's exports. TypeScript calls them through lib/runtime/native/addon.ts, which declares their types.
#include <napi.h>

#include "../kernel/group_norm.h"
#include "../onnxruntime/library.h"
#include "addon_data.h"
#include "load_worker.h"
#include "pinned_buffer.h"
#include "session_object.h"
#include "values.h"

namespace {

// loadLibrary(path) → version
Napi::Value loadLibrary(const Napi::CallbackInfo& info) try {
  ort::load(info[0].As<Napi::String>().Utf8Value());
  return Napi::String::New(info.Env(), ort::version());
} catch (const ort::Error& error) {
  throw Napi::Error::New(info.Env(), error.what());
}

ort::LoadOptions readOptions(const Napi::Object& object) {
  const auto number = [&](const char* name) { return object.Get(name).As<Napi::Number>().Int32Value(); };
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

// createSession(model: Uint8Array, options) → Promise<NativeSession>
Napi::Value createSession(const Napi::CallbackInfo& info) {
  auto* worker = new LoadWorker(info.Env(), PinnedBuffer::forReading(info[0].As<Napi::TypedArray>()),
                                readOptions(info[1].As<Napi::Object>()));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

// instructionSet() → what the kernel uses on this machine
Napi::Value instructionSet(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), group_norm::instructionSet());
}

// Electron's V8 is built with another C++ library, and Bun, which has none, exports V8's functions to end the process
// if they are called.
bool hasOtherSharedPointers(Napi::Env env) {
  const auto versions = env.Global().Get("process").As<Napi::Object>().Get("versions").As<Napi::Object>();
  return versions.Has("electron") || versions.Has("bun");
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  if (hasOtherSharedPointers(env)) PinnedBuffer::distrustSharedPointers();
  auto* data = new AddonData{Napi::Persistent(SessionObject::define(env))};
  env.SetInstanceData(data);
  exports.Set("loadLibrary", Napi::Function::New(env, loadLibrary));
  exports.Set("createSession", Napi::Function::New(env, createSession));
  exports.Set("instructionSet", Napi::Function::New(env, instructionSet));
  exports.Set("writesToGivenMemory", Napi::Boolean::New(env, PinnedBuffer::canBeForWriting()));
  return exports;
}

}  // namespace

NODE_API_MODULE(onnx_groupnorm, initialize)
