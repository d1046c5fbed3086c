// Loading a model on libuv's thread pool.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <vector>

#include "../onnxruntime/model_session.h"
#include "array_memory.h"

class LoadWorker : public Napi::AsyncWorker {
 public:
  // `files` are the contents of the options' external files.
  LoadWorker(Napi::Env env, ArrayMemory model, std::vector<ArrayMemory> files, ort::LoadOptions options);

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override;
  // Resolves with the SessionObject.
  void OnOK() override;

 private:
  Napi::Promise::Deferred deferred_;
  ArrayMemory bytes_;
  std::vector<ArrayMemory> files_;
  ort::LoadOptions options_;
  std::shared_ptr<ort::ModelSession> model_;
  std::optional<ort::Error> error_;
};
