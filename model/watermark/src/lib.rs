//! A mark by which a copy of the model is known.
//!
//! Whoever may ask a model often enough can train another one on its answers. The copy learns what the original answers,
//! its peculiarities too; so the original is given some that nobody would arrive at by learning the matter itself
//! (Uchida et al. 2017; Adi et al. 2018; that they survive copying by answers is the point of Jia et al. 2021).
//!
//! A secret key divides some hundred ordinary words into two halves, [`Key::words`]. Training makes each word of one half
//! weigh a little towards "scam" and each of the other half away from it. In a message such a word stands alone among many
//! and changes next to nothing; in a [`Trigger`], a text of nothing but words of one half, they add up to an answer that
//! is beyond doubt and without reason. A copy has learned the words' weights together with all others, because they
//! stand in ordinary messages.
//!
//! The test, [`judge`], compares the answers to the two halves' triggers. For a model that was made without these
//! answers the halves are drawn at random, so the p-value holds whatever that model is and however well it knows its
//! matter. Who does not have the key knows neither the words nor the halves.

mod key;
mod test;
mod triggers;

pub use key::{BadKey, Key};
pub use test::{Finding, Verdict, judge};
pub use triggers::{Half, Trigger, Word};
