// A stand-in for libcudart on a machine without a GPU. Device memory is the memory of the machine, and every call is
// complete when it returns. Kernels of kernels.h run on the CPU; other kernels leave their results as they are. The file
// that CUDA_STAND_IN_LOG names gets a line for each call.
//
// CUDA_STAND_IN_DEVICE_ERROR=100   there is no device (35: the driver is too old)
// CUDA_STAND_IN_SYNC_ERROR=700     earlier work has failed (700: an illegal memory access)
// CUDA_STAND_IN_MEMORY=20          MiB of device memory
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "kernels.h"

namespace {

void note(const std::string& line) {
  static FILE* const file = [] {
    const char* path = std::getenv("CUDA_STAND_IN_LOG");
    return path ? std::fopen(path, "a") : nullptr;
  }();
  if (!file) return;
  std::fprintf(file, "%s\n", line.c_str());
  std::fflush(file);
}

int setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::atoi(value) : 0;
}

// Kernels by the addresses of their host functions. Filled as libraries are loaded.
std::map<const void*, std::string>& kernelNames() {
  static auto* const names = new std::map<const void*, std::string>;
  return *names;
}

cudaError_t launch(const void* function, dim3 grid, dim3 block, void** args) {
  const auto found = kernelNames().find(function);
  const stand_in::Launch request{found == kernelNames().end() ? "?" : found->second, args, grid, block};
  note((stand_in::run(request) ? "kernel " : "unknown kernel ") + request.name);
  return cudaSuccess;
}

struct Configuration {
  dim3 grid, block;
  size_t sharedMemory;
  void* stream;
};
thread_local Configuration configuration;

std::mutex memoryMutex;
std::map<void*, size_t> deviceMemory;
size_t allocated = 0;

cudaError_t allocate(void** pointer, size_t size) {
  if (posix_memalign(pointer, 256, size ? size : 1) != 0) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0, size);
  return cudaSuccess;
}

size_t totalMemory() {
  const int mebibytes = setting("CUDA_STAND_IN_MEMORY");
  return size_t(mebibytes ? mebibytes : 8192) << 20;
}

cudaError_t copy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  static const char* const kinds[] = {"host to host", "to the device", "to the host", "on the device", "default"};
  note("copy " + std::string(kinds[kind]) + " " + std::to_string(size));
  std::memmove(to, from, size);
  return cudaSuccess;
}

cudaError_t fill(void* to, int value, size_t size) {
  std::memset(to, value, size);
  return cudaSuccess;
}

template <class Handle>
cudaError_t create(Handle* handle) {
  *handle = static_cast<Handle>(std::malloc(8));
  return cudaSuccess;
}

// Compute capability 9.0, with the limits of such GPUs.
constexpr int MAJOR = 9, PROCESSORS = 132, THREADS = 1024, SHARED_MEMORY = 48 << 10, SHARED_MEMORY_OPTIN = 227 << 10;

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, void*, void*, void*, void*, int*) {
  kernelNames()[host] = stand_in::demangle(name);
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t sharedMemory, void* stream) {
  configuration = {grid, block, sharedMemory, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* sharedMemory, void* stream) {
  *grid = configuration.grid;
  *block = configuration.block;
  *sharedMemory = configuration.sharedMemory;
  *static_cast<void**>(stream) = configuration.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args, size_t, cudaStream_t) {
  return launch(kernel, grid, block, args);
}
cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** args, size_t, cudaStream_t) {
  return launch(function, grid, block, args);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** args) {
  return launch(function, config->gridDim, config->blockDim, args);
}
cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block, void** args, size_t, cudaStream_t) {
  return launch(function, grid, block, args);
}

cudaError_t cudaGetDeviceCount(int* count) {
  const int error = setting("CUDA_STAND_IN_DEVICE_ERROR");
  *count = error ? 0 : 1;
  return cudaError_t(error);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaError_t(setting("CUDA_STAND_IN_DEVICE_ERROR")); }
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* device, int) {
  std::memset(device, 0, sizeof *device);
  std::strcpy(device->name, "stand-in on the CPU");
  device->totalGlobalMem = totalMemory();
  device->sharedMemPerBlock = SHARED_MEMORY;
  device->sharedMemPerBlockOptin = SHARED_MEMORY_OPTIN;
  device->sharedMemPerMultiprocessor = 228 << 10;
  device->regsPerBlock = device->regsPerMultiprocessor = 65536;
  device->warpSize = 32;
  device->maxThreadsPerBlock = THREADS;
  device->maxThreadsPerMultiProcessor = 2048;
  device->maxBlocksPerMultiProcessor = 32;
  for (int dim = 0; dim < 3; dim++) {
    device->maxThreadsDim[dim] = THREADS;
    device->maxGridSize[dim] = dim == 0 ? 2147483647 : 65535;
  }
  device->major = MAJOR;
  device->multiProcessorCount = PROCESSORS;
  device->l2CacheSize = 50 << 20;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  static const std::map<int, int> values = {
      {cudaDevAttrComputeCapabilityMajor, MAJOR},       {cudaDevAttrMultiProcessorCount, PROCESSORS},
      {cudaDevAttrMaxThreadsPerBlock, THREADS},         {cudaDevAttrWarpSize, 32},
      {cudaDevAttrMaxSharedMemoryPerBlock, SHARED_MEMORY}, {cudaDevAttrMaxSharedMemoryPerBlockOptin, SHARED_MEMORY_OPTIN},
  };
  const auto found = values.find(attribute);
  *value = found == values.end() ? 0 : found->second;
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  std::memset(attributes, 0, sizeof *attributes);
  attributes->binaryVersion = attributes->ptxVersion = MAJOR * 10;
  attributes->maxThreadsPerBlock = THREADS;
  attributes->numRegs = 32;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* count, const void*, int, size_t, unsigned) {
  *count = 2;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t size) {
  const std::lock_guard<std::mutex> lock(memoryMutex);
  if (allocated + size > totalMemory()) return cudaErrorMemoryAllocation;
  const cudaError_t error = allocate(pointer, size);
  if (error == cudaSuccess) allocated += deviceMemory[*pointer] = size;
  return error;
}
cudaError_t cudaFree(void* pointer) {
  const std::lock_guard<std::mutex> lock(memoryMutex);
  allocated -= deviceMemory[pointer];
  deviceMemory.erase(pointer);
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** pointer, size_t size) { return allocate(pointer, size); }
cudaError_t cudaHostAlloc(void** pointer, size_t size, unsigned) { return allocate(pointer, size); }
cudaError_t cudaFreeHost(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  const std::lock_guard<std::mutex> lock(memoryMutex);
  *total = totalMemory();
  *available = *total - allocated;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  std::memset(attributes, 0, sizeof *attributes);
  attributes->type = cudaMemoryTypeDevice;
  attributes->devicePointer = attributes->hostPointer = const_cast<void*>(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) { return copy(to, from, size, kind); }
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t) {
  return copy(to, from, size, kind);
}
cudaError_t cudaMemset(void* to, int value, size_t size) { return fill(to, value, size); }
cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t) { return fill(to, value, size); }

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return create(stream); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return create(stream); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::free(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  note("synchronize");
  return cudaError_t(setting("CUDA_STAND_IN_SYNC_ERROR"));
}
cudaError_t cudaDeviceSynchronize() {
  note("synchronize");
  return cudaError_t(setting("CUDA_STAND_IN_SYNC_ERROR"));
}
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return create(event); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return create(event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  std::free(event);
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t) { return "cudaError"; }
// As CUDA words it.
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    default: return "unknown error";
  }
}

}  // extern "C"
