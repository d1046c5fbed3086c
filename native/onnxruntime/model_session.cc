#include "model_session.h"

#include "../buffers/buffer_pool.h"
#include "group_norm_ops.h"

namespace ort {
namespace {

// The entry with which a session takes its memory from the allocator that is registered for all.
constexpr const char* kUseRegisteredAllocator = "session.use_env_allocators";

void addExternalFiles(SessionOptions* options, const std::vector<FileInMemory>& files) {
  if (files.empty()) return;
  std::vector<Path> paths;
  for (const FileInMemory& file : files) paths.push_back(toPath(file.name));
  std::vector<const PathChar*> names;
  std::vector<char*> contents;
  std::vector<size_t> sizes;
  for (const Path& path : paths) names.push_back(path.c_str());
  for (const FileInMemory& file : files) {
    contents.push_back(static_cast<char*>(file.data));
    sizes.push_back(file.size);
  }
  check(api().AddExternalInitializersFromFilesInMemory(options, names.data(), contents.data(), sizes.data(),
                                                       files.size()));
}

OwnedSessionOptions makeOptions(const LoadOptions& load) {
  SessionOptions* raw = nullptr;
  check(api().CreateSessionOptions(&raw));
  OwnedSessionOptions options(raw);
  check(api().SetSessionLogSeverityLevel(raw, load.logSeverity));
  check(api().SetSessionGraphOptimizationLevel(raw, load.optimization));
  if (load.intraOpNumThreads > 0) check(api().SetIntraOpNumThreads(raw, load.intraOpNumThreads));
  if (load.interOpNumThreads > 0) check(api().SetInterOpNumThreads(raw, load.interOpNumThreads));
  check(api().SetSessionExecutionMode(raw, load.executionMode));
  if (!load.cpuMemArena) check(api().DisableCpuMemArena(raw));
  if (load.cpuMemArena && poolIsRegistered()) check(api().AddSessionConfigEntry(raw, kUseRegisteredAllocator, "1"));
  if (!load.memPattern) check(api().DisableMemPattern(raw));
  if (!load.profilePrefix.empty()) check(api().EnableProfiling(raw, toPath(load.profilePrefix).c_str()));
  if (!load.optimizedModelPath.empty()) {
    check(api().SetOptimizedModelFilePath(raw, toPath(load.optimizedModelPath).c_str()));
  }
  for (const auto& [name, size] : load.freeDimensions) {
    check(api().AddFreeDimensionOverrideByName(raw, name.c_str(), size));
  }
  for (const auto& [key, value] : load.config) check(api().AddSessionConfigEntry(raw, key.c_str(), value.c_str()));
  addExternalFiles(raw, load.externalFiles);
  addGroupNormOps(raw);
  return options;
}

OwnedSession loadModel(const void* model, size_t size, const LoadOptions& load) {
  const OwnedSessionOptions options = makeOptions(load);
  Session* session = nullptr;
  check(api().CreateSessionFromArray(environment(), model, size, options.get(), &session));
  return OwnedSession(session);
}

using CountGetter = Status* (*)(const Session*, size_t*);
using NameGetter = Status* (*)(const Session*, size_t, Allocator*, char**);
using TypeGetter = Status* (*)(const Session*, size_t, TypeInfo**);

// Names come from the runtime's allocator and go back to it.
std::string takeString(Allocator* allocator, char* text) {
  std::string copy(text);
  check(api().AllocatorFree(allocator, text));
  return copy;
}

Allocator* defaultAllocator() {
  Allocator* allocator = nullptr;
  check(api().GetAllocatorWithDefaultOptions(&allocator));
  return allocator;
}

void describeTensor(const TensorTypeAndShapeInfo* tensor, ValueInfo& info) {
  check(api().GetTensorElementType(tensor, &info.type));
  size_t rank = 0;
  check(api().GetDimensionsCount(tensor, &rank));
  info.shape.resize(rank);
  check(api().GetDimensions(tensor, info.shape.data(), rank));
  std::vector<const char*> names(rank);
  check(api().GetSymbolicDimensions(tensor, names.data(), rank));
  info.dimNames.assign(names.begin(), names.end());
}

std::vector<ValueInfo> describeValues(const Session* session, CountGetter count, NameGetter name, TypeGetter type) {
  size_t length = 0;
  check(count(session, &length));
  std::vector<ValueInfo> values(length);
  for (size_t index = 0; index < length; index++) {
    char* text = nullptr;
    check(name(session, index, defaultAllocator(), &text));
    values[index].name = takeString(defaultAllocator(), text);
    TypeInfo* info = nullptr;
    check(type(session, index, &info));
    const OwnedTypeInfo owned(info);
    const TensorTypeAndShapeInfo* tensor = nullptr;
    check(api().CastTypeInfoToTensorInfo(info, &tensor));
    if (tensor) describeTensor(tensor, values[index]);
  }
  return values;
}

size_t bytesPerElement(ElementType type) {
  switch (type) {
    case kUint8:
    case kInt8:
    case kBool:
      return 1;
    case kUint16:
    case kInt16:
    case kFloat16:
    case kBfloat16:
      return 2;
    case kFloat:
    case kInt32:
    case kUint32:
      return 4;
    case kDouble:
    case kInt64:
    case kUint64:
      return 8;
    default:
      throw Error("element type " + std::to_string(type) + " cannot be passed to JavaScript");
  }
}

std::vector<const char*> pointersTo(const std::vector<std::string>& strings) {
  std::vector<const char*> pointers;
  pointers.reserve(strings.size());
  for (const std::string& string : strings) pointers.push_back(string.c_str());
  return pointers;
}

const MemoryInfo* cpuMemory() {
  static const OwnedMemoryInfo memory = [] {
    MemoryInfo* info = nullptr;
    check(api().CreateCpuMemoryInfo(kDeviceAllocator, kMemoryDefault, &info));
    return OwnedMemoryInfo(info);
  }();
  return memory.get();
}

}  // namespace

ModelSession::ModelSession(const void* model, size_t size, const LoadOptions& load)
    : session_(loadModel(model, size, load)),
      inputs_(describeValues(session_.get(), api().SessionGetInputCount, api().SessionGetInputName,
                             api().SessionGetInputTypeInfo)),
      outputs_(describeValues(session_.get(), api().SessionGetOutputCount, api().SessionGetOutputName,
                              api().SessionGetOutputTypeInfo)) {
  BufferPool::ofProcess().addUser();
}

ModelSession::~ModelSession() {
  session_.reset();
  BufferPool::ofProcess().removeUser();
}

std::vector<OwnedValue> ModelSession::run(const std::vector<std::string>& inputNames, const std::vector<Value*>& inputs,
                                          const std::vector<std::string>& outputNames,
                                          const std::vector<Value*>& outputs, RunOptions* options) {
  std::vector<Value*> results = outputs;
  check(api().Run(session_.get(), options, pointersTo(inputNames).data(), inputs.data(), inputs.size(),
                  pointersTo(outputNames).data(), results.size(), results.data()));
  std::vector<OwnedValue> allocated(results.size());
  for (size_t index = 0; index < results.size(); index++) {
    if (!outputs[index]) allocated[index].reset(results[index]);
  }
  return allocated;
}

void ModelSession::endProfiling() {
  char* path = nullptr;
  check(api().SessionEndProfiling(session_.get(), defaultAllocator(), &path));
  takeString(defaultAllocator(), path);
}

OwnedValue wrapTensor(void* data, size_t size, const std::vector<int64_t>& shape, ElementType type) {
  // The runtime accepts no null, not even for no elements.
  static char nothing;
  Value* value = nullptr;
  check(api().CreateTensorWithDataAsOrtValue(cpuMemory(), data ? data : &nothing, size, shape.data(), shape.size(),
                                             type, &value));
  return OwnedValue(value);
}

TensorView viewTensor(Value* value) {
  int isTensor = 0;
  check(api().IsTensor(value, &isTensor));
  if (!isTensor) throw Error("an output is not a tensor, and cannot be passed to JavaScript");
  TensorTypeAndShapeInfo* info = nullptr;
  check(api().GetTensorTypeAndShape(value, &info));
  const OwnedTensorInfo owned(info);
  ValueInfo described;
  describeTensor(info, described);
  size_t elements = 0;
  check(api().GetTensorShapeElementCount(info, &elements));
  const size_t size = elements * bytesPerElement(described.type);
  void* data = nullptr;
  check(api().GetTensorMutableData(value, &data));
  return {described.type, described.shape, data, size};
}

}  // namespace ort
