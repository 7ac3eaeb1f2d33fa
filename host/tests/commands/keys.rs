//! `portcullis key`: the file of keys and what becomes of it.

use portcullis_policy::document::ApiKeyFile;
use serde_json::Value;

use super::{Desk, Ended};

const SECRETS: [&str; 2] = ["--secrets", "secrets.env"];

impl Desk {
    fn key(&self, arguments: &[&str]) -> Ended {
        let pepper: &[&str] = match arguments[0] {
            "new" | "rotate" => &SECRETS,
            _ => &[],
        };
        self.run(&[&["key"], arguments, &["--file", "keys.json"], pepper].concat(), "")
    }

    fn key_ok(&self, arguments: &[&str]) -> String {
        let ended = self.key(arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// The message of a command that is refused, and leaves the file as it was.
    fn key_refused(&self, arguments: &[&str]) -> String {
        let before = std::fs::read(self.path("keys.json")).ok();
        let ended = self.key(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.stderr);
        assert_eq!(std::fs::read(self.path("keys.json")).ok(), before, "{arguments:?}");
        assert!(!ended.stderr.contains("CQkJ"), "{}", ended.stderr);
        ended.stderr
    }

    fn keys(&self) -> ApiKeyFile {
        let text = std::fs::read_to_string(self.path("keys.json")).unwrap();
        ApiKeyFile::read("keys.json", &text).unwrap()
    }

    /// What the gate says to a key.
    fn decision(&self, key: &str) -> Value {
        let request = serde_json::json!({"id": 1, "method": "GET", "path": "/v1/model", "time": now(),
            "source": "192.0.2.1", "headers": [["host", "a"], ["x-api-key", key.trim()]]});
        let ended = self.replay(&[], &request.to_string());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }

    fn with_key_file(self) -> Self {
        let policy = std::fs::read_to_string(self.path("policy.yaml")).unwrap();
        self.write("policy.yaml", &policy.replace("    keys: []\n", "    file: keys.json\n"));
        self
    }
}

fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    now.format(&time::format_description::well_known::Rfc3339).unwrap()
}

fn id(key: &str) -> String {
    key.split('_').nth(1).unwrap().to_owned()
}

#[test]
fn a_key_lives_from_new_to_revoked() {
    let desk = Desk::new().with_key_file();
    let printed = desk.key(&["new", "--owner", "batch", "--role", "caller", "--tenant", "acme"]);
    let key = printed.stdout;
    assert!(key.starts_with("pcl_") && key.lines().count() == 1, "{key}");
    assert!(!printed.stderr.contains(key.trim()));
    let secret = key.trim().rsplit('_').next().unwrap().to_owned();
    assert!(!std::fs::read_to_string(desk.path("keys.json")).unwrap().contains(&secret));
    assert_eq!(desk.decision(&key)["decision"], "allow");

    // Both are good for a while, then the new one alone.
    let rotated = desk.key_ok(&["rotate", &id(&key), "--overlap", "1h"]);
    assert_eq!(desk.decision(&key)["decision"], "allow");
    assert_eq!(desk.decision(&rotated)["decision"], "allow");
    let again = desk.key_ok(&["rotate", &id(&rotated), "--overlap", "0s"]);
    assert_eq!(desk.decision(&rotated)["reason"], "api-key-expired");
    assert_eq!(desk.decision(&again)["decision"], "allow");
    let entries = desk.keys().keys;
    assert_eq!(entries.len(), 3);
    assert!(
        entries
            .iter()
            .all(|entry| entry.tenant.as_deref() == Some("acme") && entry.roles == ["caller"])
    );

    let ended = desk.key(&["revoke", &id(&again), &id(&key)]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for key in [&again, &key] {
        assert_eq!(desk.decision(key)["reason"], "api-key-revoked");
    }
    assert!(desk.key(&["revoke", &id(&key)]).stderr.contains("was revoked"));
    let list = desk.key_ok(&["list"]);
    assert!(list.starts_with("ID ") && list.matches(" revoked\n").count() == 2, "{list}");
    assert!(!list.contains("hmac") && list.contains(" expired\n"), "{list}");
    let message = desk.key_refused(&["new", "--owner", "a", "--id", &id(&key)]);
    assert!(message.contains("also no revoked one"), "{message}");
}

#[test]
fn what_a_key_gives_and_when_it_is_good_is_written_down() {
    let desk = Desk::new();
    let arguments = [
        "new",
        "--id",
        "batch1",
        "--owner",
        "batch",
        "--tenant",
        "acme",
        "--role",
        "a",
        "--role",
        "b",
        "--scope",
        "s",
        "--plan",
        "gold",
        "--not-before",
        "1h",
        "--expires",
        "2100-01-01T01:00:00+01:00",
        "--network",
        "10.0.0.0/8",
        "--network",
        "2001:db8::/32",
        "--route",
        "predict",
    ];
    desk.key_ok(&arguments);
    desk.key_ok(&["new", "--id", "batch2", "--owner", "b", "--expires", "90d"]);
    let list: Value = serde_json::from_str(&desk.key_ok(&["list", "--format", "json"])).unwrap();
    let first = &list["keys"][0];
    assert!(first["not_before"].is_string());
    assert_eq!(first["digest"], Value::Null);
    for (name, expected) in [
        ("id", r#""batch1""#),
        ("tenant", r#""acme""#),
        ("roles", r#"["a","b"]"#),
        ("scopes", r#"["s"]"#),
        ("plan", r#""gold""#),
        ("expires", r#""2100-01-01T00:00:00Z""#),
        ("networks", r#"["10.0.0.0/8","2001:db8::/32"]"#),
        ("routes", r#"["predict"]"#),
        ("state", r#""not yet""#),
    ] {
        assert_eq!(first[name].to_string(), expected, "{name}");
    }
    assert_eq!(list["keys"][1]["state"], "active");

    // The same without a file is an entry for the policy.
    let printed = desk.ok(&[&["key"], &arguments[..], &SECRETS].concat());
    let (_, entry) = printed.split_once('\n').unwrap();
    let entry: String = entry.lines().map(|line| format!("      {line}\n")).collect();
    let policy = std::fs::read_to_string(desk.path("policy.yaml")).unwrap();
    desk.write("policy.yaml", &policy.replace("    keys: []\n", &format!("    keys:\n{entry}")));
    desk.ok(&["check", "policy.yaml"]);
}

#[test]
fn a_rotation_never_prolongs_the_old_key() {
    let desk = Desk::new();
    desk.key_ok(&["new", "--id", "soon", "--owner", "a", "--expires", "1h"]);
    let before = desk.keys().keys[0].expires.clone();
    desk.key_ok(&["rotate", "soon", "--new-id", "next", "--overlap", "7d", "--expires", "30d"]);
    let entries = desk.keys().keys;
    assert_eq!((entries[0].id.as_str(), &entries[0].expires), ("soon", &before));
    assert_eq!(entries[1].id, "next");
    assert_ne!(entries[1].expires, before);
    assert_ne!(entries[1].digest, entries[0].digest);

    desk.key_ok(&["new", "--id", "later", "--owner", "a", "--not-before", "1h"]);
    desk.key_ok(&["new", "--id", "gone", "--owner", "a"]);
    desk.key_ok(&["revoke", "gone"]);
    for (id, expected) in
        [("later", "not good yet"), ("gone", "revoked"), ("none", "no key has the id none")]
    {
        let message = desk.key_refused(&["rotate", id]);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn bad_arguments_change_nothing_and_repeat_no_secret() {
    let desk = Desk::new();
    desk.key_ok(&["new", "--id", "batch1", "--owner", "a"]);
    let whole = format!("pcl_batch1_{}k", "CQkJ".repeat(10) + "CQ");
    for (arguments, expected) in [
        (vec!["new", "--owner", ""], "owner: expected 1 to 256 bytes"),
        (vec!["new", "--owner", "a", "--id", "B"], "id: expected 4 to 32"),
        (vec!["new", "--owner", "a", "--id", "batch1"], "id batch1: expected an id that no key"),
        (vec!["new", "--owner", "a", "--id", &whole], "expected the id alone"),
        (vec!["new", "--owner", "a", "--scope", "a b"], "scopes[0]: expected one scope"),
        (vec!["new", "--owner", "a", "--expires", "soon"], "expected a date and time"),
        (vec!["new", "--owner", "a", "--expires", "2020-01-01T00:00:00Z"], "still to come"),
        (
            vec!["new", "--owner", "a", "--expires", "1h", "--not-before", "2h"],
            "expires: expected a time after",
        ),
        (vec!["new", "--owner", "a", "--network", "10.0.0.0/33"], "invalid"),
        (vec!["rotate", "batch1", "--overlap", "1y"], "expected a span"),
        (vec!["rotate", &whole], "expected the id alone"),
        (vec!["revoke", &whole], "expected the id alone"),
        (vec!["revoke", "batch1", "batch2"], "no key has the id batch2"),
        (vec!["revoke"], "required"),
    ] {
        let message = desk.key_refused(&arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn a_file_that_is_not_right_is_left_alone() {
    let desk = Desk::new().with_key_file();
    for command in [&["list"][..], &["revoke", "a"], &["rotate", "a"]] {
        assert!(desk.key_refused(command).contains("keys.json: No such file"));
    }
    desk.key_ok(&["new", "--id", "batch1", "--owner", "a", "--role", "caller"]);
    let good = std::fs::read_to_string(desk.path("keys.json")).unwrap();
    for (text, expected) in [
        (String::new(), "keys.json:1:0: EOF"),
        (good.replace("\"owner\"", "\"onwer\""), "keys.json:2:"),
        (
            good.replace("}\n]", ",\n\"expires\":\"soon\"}\n]"),
            "keys.json:3:1: keys[0].expires: expected",
        ),
        (format!("{good}x"), "trailing characters"),
    ] {
        desk.write("keys.json", &text);
        for command in [&["list"][..], &["revoke", "batch1"], &["new", "--owner", "a"]] {
            let message = desk.key_refused(command);
            assert!(message.contains(expected), "{message}");
        }
        let ended = desk.run(&["check", "policy.yaml"], "");
        let place = "policy.yaml:26:5: identity.api_keys.file: keys.json";
        assert!(ended.code == 2 && ended.stderr.contains(place), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
    desk.write("keys.json", &good.replace("}\n]", ",\n\"routes\":[\"predict\",\"predic\"]}\n]"));
    let ended = desk.run(&["check", "policy.yaml"], "");
    assert!(
        ended.stderr.contains("keys.json:3:21: keys[0].routes[1]: expected the name of a route"),
        "{}",
        ended.stderr
    );
}

#[test]
fn of_eight_who_edit_at_once_none_loses_a_key() {
    let desk = Desk::new();
    let keys: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let desk = &desk;
                let owner = format!("worker{worker}");
                scope.spawn(move || {
                    (0..3).map(|_| desk.key_ok(&["new", "--owner", &owner])).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut there: Vec<String> = desk.keys().keys.into_iter().map(|entry| entry.id).collect();
    let mut made: Vec<String> = keys.iter().map(|key| id(key)).collect();
    there.sort();
    made.sort();
    assert_eq!((there.len(), there), (24, made));
    let left = std::fs::read_dir(desk.folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp"));
    assert_eq!(left.count(), 0);
}

#[cfg(unix)]
#[test]
fn a_file_stays_as_open_as_it_was() {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let desk = Desk::new();
    let mode =
        |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    desk.key_ok(&["new", "--owner", "a"]);
    assert_eq!((mode("keys.json"), mode("keys.json.lock")), (0o600, 0o600));
    std::fs::set_permissions(desk.path("keys.json"), Permissions::from_mode(0o640)).unwrap();
    desk.key_ok(&["new", "--owner", "b"]);
    assert_eq!(mode("keys.json"), 0o640);

    // A symbolic link stays one.
    std::fs::create_dir(desk.path("data")).unwrap();
    std::fs::rename(desk.path("keys.json"), desk.path("data/keys.json")).unwrap();
    symlink("data/keys.json", desk.path("keys.json")).unwrap();
    desk.key_ok(&["new", "--owner", "c"]);
    assert!(desk.path("keys.json").symlink_metadata().unwrap().is_symlink());
    assert_eq!(desk.keys().keys.len(), 3);
    std::fs::remove_file(desk.path("data/keys.json")).unwrap();
    assert!(desk.key_refused(&["new", "--owner", "d"]).contains("leads nowhere"));
    std::fs::remove_file(desk.path("keys.json")).unwrap();
    std::fs::create_dir(desk.path("keys.json")).unwrap();
    let ended = desk.key(&["new", "--owner", "d"]);
    assert!(
        ended.code == 2 && ended.stderr.contains("expected a regular file"),
        "{}",
        ended.stderr
    );
}

#[test]
fn who_holds_the_lock_is_waited_for() {
    let desk = Desk::new();
    desk.key_ok(&["new", "--owner", "a"]);
    let lock = std::fs::File::open(desk.path("keys.json.lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| desk.key_ok(&["new", "--owner", "b"]));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!worker.is_finished());
        assert_eq!(desk.keys().keys.len(), 1);
        lock.unlock().unwrap();
        worker.join().unwrap();
    });
    assert_eq!(desk.keys().keys.len(), 2);
}
