// The part of ONNX Runtime's C interface that this addon uses, declared by hand: no package that is fit to
// depend on carries the official header. The function table only ever grows at its end (ONNX Runtime's
// compatibility promise), so a slot's number is its contract; c_api_layout_test.cc proves every one of
// them against the official header at compile time (`npm run check:header`).
// Source: https://onnxruntime.ai/docs/api/c/struct_ort_api.html
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform.h"

namespace ort {

// Version 18 (ONNX Runtime 1.18) is the first whose custom operators can write over their input.
constexpr uint32_t kApiVersion = 18;

struct CustomOpDomain;
struct Env;
struct KernelContext;
struct KernelInfo;
struct MemoryInfo;
struct RunOptions;
struct Session;
struct SessionOptions;
struct ShapeInferContext;
struct Status;
struct TensorTypeAndShapeInfo;
struct TypeInfo;
struct Value;
struct Api;

// TensorProto.DataType's numbers, save that they are the runtime's own: float16 and on agree with ONNX.
enum ElementType : int32_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
};

enum ErrorCode : int32_t { kOk = 0, kFail = 1, kInvalidArgument = 2 };
enum LogLevel : int32_t { kLogError = 3, kLogFatal = 4 };
enum AllocatorType : int32_t { kDeviceAllocator = 0, kArenaAllocator = 1 };
enum MemoryType : int32_t { kMemoryDefault = 0 };
enum ExecutionMode : int32_t { kSequential = 0, kParallel = 1 };
enum OptimizationLevel : int32_t { kDisableAll = 0, kBasic = 1, kExtended = 2, kEnableAll = 99 };
enum Presence : int32_t { kRequired = 0, kOptional = 1 };

// Where memory comes from. Of an allocator of the caller's the runtime reads no further than its version had members.
struct Allocator {
  uint32_t version;
  void* (*Alloc)(Allocator*, size_t size);
  void (*Free)(Allocator*, void* memory);
  const MemoryInfo* (*Info)(const Allocator*);
  void* (*Reserve)(Allocator*, size_t size);
};

// What an operator of our own tells the runtime about itself. Every member is a function the runtime calls.
struct CustomOp {
  uint32_t version;
  void* (*CreateKernel)(const CustomOp*, const Api*, const KernelInfo*);
  const char* (*GetName)(const CustomOp*);
  const char* (*GetExecutionProviderType)(const CustomOp*);
  ElementType (*GetInputType)(const CustomOp*, size_t index);
  size_t (*GetInputTypeCount)(const CustomOp*);
  ElementType (*GetOutputType)(const CustomOp*, size_t index);
  size_t (*GetOutputTypeCount)(const CustomOp*);
  void (*KernelCompute)(void* kernel, KernelContext*);
  void (*KernelDestroy)(void* kernel);
  Presence (*GetInputCharacteristic)(const CustomOp*, size_t index);
  Presence (*GetOutputCharacteristic)(const CustomOp*, size_t index);
  MemoryType (*GetInputMemoryType)(const CustomOp*, size_t index);
  int (*GetVariadicInputMinArity)(const CustomOp*);
  int (*GetVariadicInputHomogeneity)(const CustomOp*);
  int (*GetVariadicOutputMinArity)(const CustomOp*);
  int (*GetVariadicOutputHomogeneity)(const CustomOp*);
  Status* (*CreateKernelV2)(const CustomOp*, const Api*, const KernelInfo*, void** kernel);
  Status* (*KernelComputeV2)(void* kernel, KernelContext*);
  Status* (*InferOutputShapeFn)(const CustomOp*, ShapeInferContext*);
  int (*GetStartVersion)(const CustomOp*);
  int (*GetEndVersion)(const CustomOp*);
  size_t (*GetMayInplace)(int** inputs, int** outputs);
  void (*ReleaseMayInplace)(int* inputs, int* outputs);
  size_t (*GetAliasMap)(int** inputs, int** outputs);
  void (*ReleaseAliasMap)(int* inputs, int* outputs);
};

using Slot = void (*)();

