//! The `input.files` section.

use serde::{Deserialize, Serialize};

use super::Reaction;
use crate::files::FileType;

/// Files that may be sent along: as parts of multipart forms, and in JSON as data URLs or in base64, where the APIs of the large
/// providers have them (`image_url`, `input_audio`, `file_data`, `source.data`, `inlineData`, `images`).
///
/// What a file is, is told by what is in it, and what is said of it must be so. Each is walked to its end, and nothing may follow. The
/// strings of texts are screened as prose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct FilesSection {
    /// What types they may be of. Default: PNG, JPEG, GIF and WebP. Nothing in a text tells of which type it is: there what is said of it
    /// decides, and it is held to that.
    pub types: Vec<FileType>,
    /// The longest file, in bytes, when it is not in base64. Default 1 MiB, which is the longest body.
    pub max_bytes: u32,
    /// The most pixels of a picture: width times height times frames. Default 33554432. Nothing is decoded here, but
    /// somewhere it will be.
    pub max_pixels: u32,
    /// The most files and addresses of files in one request. Default 16.
    pub max_count: u32,
    /// What pictures and sound say beside what they show: where they were made, when, by whom. Default: strip.
    pub metadata: Metadata,
    /// SHA-256 digests of files that are refused, in hexadecimal.
    pub known_bad: Vec<String>,
    /// Addresses in place of files, which the upstream would fetch. With `allow` and `flag` those of one's own network, of metadata
    /// services and with a number for a host are refused all the same. Default: refuse.
    pub addresses: Reaction,
    /// More strings that are files: JSON pointers (RFC 6901) in which `*` stands for any member or item,
    /// and `**`, once at most, for any number of them.
    pub places: Vec<String>,
}

impl Default for FilesSection {
    fn default() -> Self {
        Self {
            types: FileType::USUAL.to_vec(),
            max_bytes: 1024 * 1024,
            max_pixels: 1 << 25,
            max_count: 16,
            metadata: Metadata::Strip,
            known_bad: Vec::new(),
            addresses: Reaction::Refuse,
            places: Vec::new(),
        }
    }
}

/// What happens to metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metadata {
    /// It is taken out; of Exif it stays which way is up.
    Strip,
    /// It stays.
    Keep,
}
