#include "load_worker.h"

#include <utility>

#include "session_object.h"

LoadWorker::LoadWorker(Napi::Env env, PinnedBuffer model, ort::LoadOptions options)
    : Napi::AsyncWorker(env, "onnx-groupnorm.load"),
      deferred_(Napi::Promise::Deferred::New(env)),
      bytes_(std::move(model)),
      options_(std::move(options)) {}

void LoadWorker::Execute() {
  model_ = std::make_shared<ort::ModelSession>(bytes_.data(), bytes_.size(), options_);
}

void LoadWorker::OnOK() { deferred_.Resolve(wrapSession(Env(), std::move(model_))); }

void LoadWorker::OnError(const Napi::Error& error) { deferred_.Reject(error.Value()); }
