/** Hooks of Node's module loader: onnxruntime-node fails to load as on a system without glibc, such as Alpine. */
export function resolve(name, context, next) {
  if (name !== 'onnxruntime-node') return next(name, context);
  throw new Error('Error loading shared library ld-linux-x86-64.so.2');
}
