#include "run_worker.h"

#include <utility>

namespace {

std::vector<ort::Value*> valuesOf(const std::vector<BorrowedTensor>& tensors) {
  std::vector<ort::Value*> values;
  values.reserve(tensors.size());
  for (const BorrowedTensor& tensor : tensors) values.push_back(tensor.value.get());
  return values;
}

std::shared_ptr<ort::RunOptions> makeRunOptions() {
  ort::RunOptions* options = nullptr;
  ort::check(ort::api().CreateRunOptions(&options));
  return std::shared_ptr<ort::RunOptions>(ort::OwnedRunOptions(options));
}

}  // namespace

Run::Run(Napi::Env env, std::shared_ptr<ort::ModelSession> model, RunRequest request)
    : deferred_(Napi::Promise::Deferred::New(env)), model_(std::move(model)), request_(std::move(request)) {}

void Run::execute(ort::RunOptions* options) noexcept try {
  results_ = model_->run(request_.inputNames, valuesOf(request_.inputs), request_.outputNames,
                         valuesOf(request_.outputs), options);
} catch (const ort::Error& error) {
  error_ = error;
} catch (const std::exception& error) {
  error_ = ort::Error(error.what());
}

void Run::settlePromise() {
  settle(deferred_, [this] {
    if (error_) throw *error_;
    const Napi::Env env = deferred_.Env();
    Napi::Array outputs = Napi::Array::New(env, results_.size());
    for (uint32_t index = 0; index < results_.size(); index++) {
      if (results_[index]) outputs.Set(index, toJavaScript(env, std::move(results_[index]), request_.inputs));
    }
    return outputs;
  });
}

RunWorker::RunWorker(Napi::Env env, std::shared_ptr<RunContext> context, std::unique_ptr<Run> run, uint32_t id)
    : Napi::AsyncWorker(env, "onnx-groupnorm.run"),
      context_(std::move(context)),
      run_(std::move(run)),
      id_(id),
      options_(makeRunOptions()) {}

void RunWorker::start(Napi::Env env, std::shared_ptr<RunContext> context, std::unique_ptr<Run> run, uint32_t id) {
  std::unique_ptr<RunWorker> worker(new RunWorker(env, std::move(context), std::move(run), id));
  RunsUnderWay& underWay = worker->context_->underWay;
  underWay[id] = worker->options_;
  try {
    worker->Queue();
  } catch (...) {
    underWay.erase(id);
    throw;
  }
  // It deletes itself in the end.
  worker.release();
}

void RunWorker::Execute() { run_->execute(options_.get()); }

void RunWorker::OnOK() {
  context_->underWay.erase(id_);
  run_->settlePromise();
}
