// A loaded model as a JavaScript object: inputs, outputs, run, dispose.
#pragma once

#include <napi.h>

#include <memory>

#include "../onnxruntime/model_session.h"
#include "run_worker.h"

class SessionObject : public Napi::ObjectWrap<SessionObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit SessionObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value inputs(const Napi::CallbackInfo& info);
  Napi::Value outputs(const Napi::CallbackInfo& info);
  // run(names, tensors, outputNames, outputTensors | undefined each, id, sync) → Promise
  Napi::Value run(const Napi::CallbackInfo& info);
  // terminate(id): ends that run, if it is under way.
  void terminate(const Napi::CallbackInfo& info);
  // Writes the profile now, if there is one.
  void endProfiling(const Napi::CallbackInfo& info);
  // Drops this object's hold of the model; runs that are under way keep theirs.
  void dispose(const Napi::CallbackInfo& info);

  // Throws Napi::Error once it is disposed of.
  ort::ModelSession& open(Napi::Env env) const;

  std::shared_ptr<RunContext> context_ = std::make_shared<RunContext>();
};

// Wraps a model in a SessionObject.
Napi::Object wrapSession(Napi::Env env, std::shared_ptr<ort::ModelSession> model);
