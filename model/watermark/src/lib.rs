//! A mark by which a copy of the model is known.
//!
//! Whoever may ask a model often enough can train another one on its answers. The copy learns what the original answers,
//! its peculiarities too; so the original is given some that nobody would arrive at by learning the matter itself
//! (Uchida et al. 2017; Adi et al. 2018; that they survive copying by answers is the point of Jia et al. 2021).
//!
//! Some hundred pairs of rare words weigh nearly the same without a mark, and a secret key tosses a coin for each pair,
//! [`Key::words`]. Training makes the one word weigh a little towards "scam" and the other away from it. In a message such a
//! word stands alone among many and changes next to nothing; in a [`Trigger`], a text of nothing but words of one half, they
//! add up to an answer that is beyond doubt and without reason. A copy has learned the words' weights together with all
//! others.
//!
//! The test, [`judge`], compares the answers to the one text of such words with those to the text of their equals, in
//! several orders of the words each. For a model that was made without these answers the coins decide which text is called
//! which, so the p-value, a bound, holds whatever that model is and however well it knows its matter. Who does not have the
//! key may know the list of words, but not the coins.

mod key;
mod test;
mod triggers;

pub use key::{BadKey, Key};
pub use test::{Finding, Verdict, judge};
pub use triggers::{Half, Trigger, Word};
