#include "run_worker.h"

#include <utility>

namespace {

std::vector<ort::NamedValue> nameValues(const std::vector<std::string>& names,
                                        const std::vector<BorrowedTensor>& tensors) {
  std::vector<ort::NamedValue> named;
  for (size_t index = 0; index < names.size(); index++) {
    named.push_back({names[index], tensors[index].value.get()});
  }
  return named;
}

std::shared_ptr<ort::RunOptions> makeRunOptions() {
  ort::RunOptions* options = nullptr;
  ort::check(ort::api().CreateRunOptions(&options));
  return std::shared_ptr<ort::RunOptions>(ort::OwnedRunOptions(options));
}

}  // namespace

RunWorker::RunWorker(Napi::Env env, std::shared_ptr<RunContext> context, RunRequest request, uint32_t id)
    : Napi::AsyncWorker(env, "onnx-groupnorm.run"),
      deferred_(Napi::Promise::Deferred::New(env)),
      context_(std::move(context)),
      model_(context_->model),
      request_(std::move(request)),
      id_(id) {}

void RunWorker::start(std::unique_ptr<RunWorker> worker) {
  worker->options_ = makeRunOptions();
  RunsUnderWay& underWay = worker->context_->underWay;
  underWay[worker->id_] = worker->options_;
  try {
    worker->Queue();
  } catch (...) {
    underWay.erase(worker->id_);
    throw;
  }
  // It deletes itself in the end.
  worker.release();
}

void RunWorker::runHere() {
  Execute();
  OnOK();
}

void RunWorker::Execute() try {
  results_ = model_->run(nameValues(request_.inputNames, request_.inputs),
                         nameValues(request_.outputNames, request_.outputs), options_.get());
} catch (const ort::Error& error) {
  error_ = error;
} catch (const std::exception& error) {
  error_ = ort::Error(error.what());
}

void RunWorker::OnOK() {
  context_->underWay.erase(id_);
  settle(deferred_, [this] {
    if (error_) throw *error_;
    Napi::Array outputs = Napi::Array::New(Env(), results_.size());
    for (uint32_t index = 0; index < results_.size(); index++) {
      if (results_[index]) outputs.Set(index, toJavaScript(Env(), std::move(results_[index]), request_.inputs));
    }
    return outputs;
  });
}
