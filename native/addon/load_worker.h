// Loading a model on libuv's thread pool.
#pragma once

#include <napi.h>

#include <memory>

#include "../onnxruntime/model_session.h"
#include "pinned_buffer.h"

class LoadWorker : public Napi::AsyncWorker {
 public:
  LoadWorker(Napi::Env env, PinnedBuffer model, ort::LoadOptions options);

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override;
  // Resolves with the SessionObject.
  void OnOK() override;
  void OnError(const Napi::Error& error) override;

 private:
  Napi::Promise::Deferred deferred_;
  PinnedBuffer bytes_;
  ort::LoadOptions options_;
  std::shared_ptr<ort::ModelSession> model_;
};
