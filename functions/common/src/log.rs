//! A line for the operator.

use std::fmt;
use std::io::Write as _;

/// Writes a line to standard error, which hosts put into their log. Unlike `eprintln!` it does not panic where nobody can take
/// it: that would end the instance, and the request with it.
#[macro_export]
macro_rules! log {
    ($($line:tt)*) => {
        $crate::log(::core::format_args!($($line)*))
    };
}

/// What [`log!`](crate::log!) calls.
pub fn log(line: fmt::Arguments<'_>) {
    // Who could be told that it failed?
    let _ = writeln!(std::io::stderr(), "{line}");
}
