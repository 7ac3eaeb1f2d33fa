use super::*;

#[test]
fn a_package_without_candidate_is_absent() {
    let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
    assert_eq!(candidate_in(policy), Some("1.96.0+dfsg1-1~deb12u2"));
    assert_eq!(candidate_in("rustc-web:\n  Installed: (none)\n  Candidate: (none)\n"), None);
    assert_eq!(candidate_in(""), None);
}

#[test]
fn dependencies_are_read_from_both_listings() {
    let direct = "libstd-rust-web-dev\n  Depends: libstd-rust-web-1.96\n";
    assert_eq!(depends_in(direct), ["libstd-rust-web-1.96"]);
    let recursive = "libstd-rust-web-1.96\n  Depends: libc6\n  Depends: <virtual>\n    real\n\
                     libc6\n<virtual>\nlibllvm22\n  Depends: libz3-4\n";
    assert_eq!(packages_in(recursive), ["libstd-rust-web-1.96", "libc6", "libllvm22"]);
}

#[test]
fn what_is_lacking_is_read_from_the_simulation() {
    let simulation = "NOTE: This is only a simulation!\n\
        Remv apache2 [2.4.62-1]\n\
        Inst libyajl2 (2.1.0-3+deb12u2 Debian:12.14/oldstable [amd64])\n\
        Inst libxml2 [2.9.14-1] (2.9.14-2 Debian:12.14/oldstable [amd64]) []\n\
        Inst libnginx-mod-http-ndk (1:0.3.2-3 Debian:12.14/oldstable [amd64])\n\
        Conf libyajl2 (2.1.0-3+deb12u2 Debian:12.14/oldstable [amd64])\n";
    let lacking =
        ["libyajl2=2.1.0-3+deb12u2", "libxml2=2.9.14-2", "libnginx-mod-http-ndk=1:0.3.2-3"];
    assert_eq!(installed_in(simulation), lacking);
    assert!(installed_in("").is_empty());
}

#[test]
fn a_launcher_becomes_the_program_with_the_libraries_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("it's \"$HOME\" of ours");
    let root = home.join(ROOT);
    for libraries in ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/nginx"] {
        fs::create_dir_all(root.join(libraries)).unwrap();
    }
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    let program = root.join("usr/bin/echoes");
    fs::write(&program, "#!/bin/sh\necho \"$1 $LD_LIBRARY_PATH\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let unpacked = Unpacked {
        step: "echoes",
        packages: &["echoes"],
        program: "usr/bin/echoes",
        version: "--version",
        size: "nothing",
    };
    let launcher = home.join("echoes");
    let said = unpacked.write_launcher(&home, &launcher).unwrap();
    let (usr, own) = (root.join("usr/lib/x86_64-linux-gnu"), root.join("lib/x86_64-linux-gnu"));
    let expected = format!("--version {}:{}", usr.display(), own.display());
    assert!(said.starts_with(&expected), "{said}");
    assert!(launcher.is_file());
}

#[test]
fn a_program_that_does_not_start_gets_no_launcher() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(ROOT)).unwrap();
    let unpacked = Unpacked {
        step: "absent",
        packages: &["absent"],
        program: "usr/bin/absent",
        version: "--version",
        size: "nothing",
    };
    let launcher = folder.path().join("absent");
    let error = unpacked.write_launcher(folder.path(), &launcher).unwrap_err();
    assert!(error.to_string().contains("does not start"), "{error}");
    assert!(!launcher.exists());
}
