/** Opens a session beside another loaded version of onnxruntime-node. */
import 'onnxruntime-1.30.0';
import { createSession } from 'onnx-groupnorm';
import { model } from './model.mjs';
const refusal = await createSession(model(), { providers: ['cpu'] }).catch((error) => error);
console.log(JSON.stringify([refusal.code, refusal.message]));
