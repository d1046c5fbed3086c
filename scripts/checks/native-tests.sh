#!/bin/sh
# Builds the kernel, the buffers and their C++ tests with an installed compiler, and runs them.
#
#   scripts/checks/native-tests.sh [--sanitize] [--bench] [WORD]
#
#   --sanitize  with AddressSanitizer and UndefinedBehaviorSanitizer
#   --bench     build and run the benchmark in place of the tests
#   WORD        only run tests whose name contains it
#
# CXX names another compiler, CXXFLAGS adds options, RUN is a prefix of the command (RUN=qemu-aarch64).
set -eu
cd "$(dirname "$0")/../.."

mode=test
flags='-O3'
while [ $# -gt 0 ]; do
  case $1 in
    --sanitize) mode=sanitize flags='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all' ;;
    --bench) mode=bench ;;
    -*) echo "native-tests: unknown option $1" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done

for candidate in ${CXX:-} c++ g++ clang++; do
  compiler=$candidate
  command -v "$compiler" >/dev/null && break
  compiler=
done
[ -n "$compiler" ] || { echo 'native-tests: found no C++ compiler; set CXX' >&2; exit 2; }

build=build/native-tests/$(basename "$compiler")-$mode
mkdir -p "$build"
echo '*' >build/native-tests/.gitignore
flags="-std=c++17 $flags -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -pthread ${CXXFLAGS:-}"

avx2='-mavx2 -mfma -mf16c'
avx512="$avx2 -mavx512f -mavx512bw -mavx512vl -mavx512dq"
case $("$compiler" -dumpmachine) in
  x86_64*) ;;
  *) avx2= avx512= ;;
esac

# Prints a line for each source: the object, the source, and its flags.
sources() {
  for source in native/kernel/*.cc; do
    case $source in
      *_avx2.cc) special=$avx2 ;;
      *_avx512.cc) special=$avx512 ;;
      *) special= ;;
    esac
    echo "$source -ffp-contract=off $special"
  done
  if [ $mode = bench ]; then
    echo native/test/bench.cc
  else
    ls native/buffers/*.cc
    ls native/test/*.cc | grep -v /bench.cc
  fi
}

sources | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I LINE sh -c '
  set -e
  build=$1 compiler=$2 flags=$3
  set -- LINE
  object=$build/$(basename "$1" .cc).o
  $compiler $flags "$@" -c -o "$object"' sh "$build" "$compiler" "$flags"

# The tests ask for more memory than there is.
export ASAN_OPTIONS=allocator_may_return_null=1
# shellcheck disable=SC2086 # flags are words
"$compiler" $flags "$build"/*.o -o "$build/run"
exec ${RUN:-} "$build/run" "$@"
