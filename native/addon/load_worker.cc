#include "load_worker.h"

#include <utility>

#include "session_object.h"
#include "values.h"

LoadWorker::LoadWorker(Napi::Env env, ArrayMemory model, std::vector<ArrayMemory> files, ort::LoadOptions options)
    : Napi::AsyncWorker(env, "onnx-groupnorm.load"),
      deferred_(Napi::Promise::Deferred::New(env)),
      bytes_(std::move(model)),
      files_(std::move(files)),
      options_(std::move(options)) {}

void LoadWorker::Execute() try {
  model_ = std::make_shared<ort::ModelSession>(bytes_.data(), bytes_.size(), options_);
} catch (const ort::Error& error) {
  error_ = error;
} catch (const std::exception& error) {
  error_ = ort::Error(error.what());
}

void LoadWorker::OnOK() {
  settle(deferred_, [this] {
    if (error_) throw *error_;
    return wrapSession(Env(), std::move(model_));
  });
}
