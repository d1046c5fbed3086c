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
# No leak detection: Node frees little memory at exit. `requireFlat` counts the blocks that are left instead.
options=detect_leaks=0:quarantine_size_mb=1:allocator_may_return_null=1
export ASAN_OPTIONS=$options UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# Not run: the test that brings about that ONNX Runtime itself is out of memory, at which AddressSanitizer ends the process;
# and the tests of resident memory. 700 sessions leave 17 blocks of memory, but let the resident memory grow by 10 to 16 MiB:
# the sanitizer keeps the stack of each kind of allocation for ever (8 MiB), and its allocator the pages of freed blocks.
node --import tsx node_modules/mocha/bin/mocha.js "test/runtime/native/*.test.ts" --timeout 120000 \
  --grep 'more memory than there is fails|memory that stays flat|resident memory is flat' --invert

# Prints how many blocks of memory a program of test/runtime/native/programs.ts has at its end.
blocks() {
  ASAN_OPTIONS=$options:atexit=1 node --expose-gc --import tsx test/support/program.mjs "$PWD/test/runtime/native/programs.ts" "$@" 2>&1 |
    awk '/^Stats: .* malloced / { made = $(NF - 1) } /^Stats: .*M freed by/ { freed = $(NF - 1) }
      END { if (made == "") exit 1; print made - freed }'
}

# Fails if a program that repeats COUNT times more has a block more for every tenth time.
requireFlat() {
  local name=$1 count=$2 few many
  few=$(blocks "$name" 0)
  many=$(blocks "$name" "$count")
  echo "$name: $count more leave $((many - few)) blocks of memory"
  ((many - few < count / 10))
}

requireFlat createManySessions 700
for name in plainCalls usingCalls callsWithAllocatedTensors callsWithGivenOutputs syncCalls; do requireFlat "$name" 2000; done
