//! Tokens that are bound to who may use them (RFC 8705, RFC 9449), in whole exchanges.

mod certificate;
mod gate;
mod proof;
mod replay;
