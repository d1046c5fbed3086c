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

class RunWorker : public Napi::AsyncWorker {
 public:
  RunWorker(Napi::Env env, std::shared_ptr<RunContext> context, RunRequest request, uint32_t id);

  Napi::Promise promise() const { return deferred_.Promise(); }

  // Runs on libuv's thread pool.
  static void start(std::unique_ptr<RunWorker> worker);
  // Runs here and now.
  void runHere();

 protected:
  // Leaves the results, or the error, for OnOK.
  void Execute() override;
  // Resolves with one { type, dims, data } for each output, undefined for those that were given buffers.
  void OnOK() override;

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<RunContext> context_;
  // Its own hold: the session may be disposed of under the run.
  std::shared_ptr<ort::ModelSession> model_;
  RunRequest request_;
  uint32_t id_;
  std::shared_ptr<ort::RunOptions> options_;
  std::vector<ort::OwnedValue> results_;
  std::optional<ort::Error> error_;
};
