//! `realpath` for a C library that lacks it.
//!
//! The standard library refers to it from `fs::canonicalize`, which the ONNX runtime links and never
//! calls here: this component has no file system. wasi-libc has it in newer versions only; where
//! it does, this one takes its place.
#![expect(unsafe_code, reason = "a symbol for the linker has to be exported by its bare name")]

use std::ffi::c_char;

/// Says that no path can be resolved.
#[unsafe(no_mangle)]
extern "C" fn realpath(_path: *const c_char, _resolved: *mut c_char) -> *mut c_char {
    std::ptr::null_mut()
}
