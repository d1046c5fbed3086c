// Compiled, never run: proves that c_api.h agrees with ONNX Runtime's official header, which must be on the include
// path as onnxruntime_c_api.h (`npm run check:header` fetches it).
#include <onnxruntime_c_api.h>

#include <type_traits>

#include "c_api.h"

// Function pointers of the same shape: results and arguments are scalars and pointers of the same size. Enums and
// opaque structs have names of their own here, so the types themselves differ.
template <typename Result, typename... Arguments>
constexpr size_t arityOf(Result (*)(Arguments...)) {
  return sizeof...(Arguments);
}
template <typename Function>
constexpr size_t kArity = arityOf(static_cast<Function>(nullptr));

#define SAME_SLOT(Ours, Theirs, member)                                                                  \
  static_assert(offsetof(ort::Ours, member) == offsetof(Theirs, member), #member " is in another slot"); \
  static_assert(kArity<decltype(ort::Ours::member)> == kArity<decltype(Theirs::member)>,                 \
                #member " takes another number of arguments")

SAME_SLOT(Api, OrtApi, CreateStatus);
SAME_SLOT(Api, OrtApi, GetErrorCode);
SAME_SLOT(Api, OrtApi, GetErrorMessage);
SAME_SLOT(Api, OrtApi, CreateEnv);
SAME_SLOT(Api, OrtApi, CreateSession);
SAME_SLOT(Api, OrtApi, CreateSessionFromArray);
SAME_SLOT(Api, OrtApi, Run);
SAME_SLOT(Api, OrtApi, CreateSessionOptions);
SAME_SLOT(Api, OrtApi, SetOptimizedModelFilePath);
SAME_SLOT(Api, OrtApi, SetSessionExecutionMode);
SAME_SLOT(Api, OrtApi, EnableProfiling);
SAME_SLOT(Api, OrtApi, DisableMemPattern);
SAME_SLOT(Api, OrtApi, DisableCpuMemArena);
SAME_SLOT(Api, OrtApi, SetSessionLogSeverityLevel);
SAME_SLOT(Api, OrtApi, SetSessionGraphOptimizationLevel);
SAME_SLOT(Api, OrtApi, SetIntraOpNumThreads);
SAME_SLOT(Api, OrtApi, SetInterOpNumThreads);
SAME_SLOT(Api, OrtApi, CreateCustomOpDomain);
SAME_SLOT(Api, OrtApi, CustomOpDomain_Add);
SAME_SLOT(Api, OrtApi, AddCustomOpDomain);
SAME_SLOT(Api, OrtApi, SessionGetInputCount);
SAME_SLOT(Api, OrtApi, SessionGetOutputCount);
SAME_SLOT(Api, OrtApi, SessionGetInputTypeInfo);
SAME_SLOT(Api, OrtApi, SessionGetOutputTypeInfo);
SAME_SLOT(Api, OrtApi, SessionGetInputName);
SAME_SLOT(Api, OrtApi, SessionGetOutputName);
SAME_SLOT(Api, OrtApi, CreateRunOptions);
SAME_SLOT(Api, OrtApi, RunOptionsSetTerminate);
SAME_SLOT(Api, OrtApi, CreateTensorWithDataAsOrtValue);
SAME_SLOT(Api, OrtApi, IsTensor);
SAME_SLOT(Api, OrtApi, GetTensorMutableData);
SAME_SLOT(Api, OrtApi, CastTypeInfoToTensorInfo);
SAME_SLOT(Api, OrtApi, GetTensorElementType);
SAME_SLOT(Api, OrtApi, GetDimensionsCount);
SAME_SLOT(Api, OrtApi, GetDimensions);
SAME_SLOT(Api, OrtApi, GetSymbolicDimensions);
SAME_SLOT(Api, OrtApi, GetTensorShapeElementCount);
SAME_SLOT(Api, OrtApi, GetTensorTypeAndShape);
SAME_SLOT(Api, OrtApi, CreateCpuMemoryInfo);
SAME_SLOT(Api, OrtApi, AllocatorFree);
SAME_SLOT(Api, OrtApi, GetAllocatorWithDefaultOptions);
SAME_SLOT(Api, OrtApi, KernelInfoGetAttribute_float);
SAME_SLOT(Api, OrtApi, KernelInfoGetAttribute_int64);
SAME_SLOT(Api, OrtApi, KernelInfoGetAttribute_string);
SAME_SLOT(Api, OrtApi, KernelContext_GetInputCount);
SAME_SLOT(Api, OrtApi, KernelContext_GetInput);
SAME_SLOT(Api, OrtApi, KernelContext_GetOutput);
SAME_SLOT(Api, OrtApi, ReleaseEnv);
SAME_SLOT(Api, OrtApi, ReleaseStatus);
SAME_SLOT(Api, OrtApi, ReleaseMemoryInfo);
SAME_SLOT(Api, OrtApi, ReleaseSession);
SAME_SLOT(Api, OrtApi, ReleaseValue);
SAME_SLOT(Api, OrtApi, ReleaseRunOptions);
SAME_SLOT(Api, OrtApi, ReleaseTypeInfo);
SAME_SLOT(Api, OrtApi, ReleaseTensorTypeAndShapeInfo);
SAME_SLOT(Api, OrtApi, ReleaseSessionOptions);
SAME_SLOT(Api, OrtApi, ReleaseCustomOpDomain);
SAME_SLOT(Api, OrtApi, SessionEndProfiling);
SAME_SLOT(Api, OrtApi, AddFreeDimensionOverrideByName);
SAME_SLOT(Api, OrtApi, AddSessionConfigEntry);
SAME_SLOT(Api, OrtApi, RegisterAllocator);
SAME_SLOT(Api, OrtApi, ShapeInferContext_GetInputTypeShape);
SAME_SLOT(Api, OrtApi, ShapeInferContext_SetOutputTypeShape);
SAME_SLOT(Api, OrtApi, KernelContext_ParallelFor);
SAME_SLOT(Api, OrtApi, AddExternalInitializersFromFilesInMemory);

static_assert(offsetof(ort::Allocator, version) == offsetof(OrtAllocator, version));
SAME_SLOT(Allocator, OrtAllocator, Alloc);
SAME_SLOT(Allocator, OrtAllocator, Free);
SAME_SLOT(Allocator, OrtAllocator, Info);
SAME_SLOT(Allocator, OrtAllocator, Reserve);

static_assert(offsetof(ort::CustomOp, version) == offsetof(OrtCustomOp, version));
static_assert(sizeof(ort::CustomOp) == sizeof(OrtCustomOp), "OrtCustomOp has grown: see what ort::CustomOp lacks");
SAME_SLOT(CustomOp, OrtCustomOp, CreateKernel);
SAME_SLOT(CustomOp, OrtCustomOp, GetName);
SAME_SLOT(CustomOp, OrtCustomOp, GetExecutionProviderType);
SAME_SLOT(CustomOp, OrtCustomOp, GetInputType);
SAME_SLOT(CustomOp, OrtCustomOp, GetInputTypeCount);
SAME_SLOT(CustomOp, OrtCustomOp, GetOutputType);
SAME_SLOT(CustomOp, OrtCustomOp, GetOutputTypeCount);
SAME_SLOT(CustomOp, OrtCustomOp, KernelCompute);
SAME_SLOT(CustomOp, OrtCustomOp, KernelDestroy);
SAME_SLOT(CustomOp, OrtCustomOp, GetInputCharacteristic);
SAME_SLOT(CustomOp, OrtCustomOp, GetOutputCharacteristic);
SAME_SLOT(CustomOp, OrtCustomOp, GetInputMemoryType);
SAME_SLOT(CustomOp, OrtCustomOp, GetVariadicInputMinArity);
SAME_SLOT(CustomOp, OrtCustomOp, GetVariadicInputHomogeneity);
SAME_SLOT(CustomOp, OrtCustomOp, GetVariadicOutputMinArity);
SAME_SLOT(CustomOp, OrtCustomOp, GetVariadicOutputHomogeneity);
SAME_SLOT(CustomOp, OrtCustomOp, CreateKernelV2);
SAME_SLOT(CustomOp, OrtCustomOp, KernelComputeV2);
SAME_SLOT(CustomOp, OrtCustomOp, InferOutputShapeFn);
SAME_SLOT(CustomOp, OrtCustomOp, GetStartVersion);
SAME_SLOT(CustomOp, OrtCustomOp, GetEndVersion);
SAME_SLOT(CustomOp, OrtCustomOp, GetMayInplace);
SAME_SLOT(CustomOp, OrtCustomOp, ReleaseMayInplace);
SAME_SLOT(CustomOp, OrtCustomOp, GetAliasMap);
SAME_SLOT(CustomOp, OrtCustomOp, ReleaseAliasMap);

SAME_SLOT(ApiBase, OrtApiBase, GetApi);
SAME_SLOT(ApiBase, OrtApiBase, GetVersionString);

#define SAME_NUMBER(ours, theirs) static_assert(static_cast<int>(ort::ours) == static_cast<int>(theirs))
SAME_NUMBER(kUndefined, ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED);
SAME_NUMBER(kFloat, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
SAME_NUMBER(kUint8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8);
SAME_NUMBER(kInt8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8);
SAME_NUMBER(kUint16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16);
SAME_NUMBER(kInt16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16);
SAME_NUMBER(kInt32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32);
SAME_NUMBER(kInt64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
SAME_NUMBER(kString, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
SAME_NUMBER(kBool, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL);
SAME_NUMBER(kFloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16);
SAME_NUMBER(kDouble, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE);
SAME_NUMBER(kUint32, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32);
SAME_NUMBER(kUint64, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64);
SAME_NUMBER(kBfloat16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16);
SAME_NUMBER(kOk, ORT_OK);
SAME_NUMBER(kFail, ORT_FAIL);
SAME_NUMBER(kInvalidArgument, ORT_INVALID_ARGUMENT);
SAME_NUMBER(kLogError, ORT_LOGGING_LEVEL_ERROR);
SAME_NUMBER(kLogFatal, ORT_LOGGING_LEVEL_FATAL);
SAME_NUMBER(kDeviceAllocator, OrtDeviceAllocator);
SAME_NUMBER(kArenaAllocator, OrtArenaAllocator);
SAME_NUMBER(kMemoryDefault, OrtMemTypeDefault);
SAME_NUMBER(kDisableAll, ORT_DISABLE_ALL);
SAME_NUMBER(kBasic, ORT_ENABLE_BASIC);
SAME_NUMBER(kExtended, ORT_ENABLE_EXTENDED);
SAME_NUMBER(kEnableAll, ORT_ENABLE_ALL);
SAME_NUMBER(kRequired, INPUT_OUTPUT_REQUIRED);
SAME_NUMBER(kOptional, INPUT_OUTPUT_OPTIONAL);
