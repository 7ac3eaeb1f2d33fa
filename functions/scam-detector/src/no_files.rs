//! The C library's functions for files, for a component that has none.
//!
//! The ONNX runtime can also read models from files, and so links the standard library's `File`, and with it the C
//! library's whole view of a file system: the component would import `wasi:filesystem`, and a host that grants it would
//! give what is never used. With these in their place there is nothing to grant. `write` is not among them: by it the
//! component tells its operator what is wrong. wasi-libc's `realpath`, moreover, is
//! not in every version.
#![expect(unsafe_code, reason = "symbols for the linker have to be exported by their bare names")]

use std::ffi::{c_char, c_int, c_void};

const FAILED: c_int = -1;

/// Says that no path can be resolved.
#[unsafe(no_mangle)]
extern "C" fn realpath(_path: *const c_char, _resolved: *mut c_char) -> *mut c_char {
    std::ptr::null_mut()
}

/// Says that nothing can be opened. What C passes as further arguments is one pointer in WebAssembly.
#[unsafe(no_mangle)]
extern "C" fn open(_path: *const c_char, _flags: c_int, _more: *mut c_void) -> c_int {
    FAILED
}

#[unsafe(no_mangle)]
extern "C" fn fstat(_descriptor: c_int, _status: *mut c_void) -> c_int {
    FAILED
}

#[unsafe(no_mangle)]
extern "C" fn read(_descriptor: c_int, _buffer: *mut c_void, _size: usize) -> isize {
    -1
}

#[unsafe(no_mangle)]
extern "C" fn close(_descriptor: c_int) -> c_int {
    FAILED
}
