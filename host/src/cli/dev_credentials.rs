//! `portcullis dev-credentials`: certificates, an issuer's keys and secrets for a laptop.

use std::path::{Path, PathBuf};

use super::{Failure, random};

mod issuer;
mod secrets;
mod tls;

/// Make the certificates, keys and secrets that a gate on a laptop needs
///
/// Files that are there already are checked and kept; nothing is ever overwritten. Not for
/// production: there, a real issuer, a real certificate authority and a secret store have these.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory to put them into; it is made, for this user only, if it does not exist
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl Args {
    /// Checks what is there, then makes what is missing.
    ///
    /// # Errors
    ///
    /// A file that is there is not usable, or one cannot be written. In the first case nothing
    /// has been written.
    pub fn run(self) -> Result<(), Failure> {
        for report in create(&self.dir)? {
            println!("{report}");
        }
        Ok(())
    }
}

/// Makes what is missing in `directory`, and tells per file what was done.
///
/// # Errors
///
/// As for [`Args::run`].
pub fn create(directory: &Path) -> Result<Vec<String>, Failure> {
    create_directory(directory)?;
    let groups: [Group; 3] = [tls::GROUP, issuer::GROUP, secrets::GROUP];
    // All checks come before the first write.
    let mut missing = Vec::new();
    for group in &groups {
        missing.push(group.is_missing(directory)?);
    }

    let mut reports = Vec::new();
    for (group, missing) in groups.iter().zip(missing) {
        if missing {
            for file in (group.make)()? {
                write(&directory.join(file.name), &file)?;
            }
        }
        let done = if missing { "created" } else { "kept" };
        for name in group.files {
            reports.push(format!("{done:7} {}", directory.join(name).display()));
        }
    }
    Ok(reports)
}

/// Files that belong together: all of them exist, or none.
struct Group {
    files: &'static [&'static str],
    make: fn() -> Result<Vec<NewFile>, Failure>,
    check: fn(&Path) -> Result<(), Failure>,
}

impl Group {
    fn is_missing(&self, directory: &Path) -> Result<bool, Failure> {
        let exists = |name: &&&str| directory.join(name).symlink_metadata().is_ok();
        let (there, gone): (Vec<&&str>, Vec<&&str>) =
            self.files.iter().partition(|name| exists(name));
        match (there.first(), gone.first()) {
            (None, _) => Ok(true),
            (Some(_), None) => (self.check)(directory).map(|()| false),
            (Some(there), Some(gone)) => Err(Failure::input(format_args!(
                "{}: missing, while {there} exists beside it: restore it, or remove {there} to \
                 have all of {} made anew",
                directory.join(gone).display(),
                self.files.join(", "),
            ))),
        }
    }
}

struct NewFile {
    name: &'static str,
    content: zeroize::Zeroizing<String>,
    secret: bool,
}

fn create_directory(directory: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| Failure::input(format_args!("--dir {}: {error}", directory.display())))
}

/// Writes a file that does not exist yet: whole or not at all.
fn write(path: &Path, file: &NewFile) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        use std::io::Write as _;

        let directory = path.parent().unwrap_or(Path::new("."));
        // Readable by its owner alone from the start.
        let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
        temporary.write_all(file.content.as_bytes())?;
        #[cfg(unix)]
        if !file.secret {
            use std::os::unix::fs::PermissionsExt as _;

            let public = std::fs::Permissions::from_mode(0o644);
            temporary.as_file().set_permissions(public)?;
        }
        temporary.as_file().sync_all()?;
        temporary.persist_noclobber(path)?;
        Ok(())
    };
    write().map_err(|error| Failure::runtime(format_args!("{}: {error}", path.display())))
}

/// Reads a file that was made earlier.
fn read(path: &Path) -> Result<zeroize::Zeroizing<String>, Failure> {
    const LIMIT: u64 = 64 << 10;
    use std::io::Read as _;

    let mut text = zeroize::Zeroizing::new(String::new());
    let result =
        std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
    match result {
        Ok(_) => Ok(text),
        Err(error) => Err(unusable(path, error)),
    }
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> Failure {
    Failure::input(format_args!(
        "{}: {reason} (the file was left as it is; remove it to have it made anew)",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 6] = [
        "ca.pem",
        "server.pem",
        "server.key",
        "issuer.jwk.json",
        "issuer.jwks.json",
        "secrets.env",
    ];

    fn contents(directory: &Path) -> Vec<Vec<u8>> {
        FILES.iter().map(|name| std::fs::read(directory.join(name)).unwrap()).collect()
    }

    #[test]
    fn the_second_run_changes_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("credentials");
        let reports = create(&directory).unwrap();
        assert!(reports.iter().all(|report| report.starts_with("created")), "{reports:?}");
        let before = contents(&directory);
        let reports = create(&directory).unwrap();
        assert!(reports.iter().all(|report| report.starts_with("kept")), "{reports:?}");
        assert_eq!(before, contents(&directory));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), FILES.len());
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("credentials");
        create(&directory).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        for name in ["server.key", "issuer.jwk.json", "secrets.env"] {
            assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn an_unusable_file_is_an_error_and_nothing_is_written() {
        for name in FILES {
            let temporary = tempfile::tempdir().unwrap();
            let directory = temporary.path();
            create(directory).unwrap();
            std::fs::write(directory.join(name), "junk").unwrap();
            let before = contents(directory);
            let failure = create(directory).unwrap_err();
            assert_eq!(failure.code, 2);
            assert!(failure.message.contains(name), "{name}: {}", failure.message);
            assert!(!failure.message.contains("junk"), "{name}: {}", failure.message);
            assert_eq!(before, contents(directory), "{name}");
        }
    }

    #[test]
    fn half_a_pair_is_an_error_and_nothing_is_written() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join("server.key"), "mine").unwrap();
        let failure = create(temporary.path()).unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.message.contains("ca.pem: missing"), "{}", failure.message);
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 1);
    }

    #[test]
    fn keys_of_another_pair_are_noticed() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        create(one.path()).unwrap();
        create(other.path()).unwrap();
        for name in ["server.key", "issuer.jwks.json", "ca.pem"] {
            let own = std::fs::read(one.path().join(name)).unwrap();
            std::fs::copy(other.path().join(name), one.path().join(name)).unwrap();
            assert!(create(one.path()).is_err(), "{name}");
            std::fs::write(one.path().join(name), own).unwrap();
        }
        create(one.path()).unwrap();
    }
}
