use std::time::Instant;

use super::*;

struct Folder {
    folder: tempfile::TempDir,
    databases: SqliteDatabases,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let databases = SqliteDatabases::new(folder.path().to_owned(), &[]).unwrap();
        Self { folder, databases }
    }

    async fn open(&self) -> Database {
        Database::open(self.databases.file("default").unwrap()).await.unwrap()
    }
}

async fn run(database: &Database, statement: &str) -> Result<Vec<Vec<Value>>, DatabaseError> {
    database.execute(statement.to_owned(), vec![]).await.map(|answer| answer.rows)
}

#[test]
fn only_given_names_are_databases() {
    let folder = PathBuf::from("data");
    assert_eq!(SqliteDatabases::default().file("default"), None);
    let default = SqliteDatabases::new(folder.clone(), &[]).unwrap();
    assert_eq!(default.file("default"), Some(folder.join("default.db")));
    assert_eq!(default.file("other"), None);
    let two = SqliteDatabases::new(folder.clone(), &["a-1".into(), "b".into()]).unwrap();
    assert_eq!(two.file("b"), Some(folder.join("b.db")));
    assert_eq!(two.file("default"), None);
    for name in ["", "..", "a/b", "A", "a.db", &"a".repeat(65)] {
        let refused = SqliteDatabases::new(folder.clone(), &[name.to_owned()]);
        assert_eq!(refused.unwrap_err(), InvalidDatabase(name.to_owned()));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_database_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let (one, other) = tokio::join!(folder.open(), folder.open());
    run(&one, "CREATE TABLE t (a)").await.unwrap();
    run(&other, "INSERT INTO t VALUES (1)").await.unwrap();
    let mut count = 0;
    for file in std::fs::read_dir(folder.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        count += 1;
    }
    assert!(count >= 1);
}

#[tokio::test]
async fn values_come_back_as_they_were() {
    let folder = Folder::new();
    let database = folder.open().await;
    run(&database, "CREATE TABLE t (a, b, c, d, e)").await.unwrap();
    let values = vec![
        Value::Integer(i64::MIN),
        Value::Real(0.5),
        Value::Text("é".into()),
        Value::Blob(vec![0, 255]),
        Value::Null,
    ];
    let insert = "INSERT INTO t VALUES (?, ?, ?, ?, ?)".to_owned();
    database.execute(insert, values.clone()).await.unwrap();
    assert_eq!((database.changes().await, database.last_insert_rowid().await), (1, 1));
    // Another connection, so the file has it.
    let other = folder.open().await;
    let answer = other.execute("SELECT * FROM t".to_owned(), vec![]).await.unwrap();
    assert_eq!((answer.columns.join(""), answer.rows), ("abcde".to_owned(), vec![values]));
    assert!(run(&database, "SELEC").await.is_err());
    assert!(run(&database, "SELECT ?").await.is_err(), "a parameter is missing");
}

#[tokio::test]
async fn no_other_file_is_reached_and_nothing_is_set_that_bounds() {
    let folder = Folder::new();
    let database = folder.open().await;
    run(&database, "CREATE TABLE t (a)").await.unwrap();
    let elsewhere = folder.folder.path().join("elsewhere.db");
    for statement in [
        &*format!("ATTACH DATABASE '{}' AS other", elsewhere.display()),
        &format!("VACUUM INTO '{}'", elsewhere.display()),
        "PRAGMA temp_store_directory = '/tmp'",
        "PRAGMA max_page_count = 1000000000",
        "PRAGMA writable_schema = ON",
        "PRAGMA mmap_size = 1000000000",
        "PRAGMA busy_timeout = 1000000",
        "SELECT load_extension('x')",
    ] {
        assert!(run(&database, statement).await.is_err(), "{statement}");
    }
    assert!(!elsewhere.exists());
    assert_eq!(run(&database, "PRAGMA journal_mode = WAL").await.unwrap().len(), 1);
}

#[tokio::test]
async fn sizes_are_bounded() {
    let folder = Folder::new();
    let database = folder.open().await;
    assert!(run(&database, &format!("SELECT 1 -- {}", "x".repeat(MAX_STATEMENT))).await.is_err());
    let value = vec![Value::Blob(vec![0; MAX_VALUE])];
    assert!(database.execute("SELECT ?".to_owned(), value).await.is_err());
    assert!(run(&database, "SELECT zeroblob(2000000)").await.is_err());
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let error = run(&database, numbers).await.unwrap_err();
    assert!(error.to_string().contains("at most"), "{error}");
}

#[tokio::test]
async fn a_full_database_is_told() {
    let folder = Folder::new();
    let database = folder.open().await;
    {
        // As it would be after a gibibyte.
        let mut connection = database.0.lock().await;
        connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).unwrap();
        connection.query_row("PRAGMA max_page_count = 10", [], |_| Ok(())).unwrap();
    }
    run(&database, "CREATE TABLE t (a)").await.unwrap();
    let insert = "INSERT INTO t VALUES (zeroblob(100000))";
    assert_eq!(run(&database, insert).await.unwrap_err(), DatabaseError::Full);
}

#[tokio::test(flavor = "current_thread")]
async fn a_statement_that_goes_on_for_ever_ends_and_stops_nobody() {
    const FOREVER: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n";
    let folder = Folder::new();
    let database = folder.open().await;
    let begun = Instant::now();
    let (endless, waited) = tokio::join!(run(&database, FOREVER), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        begun.elapsed()
    });
    assert!(endless.unwrap_err().to_string().contains("too long"));
    assert!(waited < STATEMENT_TIMEOUT / 2, "{waited:?}");
    // Whoever goes away takes it along: the connection is free again.
    let gone = tokio::time::timeout(Duration::from_millis(50), run(&database, FOREVER)).await;
    assert!(gone.is_err());
    assert_eq!(run(&database, "SELECT 1").await.unwrap(), [[Value::Integer(1)]]);
}

#[tokio::test]
async fn who_goes_away_within_a_transaction_has_written_nothing() {
    let folder = Folder::new();
    let (first, second) = (folder.open().await, folder.open().await);
    run(&first, "PRAGMA journal_mode = WAL").await.unwrap();
    run(&first, "CREATE TABLE t (a)").await.unwrap();
    run(&first, "BEGIN IMMEDIATE").await.unwrap();
    run(&first, "INSERT INTO t VALUES (1)").await.unwrap();
    let waiting = tokio::spawn(async move {
        run(&second, "BEGIN IMMEDIATE").await?;
        run(&second, "SELECT * FROM t").await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.close();
    assert_eq!(waiting.await.unwrap().unwrap(), Vec::<Vec<Value>>::new());
}
