#!/usr/bin/env bash
# Runs the addon's tests in Node, with the addon and its kernel under AddressSanitizer and UBSan.
# Run it by hand (`npm run test:native:sanitized`): it takes a minute and needs the sanitizer libraries of GCC or Clang.
set -euo pipefail
cd "$(dirname "$0")/../.."

build="$(mktemp -d)"
trap 'rm -rf "$build"' EXIT
cp -rL native package.json "$build"
ln -s "$PWD/node_modules" "$build/node_modules"
rm -rf "$build/native/build"
(
  cd "$build/native"
  # The check of virtual tables needs type information (RTTI), which Node is built without.
  flags='-fsanitize=address,undefined -fno-sanitize=vptr'
  export CXXFLAGS="$flags -fno-omit-frame-pointer -g" LDFLAGS="$flags"
  # node-gyp would prefer it, from the user's npm configuration, to the option.
  unset npm_config_nodedir
  node "${npm_config_node_gyp:?run it through npm: npm run test:native:sanitized}" configure build \
    -C "$PWD" --nodedir "$PWD/nodedir" --jobs max > build.log 2>&1 || { tail -20 build.log; exit 1; }
)

export ONNX_GROUPNORM_ADDON="$build/native/build/Release/onnx_groupnorm.node"
export LD_PRELOAD="$(c++ -print-file-name=libasan.so)"
# No leak detection: Node frees little memory at exit. The test of 1,000 sessions looks for leaks instead,
# so the quarantine of freed memory must be small.
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# AddressSanitizer ends the process when ONNX Runtime itself is out of memory, which one test brings about.
node --import tsx node_modules/mocha/bin/mocha.js "test/runtime/native/*.test.ts" --timeout 120000 \
  --grep 'more memory than there is fails' --invert
