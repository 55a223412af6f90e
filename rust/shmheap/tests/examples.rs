//! The examples do what they say.
mod support;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use support::Name;

/// Where cargo puts them, beside the folder of this test; Bazel says where.
fn example(name: &str) -> Command {
    let folder = std::env::var_os("SHMHEAP_EXAMPLES").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("this program has a path");
        test.parent().and_then(|deps| deps.parent()).expect("target/debug/deps").join("examples")
    });
    Command::new(folder.join(name))
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("the examples print text")
}

#[test]
fn producer_and_consumer() {
    let name = Name::new();
    let mut producer =
        example("producer").args([&name.0, "200"]).stdout(Stdio::piped()).spawn().unwrap();
    let handles = producer.stdout.take().unwrap();
    let consumer = example("consumer").arg(&name.0).stdin(handles).output().unwrap();
    assert!(producer.wait().unwrap().success());
    // Each sample n has 1000 values n + i / 1000.
    let sum = 1000.0 * (199.0 * 200.0 / 2.0) + 200.0 * 499.5;
    assert_eq!(said(consumer), format!("200 samples, sum {sum:.1}, 0 left in the heap\n"));
}

#[test]
fn producer_says_how_it_is_used() {
    let output = example("producer").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: producer /NAME COUNT"));
}

#[test]
fn counter() {
    let said = said(example("counter").output().unwrap());
    assert_eq!(said, "400000 turns of 4 processes, all well: true\n0 objects left\n");
}

#[test]
fn ring() {
    let said = said(example("ring").output().unwrap());
    assert!(
        said.contains("took 10000 lines") && said.contains("taken: 10000\n0 objects left\n"),
        "{said}"
    );
}

#[test]
fn crash() {
    let said = said(example("crash").output().unwrap());
    let expected =
        "killed while holding 100 boxes: 103 objects in the heap\nreaped: 101 boxes, 0 arcs\n\
                    then the value that was shared: 0 boxes, 1 arcs\n0 objects left\n";
    assert_eq!(said, expected);
}

#[test]
fn mailbox() {
    let said = said(example("mailbox").output().unwrap());
    let expected =
        "another process wrote\nfound by name alone\nmailbox: 33 bytes, 1 user\n0 names left\n";
    assert_eq!(said, expected);
}
