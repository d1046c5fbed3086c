# The addon, built by install.mjs. Each instruction set is a library of its own, because only its one file may be
# compiled for it; the kernel picks one at run time.
{
  'variables': {
    # The kernel's arithmetic must not be contracted behind its back: its results are the same everywhere.
    'kernel_flags': ['-ffp-contract=off'],
    'avx2_flags': ['-mavx2', '-mfma', '-mf16c'],
    'avx512_flags': ['-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq'],
  },
  'targets': [
    {
      'target_name': 'kernel',
      'type': 'static_library',
      'sources': [
        'kernel/blocked_rows.cc',
        'kernel/group_norm.cc',
        'kernel/instruction_set.cc',
        'kernel/kernel_portable.cc',
        'kernel/rows.cc',
        'kernel/schedule.cc',
        'kernel/wide.cc',
      ],
      'cflags_cc': ['<@(kernel_flags)'],
      'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(kernel_flags)']},
    },
    {
      'target_name': 'kernel_avx2',
      'type': 'static_library',
      'sources': ['kernel/kernel_avx2.cc'],
      'conditions': [['target_arch=="x64"', {
        'cflags_cc': ['<@(kernel_flags)', '<@(avx2_flags)'],
        'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(kernel_flags)', '<@(avx2_flags)']},
      }]],
    },
    {
      'target_name': 'kernel_avx512',
      'type': 'static_library',
      'sources': ['kernel/kernel_avx512.cc'],
      'conditions': [['target_arch=="x64"', {
        'cflags_cc': ['<@(kernel_flags)', '<@(avx2_flags)', '<@(avx512_flags)'],
        'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(kernel_flags)', '<@(avx2_flags)', '<@(avx512_flags)']},
      }]],
    },
    {
      'target_name': 'onnx_groupnorm',
      'sources': [
        'addon/addon.cc',
        'addon/array_memory.cc',
        'addon/load_worker.cc',
        'addon/run_worker.cc',
        'addon/session_object.cc',
        'addon/values.cc',
        'buffers/buffer_pool.cc',
        'buffers/leases.cc',
        'onnxruntime/blocked_group_norm_op.cc',
        'onnxruntime/broadcast.cc',
        'onnxruntime/group_norm_ops.cc',
        'onnxruntime/library.cc',
        'onnxruntime/model_session.cc',
        'onnxruntime/op_support.cc',
        'onnxruntime/platform.cc',
        'onnxruntime/pool_allocator.cc',
      ],
      'include_dirs': [
        "<!(node -p \"path.relative('', require('node-api-headers').include_dir)\")",
        "<!(node -p \"path.relative('', require('node-addon-api').include_dir)\")",
      ],
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_CPP_EXCEPTIONS',
        'NODE_ADDON_API_CPP_EXCEPTIONS_ALL',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'dependencies': ['kernel', 'kernel_avx2', 'kernel_avx512'],
      'conditions': [['OS=="linux"', {'libraries': ['-ldl']}]],
    },
  ],
}
