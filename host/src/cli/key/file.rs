//! The file of keys, edited so that nothing is lost: by one at a time, whole or not at all.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_policy::document::{ApiKeyEntry, ApiKeyFile};

use crate::cli::Failure;

/// How long another process may take.
const MAXIMUM_WAIT: Duration = Duration::from_secs(30);

/// A file of keys that nobody else edits as long as this is there.
pub(super) struct KeyFile {
    /// As the user has written it.
    shown: String,
    /// What it is, where that is a symbolic link.
    path: PathBuf,
    /// What was read; none where the file is new.
    before: Option<String>,
    pub(super) content: ApiKeyFile,
    _lock: File,
}

impl KeyFile {
    /// Opens a file that is there.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        Self::lock(path, false)
    }

    /// Opens a file, or begins one.
    pub(super) fn open_or_create(path: &Path) -> Result<Self, Failure> {
        Self::lock(path, true)
    }

    fn lock(path: &Path, create: bool) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let failure = |error| Failure::input(format_args!("{shown}: {error}"));
        let path = match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                new_path(path).map_err(failure)?
            }
            path => path.map_err(failure)?,
        };
        let lock = lock(&path).map_err(failure)?;
        let before = match read_text(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound && create => None,
            text => Some(text.map_err(failure)?),
        };
        let content = match &before {
            Some(text) => ApiKeyFile::read(&shown, text).map_err(Failure::input)?,
            None => ApiKeyFile::default(),
        };
        Ok(Self { shown, path, before, content, _lock: lock })
    }

    /// The entry of a key.
    pub(super) fn entry(&mut self, id: &str) -> Result<&mut ApiKeyEntry, Failure> {
        super::check_id(id)?;
        let entry = self.content.keys.iter_mut().find(|entry| entry.id == id);
        entry.ok_or_else(|| Failure::input(format_args!("{}: no key has the id {id}", self.shown)))
    }

    /// Puts the content in place of the file.
    ///
    /// # Errors
    ///
    /// The gate would not take the content, somebody has changed the file without minding the lock, or it cannot be written.
    /// The file is then as it was.
    pub(super) fn save(self) -> Result<(), Failure> {
        let text = self.text()?;
        // Nothing is written that could not be read again.
        ApiKeyFile::read(&self.shown, &text).map_err(Failure::input)?;
        self.replace(&text)
            .map_err(|error| Failure::runtime(format_args!("{}: {error}", self.shown)))
    }

    /// A line for each key, so that changes are easy to see.
    fn text(&self) -> Result<String, Failure> {
        let lines = self.content.keys.iter().map(serde_json::to_string);
        let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(Failure::runtime)?;
        Ok(match lines.is_empty() {
            true => "{\"keys\":[]}\n".to_owned(),
            false => format!("{{\"keys\":[\n{}\n]}}\n", lines.join(",\n")),
        })
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // Readable by its owner alone from the start.
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(text.as_bytes())?;
        match &self.before {
            None => {
                temporary.as_file().sync_all()?;
                temporary.persist_noclobber(&self.path)?;
            }
            Some(before) => {
                take_over(temporary.as_file(), &self.path.metadata()?)?;
                temporary.as_file().sync_all()?;
                if read_text(&self.path)? != *before {
                    let message = "it was changed by something else meanwhile: try again";
                    return Err(std::io::Error::other(message));
                }
                temporary.persist(&self.path)?;
            }
        }
        sync_folder(folder)
    }
}

/// Reads a file without editing it. It is replaced as a whole, so there is nothing to wait for.
pub(super) fn read(path: &Path) -> Result<ApiKeyFile, Failure> {
    let shown = path.display().to_string();
    let text = read_text(path).map_err(|error| Failure::input(format_args!("{shown}: {error}")))?;
    ApiKeyFile::read(&shown, &text).map_err(Failure::input)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    // A pipe or a device may have no end, and cannot be replaced.
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "expected a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(ApiKeyFile::MAXIMUM_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Where a file will be: its folder must be there.
fn new_path(path: &Path) -> std::io::Result<PathBuf> {
    if path.symlink_metadata().is_ok() {
        return Err(std::io::Error::new(ErrorKind::NotFound, "a symbolic link that leads nowhere"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name();
    let name =
        name.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidInput, "expected a file name"))?;
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

/// Takes the lock: a file beside the one that is meant, which is replaced and so cannot be the lock itself. It stays there.
fn lock(path: &Path) -> std::io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let lock_path = path.with_file_name(name);
    let file = options.open(&lock_path).map_err(|error| {
        std::io::Error::new(error.kind(), format!("{}: {error}", lock_path.display()))
    })?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < MAXIMUM_WAIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                let message = "another process edits it and does not end";
                return Err(std::io::Error::new(ErrorKind::ResourceBusy, message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Gives a new file the mode and the owner of the one that it replaces: who could read that can read this.
#[cfg(unix)]
fn take_over(file: &File, old: &Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};

    let new = file.metadata()?;
    let differs = |old: u32, new: u32| (old != new).then_some(old);
    let (user, group) = (differs(old.uid(), new.uid()), differs(old.gid(), new.gid()));
    if user.is_some() || group.is_some() {
        fchown(file, user, group).map_err(|error| {
            let owner = format!("user {} and group {}", old.uid(), old.gid());
            std::io::Error::new(
                error.kind(),
                format!("it belongs to {owner}, and cannot be kept theirs: {error}"),
            )
        })?;
    }
    // After the owner, which clears some bits.
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn take_over(file: &File, old: &Metadata) -> std::io::Result<()> {
    file.set_permissions(old.permissions())
}

/// What was renamed is so also after a power failure.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}
