#include "session_object.h"

#include <utility>

#include "addon_data.h"

namespace {

std::vector<BorrowedTensor> readInputs(const Napi::Array& tensors) {
  const uint32_t length = tensors.Length();
  std::vector<BorrowedTensor> values;
  values.reserve(length);
  for (uint32_t index = 0; index < length; index++) {
    values.push_back(readTensor(tensors.Get(index).As<Napi::Object>()));
  }
  return values;
}

std::vector<BorrowedTensor> readOutputs(const Napi::Array& tensors) {
  std::vector<BorrowedTensor> values(tensors.Length());
  for (uint32_t index = 0; index < values.size(); index++) {
    const Napi::Value tensor = tensors.Get(index);
    if (!tensor.IsObject()) continue;
    if (auto writable = writableTensor(tensor.As<Napi::Object>())) values[index] = *std::move(writable);
  }
  return values;
}

RunRequest readRequest(const Napi::CallbackInfo& info) {
  RunRequest request{toStrings(info[0].As<Napi::Array>()), readInputs(info[1].As<Napi::Array>()),
                     toStrings(info[2].As<Napi::Array>()), readOutputs(info[3].As<Napi::Array>())};
  if (request.inputNames.size() == request.inputs.size() && request.outputNames.size() == request.outputs.size()) {
    return request;
  }
  throw Napi::TypeError::New(info.Env(), "there must be one tensor for each name");
}

using ModelHandle = std::shared_ptr<ort::ModelSession>;

}  // namespace

Napi::Function SessionObject::define(Napi::Env env) {
  return DefineClass(
      env, "NativeSession",
      {InstanceAccessor<&SessionObject::inputs>("inputs"), InstanceAccessor<&SessionObject::outputs>("outputs"),
       InstanceMethod<&SessionObject::run>("run"), InstanceMethod<&SessionObject::terminate>("terminate"),
       InstanceMethod<&SessionObject::endProfiling>("endProfiling"),
       InstanceMethod<&SessionObject::dispose>("dispose")});
}

SessionObject::SessionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SessionObject>(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(info.Env(), "a session is made by createSession");
  }
  context_->model = std::move(*info[0].As<Napi::External<ModelHandle>>().Data());
}

Napi::Object wrapSession(Napi::Env env, ModelHandle model) {
  const auto handle = Napi::External<ModelHandle>::New(env, &model);
  return env.GetInstanceData<AddonData>()->sessionConstructor.New({handle});
}

ort::ModelSession& SessionObject::open(Napi::Env env) const {
  if (!context_->model) throw Napi::Error::New(env, "the session is disposed of");
  return *context_->model;
}

Napi::Value SessionObject::inputs(const Napi::CallbackInfo& info) {
  return toJavaScript(info.Env(), open(info.Env()).inputs());
}

Napi::Value SessionObject::outputs(const Napi::CallbackInfo& info) {
  return toJavaScript(info.Env(), open(info.Env()).outputs());
}

Napi::Value SessionObject::run(const Napi::CallbackInfo& info) try {
  const uint32_t id = info[4].As<Napi::Number>().Uint32Value();
  RunRequest request = readRequest(info);
  // Afterwards: a getter of the caller's may have disposed of the session.
  open(info.Env());
  auto run = std::make_unique<Run>(info.Env(), context_->model, std::move(request));
  const Napi::Promise promise = run->promise();
  if (info[5].As<Napi::Boolean>().Value()) {
    run->execute(nullptr);
    run->settlePromise();
  } else {
    RunWorker::start(info.Env(), context_, std::move(run), id);
  }
  return promise;
} catch (const ort::Error& error) {
  throw toJavaScript(info.Env(), error);
}

void SessionObject::terminate(const Napi::CallbackInfo& info) {
  const auto run = context_->underWay.find(info[0].As<Napi::Number>().Uint32Value());
  if (run != context_->underWay.end()) ort::check(ort::api().RunOptionsSetTerminate(run->second.get()));
}

void SessionObject::endProfiling(const Napi::CallbackInfo& info) try {
  open(info.Env()).endProfiling();
} catch (const ort::Error& error) {
  throw toJavaScript(info.Env(), error);
}

void SessionObject::dispose(const Napi::CallbackInfo&) { context_->model.reset(); }
