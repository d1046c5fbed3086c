// One run of a model: on libuv's thread pool, or on the JavaScript thread where the caller asks for that.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "values.h"

// A run's inputs, and the outputs that the caller has given buffers for.
struct RunRequest {
  std::vector<std::string> inputNames;
  std::vector<BorrowedTensor> inputs;
  std::vector<std::string> outputNames;
  // One for each name; without a value where the runtime is to allocate it.
  std::vector<BorrowedTensor> outputs;
};

// The runs of a session that can be ended, by the numbers that JavaScript gave them. On the JavaScript thread only.
using RunsUnderWay = std::unordered_map<uint32_t, std::shared_ptr<ort::RunOptions>>;

// What the runs of one session share.
struct RunContext {
  std::shared_ptr<ort::ModelSession> model;
  RunsUnderWay underWay;
};

// A run, on whatever thread: construct and settle it on the JavaScript thread.
class Run {
 public:
  Run(Napi::Env env, std::shared_ptr<ort::ModelSession> model, RunRequest request);

  Napi::Promise promise() const { return deferred_.Promise(); }

  // Leaves the results, or the error, for settlePromise(). The options may be null.
  void execute(ort::RunOptions*) noexcept;
  // Resolves with one { type, dims, data } for each output, undefined for those that were given buffers.
  void settlePromise();

 private:
  Napi::Promise::Deferred deferred_;
  // Its own hold: the session may be disposed of under the run.
  std::shared_ptr<ort::ModelSession> model_;
  RunRequest request_;
  std::vector<ort::OwnedValue> results_;
  std::optional<ort::Error> error_;
};

// Executes a run on libuv's thread pool.
class RunWorker : public Napi::AsyncWorker {
 public:
  static void start(Napi::Env env, std::shared_ptr<RunContext> context, std::unique_ptr<Run> run, uint32_t id);

 protected:
  void Execute() override;
  void OnOK() override;

 private:
  RunWorker(Napi::Env env, std::shared_ptr<RunContext> context, std::unique_ptr<Run> run, uint32_t id);

  std::shared_ptr<RunContext> context_;
  std::unique_ptr<Run> run_;
  uint32_t id_;
  std::shared_ptr<ort::RunOptions> options_;
};
