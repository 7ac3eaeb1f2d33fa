//! The SQLite databases of a function.

use std::path::PathBuf;

use super::Failure;
use crate::component::SqliteDatabases;

/// Which databases a function may open.
#[derive(Debug, clap::Args)]
pub struct DatabaseArgs {
    /// The directory of the SQLite databases that the function may open; without it, it may open none
    #[arg(long, value_name = "DIRECTORY")]
    sqlite_directory: Option<PathBuf>,

    /// A database the function may open, the file NAME.db in that directory; may be given more than once; by default one,
    /// called default
    #[arg(long = "sqlite-database", value_name = "NAME", requires = "sqlite_directory")]
    sqlite_databases: Vec<String>,
}

impl DatabaseArgs {
    /// The databases; the directory is made, for this user only, where there is none.
    ///
    /// # Errors
    ///
    /// The directory cannot be made, or a name is none.
    pub fn load(self) -> Result<SqliteDatabases, Failure> {
        let Some(directory) = self.sqlite_directory else { return Ok(SqliteDatabases::default()) };
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&directory)
            .map_err(|error| Failure::input(format_args!("{}: {error}", directory.display())))?;
        SqliteDatabases::new(directory, &self.sqlite_databases).map_err(Failure::input)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_directory_is_for_its_owner_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("a/b");
        let arguments =
            DatabaseArgs { sqlite_directory: Some(directory.clone()), sqlite_databases: vec![] };
        arguments.load().unwrap();
        assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
