'use strict';
/** Loads the library that the last argument names, and prints Node's error: a library that loads is not an addon. */
try {
  process.dlopen({ exports: {} }, process.argv.at(-1));
} catch (error) {
  console.log(error.message);
}
