//! Files: images, sound, documents and texts that are sent along.
//!
//! What a file is, is told by what is in it, and not by its name or by what is said of it; both must agree with it. A file is
//! walked from its first byte to its last by the structure of its format, and no picture is decoded: so there is no bomb
//! that goes off here, and time is linear. What the structure does not account for is either metadata, which is left
//! out, or refused: a file with something behind its end is two files.
//!
//! Crates that guess types (infer, tree_magic) go by the first bytes, which the second half of a polyglot has as it likes; and
//! decoders read over what they do not know. Both are right for their purpose, and wrong for this one.

mod active;
mod address;
mod exif;
mod gif;
mod jpeg;
mod kind;
mod malware;
mod mp3;
mod pdf;
mod png;
mod reader;
mod rules;
#[cfg(test)]
pub(crate) mod samples;
mod svg;
#[cfg(test)]
mod tests;
mod text;
mod wav;
mod webp;

pub(crate) use address::check_address;
pub use kind::FileType;
pub(crate) use malware::find_test_virus;
pub(crate) use rules::{Checked, File, FileRules, Unfit};
pub(crate) use text::{TextFile, TextForm};

/// What was expected of a file, and is not so.
type Fault = &'static str;

/// What stands behind the end of one file is another one.
const TRAILING: Fault = "nothing behind the end of the file";

const TRUNCATED: Fault = "a whole file";

/// How large a picture may be when it is decoded: the pixels of all of its frames.
#[derive(Debug, Clone, Copy)]
struct Canvas {
    left: u64,
    frame: u64,
}

impl Canvas {
    /// A canvas of this many pixels, if that is not too many.
    fn new(width: u32, height: u32, max_pixels: u64) -> Result<Self, Fault> {
        let frame = u64::from(width).saturating_mul(u64::from(height));
        match frame {
            0 => Err("a picture with pixels"),
            frame if frame > max_pixels => Err("fewer pixels"),
            frame => Ok(Self { left: max_pixels, frame }),
        }
    }

    /// One more frame, which takes as much as the canvas does.
    fn add_frame(&mut self) -> Result<(), Fault> {
        self.left = self.left.checked_sub(self.frame).ok_or("fewer pixels in all frames")?;
        Ok(())
    }
}
