# What node-gyp expects of a Node source tree's settings, for an addon that uses Node-API alone: with this folder
# as --nodedir and the headers of the package node-api-headers, nothing has to be downloaded.
{
  'target_defaults': {
    'default_configuration': 'Release',
    'configurations': {'Release': {}, 'Debug': {'cflags': ['-g', '-O0']}},
    'conditions': [
      ['OS!="win"', {
        'cflags': ['-fPIC', '-O3', '-fvisibility=hidden'],
        'cflags_cc': ['-std=c++17', '-Wall', '-Wextra', '-Wno-unused-parameter'],
        'ldflags': ['-pthread'],
      }],
      ['OS=="mac"', {
        'xcode_settings': {
          'GCC_OPTIMIZATION_LEVEL': '3',
          'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
          'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
          'MACOSX_DEPLOYMENT_TARGET': '11.0',
        },
      }],
    ],
  },
}
