//! Limits as a machine has them: several workers, one store, and time that is set.

mod exactness;
mod flood;
mod settlement;
mod world;
