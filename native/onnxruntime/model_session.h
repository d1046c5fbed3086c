// A model that ONNX Runtime has loaded with the project's kernels. Knows nothing of JavaScript.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "library.h"

namespace ort {

// A file of weights whose content the caller keeps until the model is loaded.
struct FileInMemory {
  std::string name;
  void* data = nullptr;
  size_t size = 0;
};

struct LoadOptions {
  // 0: one per physical core.
  int intraOpNumThreads = 0;
  // The same, for nodes side by side, of which only kParallel makes any.
  int interOpNumThreads = 0;
  ExecutionMode executionMode = kSequential;
  OptimizationLevel optimization = kEnableAll;
  // Whether tensors lie in the process's pool, which keeps freed memory for later runs.
  bool cpuMemArena = true;
  bool memPattern = true;
  int logSeverity = kLogFatal;
  // The start of the profile's file name; empty for no profile.
  std::string profilePrefix;
  // Where the optimized model is written; empty for nowhere.
  std::string optimizedModelPath;
  // Sizes of symbolic dimensions by their names.
  std::vector<std::pair<std::string, int64_t>> freeDimensions;
  // Further entries of the session's configuration.
  std::vector<std::pair<std::string, std::string>> config;
  // Files of external data, by their names in the model.
  std::vector<FileInMemory> externalFiles;
};

struct ValueInfo {
  std::string name;
  // kUndefined if the value is not a tensor.
  ElementType type = kUndefined;
  // -1 where a dimension is known only at run time; its name, if it has one, is in dimNames.
  std::vector<int64_t> shape;
  std::vector<std::string> dimNames;
};

class ModelSession {
 public:
  // Throws Error with the runtime's message if it refuses the model.
  ModelSession(const void* model, size_t size, const LoadOptions&);
  ~ModelSession();
  ModelSession(const ModelSession&) = delete;
  ModelSession& operator=(const ModelSession&) = delete;

  const std::vector<ValueInfo>& inputs() const { return inputs_; }
  const std::vector<ValueInfo>& outputs() const { return outputs_; }

  // The caller owns the values, one for each name; for an output nullptr has the runtime allocate it. Returns the
  // outputs that the runtime allocated, in order, nullptr for those that the caller gave. The options may be null.
  // May be called from many threads at once. Throws Error.
  std::vector<OwnedValue> run(const std::vector<std::string>& inputNames, const std::vector<Value*>& inputs,
                              const std::vector<std::string>& outputNames, const std::vector<Value*>& outputs,
                              RunOptions*);

  // Writes the profile now, if there is one.
  void endProfiling();

 private:
  OwnedSession session_;
  std::vector<ValueInfo> inputs_;
  std::vector<ValueInfo> outputs_;
};

// A tensor over memory of the caller, which must outlive it. Throws Error if `size` bytes do not hold `shape`.
OwnedValue wrapTensor(void* data, size_t size, const std::vector<int64_t>& shape, ElementType);

struct TensorView {
  ElementType type;
  std::vector<int64_t> shape;
  void* data;
  size_t size;
};
// Throws Error if the value is not a tensor, or holds strings.
TensorView viewTensor(Value*);

}  // namespace ort
