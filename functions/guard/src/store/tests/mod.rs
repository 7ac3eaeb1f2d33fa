//! The same requests for the policy's own limits, for the Lua in a real Redis and for the SQL in a real SQLite.

mod bounds;
pub(crate) mod connections;
mod equality;
mod failures;
mod outcomes;
mod reference;
mod speed;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The connections of the tests answer at once.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("a connection of the tests has waited"),
    }
}

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// A digest that is another one for each number.
fn digest(number: u128) -> [u8; 16] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}
