//! What a script makes is what the tree holds: nobody edits a `generated.rs`, and nobody forgets to make it again.

use std::path::Path;
use std::process::Command;

const MADE: [&str; 4] = [
    "src/net/schema/generated.rs",
    "src/state/group/generated.rs",
    "src/state/metadata/generated.rs",
    "src/state/transaction/generated.rs",
];

#[test]
fn generated_files_are_as_their_script_makes_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for tool in ["python3", "rustfmt"] {
        if let Err(error) = Command::new(tool).arg("--version").output() {
            println!("skip: {tool} cannot be run here ({error})");
            return;
        }
    }
    let into = tempfile::tempdir().expect("a directory");
    let script = Command::new("python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(root.join("scripts/generate.py"))
        .arg("--into")
        .arg(into.path())
        .output()
        .expect("python3 runs");
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    for path in MADE {
        let read = |base: &Path| std::fs::read_to_string(base.join(path)).expect("a generated file");
        let (made, kept) = (read(into.path()), read(root));
        let line = made.lines().zip(kept.lines()).take_while(|(a, b)| a == b).count() + 1;
        assert!(made == kept, "{path} differs from line {line} on; run scripts/generate.py");
    }
}

/// The catalogue of settings and its page.
#[test]
fn the_settings_are_as_their_tables_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = Command::new("python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(root.join("scripts/generate_config.py"))
        .arg("--check")
        .output();
    match script {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("skip: python3 cannot be run here ({error})"),
    }
}
