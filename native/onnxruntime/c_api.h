// The part of ONNX Runtime's C interface that this addon uses, declared by hand: no package that is fit to
// depend on carries the official header. The function table only ever grows at its end (ONNX Runtime's
// compatibility promise), so a slot's number is its contract; c_api_layout_test.cc proves every one of
// them against the official header at compile time (`npm run check:header`).
// Source: https://onnxruntime.ai/docs/api/c/struct_ort_api.html
#pragma once

#include <cstddef>
#include <cstdint>

namespace ort {

// Version 18 (ONNX Runtime 1.18) is the first whose custom operators can write over their input.
constexpr uint32_t kApiVersion = 18;

struct Allocator;
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

enum ErrorCode : int32_t { kFail = 1, kInvalidArgument = 2 };
enum LogLevel : int32_t { kLogError = 3, kLogFatal = 4 };
enum AllocatorType : int32_t { kDeviceAllocator = 0, kArenaAllocator = 1 };
enum MemoryType : int32_t { kMemoryDefault = 0 };
enum ExecutionMode : int32_t { kSequential = 0, kParallel = 1 };
enum OptimizationLevel : int32_t { kDisableAll = 0, kBasic = 1, kExtended = 2, kEnableAll = 99 };
enum Presence : int32_t { kRequired = 0, kOptional = 1 };

#ifdef _WIN32
using PathChar = wchar_t;
#define ORT_CALL __stdcall
#else
using PathChar = char;
#define ORT_CALL
#endif

// What an operator of our own tells the runtime about itself. Every member is a function the runtime calls.
struct CustomOp {
  uint32_t version;
  void*(ORT_CALL* CreateKernel)(const CustomOp*, const Api*, const KernelInfo*);
  const char*(ORT_CALL* GetName)(const CustomOp*);
  const char*(ORT_CALL* GetExecutionProviderType)(const CustomOp*);
  ElementType(ORT_CALL* GetInputType)(const CustomOp*, size_t index);
  size_t(ORT_CALL* GetInputTypeCount)(const CustomOp*);
  ElementType(ORT_CALL* GetOutputType)(const CustomOp*, size_t index);
  size_t(ORT_CALL* GetOutputTypeCount)(const CustomOp*);
  void(ORT_CALL* KernelCompute)(void* kernel, KernelContext*);
  void(ORT_CALL* KernelDestroy)(void* kernel);
  Presence(ORT_CALL* GetInputCharacteristic)(const CustomOp*, size_t index);
  Presence(ORT_CALL* GetOutputCharacteristic)(const CustomOp*, size_t index);
  MemoryType(ORT_CALL* GetInputMemoryType)(const CustomOp*, size_t index);
  int(ORT_CALL* GetVariadicInputMinArity)(const CustomOp*);
  int(ORT_CALL* GetVariadicInputHomogeneity)(const CustomOp*);
  int(ORT_CALL* GetVariadicOutputMinArity)(const CustomOp*);
  int(ORT_CALL* GetVariadicOutputHomogeneity)(const CustomOp*);
  Status*(ORT_CALL* CreateKernelV2)(const CustomOp*, const Api*, const KernelInfo*, void** kernel);
  Status*(ORT_CALL* KernelComputeV2)(void* kernel, KernelContext*);
  Status*(ORT_CALL* InferOutputShapeFn)(const CustomOp*, ShapeInferContext*);
  int(ORT_CALL* GetStartVersion)(const CustomOp*);
  int(ORT_CALL* GetEndVersion)(const CustomOp*);
  size_t(ORT_CALL* GetMayInplace)(int** inputs, int** outputs);
  void(ORT_CALL* ReleaseMayInplace)(int* inputs, int* outputs);
  size_t(ORT_CALL* GetAliasMap)(int** inputs, int** outputs);
  void(ORT_CALL* ReleaseAliasMap)(int* inputs, int* outputs);
};

using Slot = void (*)();

// The runtime's function table. `unused` members keep the others in their places.
struct Api {
  Status*(ORT_CALL* CreateStatus)(ErrorCode, const char* message);
  ErrorCode(ORT_CALL* GetErrorCode)(const Status*);
  const char*(ORT_CALL* GetErrorMessage)(const Status*);
  Status*(ORT_CALL* CreateEnv)(LogLevel, const char* id, Env**);
  Slot unused4[3];
  Status*(ORT_CALL* CreateSession)(const Env*, const PathChar* path, const SessionOptions*, Session**);
  Status*(ORT_CALL* CreateSessionFromArray)(const Env*, const void* model, size_t size, const SessionOptions*,
                                            Session**);
  Status*(ORT_CALL* Run)(Session*, const RunOptions*, const char* const* inputNames, const Value* const* inputs,
                         size_t inputCount, const char* const* outputNames, size_t outputCount, Value** outputs);
  Status*(ORT_CALL* CreateSessionOptions)(SessionOptions**);
  Status*(ORT_CALL* SetOptimizedModelFilePath)(SessionOptions*, const PathChar* path);
  Slot unused12;
  Status*(ORT_CALL* SetSessionExecutionMode)(SessionOptions*, ExecutionMode);
  Status*(ORT_CALL* EnableProfiling)(SessionOptions*, const PathChar* prefix);
  Slot unused15[2];
  Status*(ORT_CALL* DisableMemPattern)(SessionOptions*);
  Slot unused18;
  Status*(ORT_CALL* DisableCpuMemArena)(SessionOptions*);
  Slot unused20[2];
  Status*(ORT_CALL* SetSessionLogSeverityLevel)(SessionOptions*, int level);
  Status*(ORT_CALL* SetSessionGraphOptimizationLevel)(SessionOptions*, OptimizationLevel);
  Status*(ORT_CALL* SetIntraOpNumThreads)(SessionOptions*, int);
  Status*(ORT_CALL* SetInterOpNumThreads)(SessionOptions*, int);
  Status*(ORT_CALL* CreateCustomOpDomain)(const char* name, CustomOpDomain**);
  Status*(ORT_CALL* CustomOpDomain_Add)(CustomOpDomain*, const CustomOp*);
  Status*(ORT_CALL* AddCustomOpDomain)(SessionOptions*, CustomOpDomain*);
  Slot unused29;
  Status*(ORT_CALL* SessionGetInputCount)(const Session*, size_t*);
  Status*(ORT_CALL* SessionGetOutputCount)(const Session*, size_t*);
  Slot unused32;
  Status*(ORT_CALL* SessionGetInputTypeInfo)(const Session*, size_t index, TypeInfo**);
  Status*(ORT_CALL* SessionGetOutputTypeInfo)(const Session*, size_t index, TypeInfo**);
  Slot unused35;
  Status*(ORT_CALL* SessionGetInputName)(const Session*, size_t index, Allocator*, char**);
  Status*(ORT_CALL* SessionGetOutputName)(const Session*, size_t index, Allocator*, char**);
  Slot unused38;
  Status*(ORT_CALL* CreateRunOptions)(RunOptions**);
  Slot unused40[6];
  Status*(ORT_CALL* RunOptionsSetTerminate)(RunOptions*);
  Slot unused47[2];
  Status*(ORT_CALL* CreateTensorWithDataAsOrtValue)(const MemoryInfo*, void* data, size_t bytes,
                                                    const int64_t* shape, size_t rank, ElementType, Value**);
  Status*(ORT_CALL* IsTensor)(const Value*, int*);
  Status*(ORT_CALL* GetTensorMutableData)(Value*, void**);
  Slot unused52[3];
  Status*(ORT_CALL* CastTypeInfoToTensorInfo)(const TypeInfo*, const TensorTypeAndShapeInfo**);
  Slot unused56[4];
  Status*(ORT_CALL* GetTensorElementType)(const TensorTypeAndShapeInfo*, ElementType*);
  Status*(ORT_CALL* GetDimensionsCount)(const TensorTypeAndShapeInfo*, size_t*);
  Status*(ORT_CALL* GetDimensions)(const TensorTypeAndShapeInfo*, int64_t*, size_t rank);
  Status*(ORT_CALL* GetSymbolicDimensions)(const TensorTypeAndShapeInfo*, const char**, size_t rank);
  Status*(ORT_CALL* GetTensorShapeElementCount)(const TensorTypeAndShapeInfo*, size_t*);
  Status*(ORT_CALL* GetTensorTypeAndShape)(const Value*, TensorTypeAndShapeInfo**);
  Slot unused66[3];
  Status*(ORT_CALL* CreateCpuMemoryInfo)(AllocatorType, MemoryType, MemoryInfo**);
  Slot unused70[6];
  Status*(ORT_CALL* AllocatorFree)(Allocator*, void*);
  Slot unused77;
  Status*(ORT_CALL* GetAllocatorWithDefaultOptions)(Allocator**);
  Slot unused79[6];
  Status*(ORT_CALL* KernelInfoGetAttribute_float)(const KernelInfo*, const char* name, float*);
  Status*(ORT_CALL* KernelInfoGetAttribute_int64)(const KernelInfo*, const char* name, int64_t*);
  Status*(ORT_CALL* KernelInfoGetAttribute_string)(const KernelInfo*, const char* name, char*, size_t* size);
  Status*(ORT_CALL* KernelContext_GetInputCount)(const KernelContext*, size_t*);
  Slot unused89;
  Status*(ORT_CALL* KernelContext_GetInput)(const KernelContext*, size_t index, const Value**);
  Status*(ORT_CALL* KernelContext_GetOutput)(KernelContext*, size_t index, const int64_t* shape, size_t rank,
                                             Value**);
  void(ORT_CALL* ReleaseEnv)(Env*);
  void(ORT_CALL* ReleaseStatus)(Status*);
  void(ORT_CALL* ReleaseMemoryInfo)(MemoryInfo*);
  void(ORT_CALL* ReleaseSession)(Session*);
  void(ORT_CALL* ReleaseValue)(Value*);
  void(ORT_CALL* ReleaseRunOptions)(RunOptions*);
  void(ORT_CALL* ReleaseTypeInfo)(TypeInfo*);
  void(ORT_CALL* ReleaseTensorTypeAndShapeInfo)(TensorTypeAndShapeInfo*);
  void(ORT_CALL* ReleaseSessionOptions)(SessionOptions*);
  void(ORT_CALL* ReleaseCustomOpDomain)(CustomOpDomain*);
  Slot unused102[22];
  Status*(ORT_CALL* AddFreeDimensionOverrideByName)(SessionOptions*, const char* name, int64_t size);
  Slot unused125[5];
  Status*(ORT_CALL* AddSessionConfigEntry)(SessionOptions*, const char* key, const char* value);
  Slot unused131[137];
  Status*(ORT_CALL* ShapeInferContext_GetInputTypeShape)(const ShapeInferContext*, size_t index,
                                                         TensorTypeAndShapeInfo**);
  Slot unused269;
  Status*(ORT_CALL* ShapeInferContext_SetOutputTypeShape)(const ShapeInferContext*, size_t index,
                                                          const TensorTypeAndShapeInfo*);
  Slot unused271[3];
  Status*(ORT_CALL* KernelContext_ParallelFor)(const KernelContext*, void (*body)(void* user, size_t index),
                                               size_t count, size_t batches, void* user);
};

struct ApiBase {
  const Api*(ORT_CALL* GetApi)(uint32_t version);
  const char*(ORT_CALL* GetVersionString)();
};

}  // namespace ort
