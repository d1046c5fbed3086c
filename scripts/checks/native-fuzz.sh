#!/bin/sh
# Builds the fuzz target of the native operators with Clang's libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer,
# and runs it. Inputs that reach new code are kept in build/native-fuzz/corpus for the next run; an input that fails is
# written to build/native-fuzz, and `scripts/checks/native-fuzz.sh FILE` runs it again.
#
#   scripts/checks/native-fuzz.sh [--minutes N] [FILE]
#
#   --minutes N  how long to run; 1 by default
#
# CXX names another clang++.
set -eu
cd "$(dirname "$0")/../.."

minutes=1
case ${1:-} in
  --minutes) minutes=$2; shift 2 ;;
  -*) echo "native-fuzz: unknown option $1; see scripts/checks/native-fuzz.sh" >&2; exit 2 ;;
esac

for candidate in ${CXX:-} clang++ clang++-19 clang++-16 clang++-14; do
  compiler=$candidate
  command -v "$compiler" >/dev/null && break
  compiler=
done
[ -n "$compiler" ] || { echo 'native-fuzz: not run: found no clang++; set CXX' >&2; exit 2; }

build=build/native-fuzz
mkdir -p "$build/corpus"
echo '*' >"$build/.gitignore"
flags="-std=c++17 -O1 -g -Wall -Wextra -Werror -pthread -ffp-contract=off -fno-sanitize-recover=all"
flags="$flags -fsanitize=fuzzer-no-link,address,undefined"
avx2='-mavx2 -mfma -mf16c'
avx512="$avx2 -mavx512f -mavx512bw -mavx512vl -mavx512dq"
case $("$compiler" -dumpmachine) in
  x86_64*) ;;
  *) avx2= avx512= ;;
esac

for source in native/fuzz/*.cc native/kernel/*.cc native/buffers/*.cc native/onnxruntime/*.cc; do
  case $source in
    *_test.cc) continue ;;
    *_avx2.cc) special=$avx2 ;;
    *_avx512.cc) special=$avx512 ;;
    *) special= ;;
  esac
  echo "$source $special"
done | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I LINE sh -c '
  set -e
  build=$1 compiler=$2 flags=$3
  set -- LINE
  $compiler $flags "$@" -c -o "$build/$(basename "$1" .cc).o"' sh "$build" "$compiler" "$flags"
"$compiler" -fsanitize=fuzzer,address,undefined -pthread "$build"/*.o -ldl -o "$build/run"

ONNXRUNTIME_LIBRARY=$(node --import tsx --input-type=module --eval \
  "import { onnxRuntimeLibrary } from './lib/runtime/ort-node/load.js'; console.log(onnxRuntimeLibrary())")
export ONNXRUNTIME_LIBRARY
# ONNX Runtime, which is not built with the sanitizers, keeps what it has made once until the process ends.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
if [ $# -gt 0 ]; then exec "$build/run" "$@"; fi
exec "$build/run" "$build/corpus" -max_total_time="$(awk "BEGIN { print int($minutes * 60) }")" -max_len=512 \
  -artifact_prefix="$build/" -print_final_stats=1 -close_fd_mask=1 -rss_limit_mb=4096
