//! Compiled WebAssembly, kept on disk so that the second start is fast.

use std::path::{Path, PathBuf};

use wasmtime::{Cache, CacheConfig};

/// Where compiled code is kept.
#[derive(Clone, Debug, Default)]
pub enum CompileCache {
    /// In `portcullis` in the user's cache directory: `$XDG_CACHE_HOME`, or `~/.cache`. Without
    /// either, nothing is kept.
    #[default]
    User,
    /// In a directory of the caller's choice. What is in it is run as native code: nobody else
    /// may write to it.
    Directory(PathBuf),
    /// Nowhere: every start compiles.
    Off,
}

/// The most that the cache may take on disk before its oldest entries go.
const MAX_SIZE: u64 = 1 << 30;

impl CompileCache {
    /// Opens the cache. It only saves time, so where it cannot be had, or is not safe to use,
    /// there is none.
    pub(crate) fn open(&self) -> Option<Cache> {
        let directory = match self {
            Self::User => user_directory()?,
            Self::Directory(directory) => directory.clone(),
            Self::Off => return None,
        };
        create_private(&directory).ok()?;
        if !is_private(&directory) {
            return None;
        }
        let mut config = CacheConfig::new();
        config.with_directory(directory.canonicalize().ok()?);
        config.with_files_total_size_soft_limit(MAX_SIZE);
        Cache::new(config).ok()
    }
}

fn user_directory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|h| h.join(".cache")))?;
    Some(base.join("portcullis"))
}

#[cfg(unix)]
fn create_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)
}

/// Whether only this user can have put anything there: cached code is run without question.
#[cfg(unix)]
fn is_private(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    std::fs::metadata(directory).is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o022 == 0
    })
}

#[cfg(not(unix))]
fn is_private(_directory: &Path) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let cache = CompileCache::Directory(directory.path().to_owned());
        assert!(cache.open().is_some());
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(cache.open().is_none());
    }
}