// The runtime's function table. `unused` members keep the others in their places.
struct Api {
  Status* (*CreateStatus)(ErrorCode, const char* message);
  ErrorCode (*GetErrorCode)(const Status*);
  const char* (*GetErrorMessage)(const Status*);
  Status* (*CreateEnv)(LogLevel, const char* id, Env**);
  Slot unused4[3];
  Status* (*CreateSession)(const Env*, const PathChar* path, const SessionOptions*, Session**);
  Status* (*CreateSessionFromArray)(const Env*, const void* model, size_t size, const SessionOptions*, Session**);
  Status* (*Run)(Session*, const RunOptions*, const char* const* inputNames, const Value* const* inputs,
                 size_t inputCount, const char* const* outputNames, size_t outputCount, Value** outputs);
  Status* (*CreateSessionOptions)(SessionOptions**);
  Status* (*SetOptimizedModelFilePath)(SessionOptions*, const PathChar* path);
  Slot unused12;
  Status* (*SetSessionExecutionMode)(SessionOptions*, ExecutionMode);
  Status* (*EnableProfiling)(SessionOptions*, const PathChar* prefix);
  Slot unused15[2];
  Status* (*DisableMemPattern)(SessionOptions*);
  Slot unused18;
  Status* (*DisableCpuMemArena)(SessionOptions*);
  Slot unused20[2];
  Status* (*SetSessionLogSeverityLevel)(SessionOptions*, int level);
  Status* (*SetSessionGraphOptimizationLevel)(SessionOptions*, OptimizationLevel);
  Status* (*SetIntraOpNumThreads)(SessionOptions*, int);
  Status* (*SetInterOpNumThreads)(SessionOptions*, int);
  Status* (*CreateCustomOpDomain)(const char* name, CustomOpDomain**);
  Status* (*CustomOpDomain_Add)(CustomOpDomain*, const CustomOp*);
  Status* (*AddCustomOpDomain)(SessionOptions*, CustomOpDomain*);
  Slot unused29;
  Status* (*SessionGetInputCount)(const Session*, size_t*);
  Status* (*SessionGetOutputCount)(const Session*, size_t*);
  Slot unused32;
  Status* (*SessionGetInputTypeInfo)(const Session*, size_t index, TypeInfo**);
  Status* (*SessionGetOutputTypeInfo)(const Session*, size_t index, TypeInfo**);
  Slot unused35;
  Status* (*SessionGetInputName)(const Session*, size_t index, Allocator*, char**);
  Status* (*SessionGetOutputName)(const Session*, size_t index, Allocator*, char**);
  Slot unused38;
  Status* (*CreateRunOptions)(RunOptions**);
  Slot unused40[6];
  Status* (*RunOptionsSetTerminate)(RunOptions*);
  Slot unused47[2];
  Status* (*CreateTensorWithDataAsOrtValue)(const MemoryInfo*, void* data, size_t bytes, const int64_t* shape,
                                            size_t rank, ElementType, Value**);
  Status* (*IsTensor)(const Value*, int*);
  Status* (*GetTensorMutableData)(Value*, void**);
  Slot unused52[3];
  Status* (*CastTypeInfoToTensorInfo)(const TypeInfo*, const TensorTypeAndShapeInfo**);
  Slot unused56[4];
  Status* (*GetTensorElementType)(const TensorTypeAndShapeInfo*, ElementType*);
  Status* (*GetDimensionsCount)(const TensorTypeAndShapeInfo*, size_t*);
  Status* (*GetDimensions)(const TensorTypeAndShapeInfo*, int64_t*, size_t rank);
  Status* (*GetSymbolicDimensions)(const TensorTypeAndShapeInfo*, const char**, size_t rank);
  Status* (*GetTensorShapeElementCount)(const TensorTypeAndShapeInfo*, size_t*);
  Status* (*GetTensorTypeAndShape)(const Value*, TensorTypeAndShapeInfo**);
  Slot unused66[3];
  Status* (*CreateCpuMemoryInfo)(AllocatorType, MemoryType, MemoryInfo**);
  Slot unused70[6];
  Status* (*AllocatorFree)(Allocator*, void*);
  Slot unused77;
  Status* (*GetAllocatorWithDefaultOptions)(Allocator**);
  Slot unused79[6];
  Status* (*KernelInfoGetAttribute_float)(const KernelInfo*, const char* name, float*);
  Status* (*KernelInfoGetAttribute_int64)(const KernelInfo*, const char* name, int64_t*);
  Status* (*KernelInfoGetAttribute_string)(const KernelInfo*, const char* name, char*, size_t* size);
  Status* (*KernelContext_GetInputCount)(const KernelContext*, size_t*);
  Slot unused89;
  Status* (*KernelContext_GetInput)(const KernelContext*, size_t index, const Value**);
  Status* (*KernelContext_GetOutput)(KernelContext*, size_t index, const int64_t* shape, size_t rank, Value**);
  void (*ReleaseEnv)(Env*);
  void (*ReleaseStatus)(Status*);
  void (*ReleaseMemoryInfo)(MemoryInfo*);
  void (*ReleaseSession)(Session*);
  void (*ReleaseValue)(Value*);
  void (*ReleaseRunOptions)(RunOptions*);
  void (*ReleaseTypeInfo)(TypeInfo*);
  void (*ReleaseTensorTypeAndShapeInfo)(TensorTypeAndShapeInfo*);
  void (*ReleaseSessionOptions)(SessionOptions*);
  void (*ReleaseCustomOpDomain)(CustomOpDomain*);
  Slot unused102[8];
  Status* (*SessionEndProfiling)(Session*, Allocator*, char** path);
  Slot unused111[13];
  Status* (*AddFreeDimensionOverrideByName)(SessionOptions*, const char* name, int64_t size);
  Slot unused125[5];
  Status* (*AddSessionConfigEntry)(SessionOptions*, const char* key, const char* value);
  Slot unused131[45];
  Status* (*RegisterAllocator)(Env*, Allocator*);
  Slot unused177[91];
  Status* (*ShapeInferContext_GetInputTypeShape)(const ShapeInferContext*, size_t index, TensorTypeAndShapeInfo**);
  Slot unused269;
  Status* (*ShapeInferContext_SetOutputTypeShape)(const ShapeInferContext*, size_t index,
                                                  const TensorTypeAndShapeInfo*);
  Slot unused271[3];
  Status* (*KernelContext_ParallelFor)(const KernelContext*, void (*body)(void* user, size_t index), size_t count,
                                       size_t batches, void* user);
  Slot unused275[4];
  Status* (*AddExternalInitializersFromFilesInMemory)(SessionOptions*, const PathChar* const* names,
                                                      char* const* contents, const size_t* sizes, size_t count);
};

struct ApiBase {
  const Api* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

}  // namespace ort
