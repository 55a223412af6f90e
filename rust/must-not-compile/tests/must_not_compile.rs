//! What must not compile does not, and for the reason it should.
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const PROGRAMS: &str = "programs/*.rs";

/// The compiler whose messages lie beside the programs. Other compilers word them differently.
const KNOWN: &str = "rustc 1.95.";

/// The messages beside the programs. Written back at the end.
struct Messages(Vec<(PathBuf, String)>);

impl Messages {
    fn read() -> Self {
        let folder = fs::read_dir("programs").expect("the folder of the programs");
        let paths = folder.map(|entry| entry.expect("an entry of the folder").path());
        let of = |path: PathBuf| (path.clone(), fs::read_to_string(path).expect("messages"));
        Messages(
            paths.filter(|path| path.extension().is_some_and(|e| e == "stderr")).map(of).collect(),
        )
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        for (path, text) in &self.0 {
            fs::write(path, text).expect("the messages as they were");
        }
    }
}

/// The errors in a compiler's output: their codes, or their texts where they have none.
fn errors(output: &str) -> BTreeSet<&str> {
    let heads = output.lines().filter(|line| line.starts_with("error"));
    heads.map(|line| line.split_once(']').map_or(line, |(code, _)| code)).collect()
}

#[test]
fn refused_by_the_compiler() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc runs").stdout;
    if version.starts_with(KNOWN.as_bytes()) {
        trybuild::TestCases::new().compile_fail(PROGRAMS);
        return;
    }
    let expected = Messages::read();
    assert!(!expected.0.is_empty());
    // Each program must still be refused; trybuild then writes the messages instead of comparing.
    env::set_var("TRYBUILD", "overwrite");
    trybuild::TestCases::new().compile_fail(PROGRAMS);
    for (path, text) in &expected.0 {
        let found = fs::read_to_string(path).expect("messages of this compiler");
        assert_eq!(errors(&found), errors(text), "{}: {found}", path.display());
    }
}
