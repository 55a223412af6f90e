//! UNSAFE.md lists as many places as there are.
use std::collections::BTreeMap;
use std::path::Path;

/// Places where the keyword stands in code, tests left out.
fn places(source: &str) -> usize {
    let code = source.split("#[cfg(test)]").next().unwrap_or("");
    let words = |line: &str| -> usize {
        let code = line.split("//").next().unwrap_or("");
        code.split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|&word| word == "unsafe")
            .count()
    };
    code.lines().map(words).sum()
}

/// The numbers in brackets, by file.
fn listed(page: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut file = String::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            file = name.to_owned();
        } else if let Some(entry) = line.strip_prefix("- ") {
            let number =
                entry.split(['(', ')']).nth(1).and_then(|number| number.parse::<usize>().ok());
            *found.entry(file.clone()).or_default() +=
                number.unwrap_or_else(|| panic!("no number: {entry}"));
        }
    }
    found
}

fn crate_folder() -> &'static Path {
    Path::new(option_env!("CARGO_MANIFEST_DIR").unwrap_or("rust/shmheap"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// UNSAFE.md, an entry a line.
fn page() -> String {
    read(&crate_folder().join("UNSAFE.md")).replace("\n  ", " ")
}

/// The tests that the page says attack a premise.
fn attacks(page: &str) -> impl Iterator<Item = &str> {
    page.lines()
        .filter_map(|line| line.split_once("Attack:"))
        .flat_map(|(_, attack)| attack.split('`').skip(1).step_by(2))
}

#[test]
fn each_attack_is_a_test() {
    let mut sources = String::new();
    for folder in ["src/raw", "tests"] {
        for entry in std::fs::read_dir(crate_folder().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                sources += &read(&path);
            }
        }
    }
    let page = page();
    let (mut found, mut missing) = (0, Vec::new());
    for name in attacks(&page) {
        let program = crate_folder().join(format!("tests/compile_fail/{name}.rs"));
        match sources.contains(&format!("fn {name}(")) || program.exists() {
            true => found += 1,
            false => missing.push(name),
        }
    }
    assert!(missing.is_empty() && found > 30, "{found} are there, and not {missing:?}");
}

#[test]
fn the_list_is_complete() {
    let crate_folder = crate_folder();
    let listed = listed(&page());
    let mut counted = BTreeMap::new();
    for entry in std::fs::read_dir(crate_folder.join("src/raw")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let count = places(&read(&path));
        if count > 0 && !name.contains("_for_miri") {
            counted.insert(name, count);
        }
    }
    assert_eq!(counted, listed);
    assert!(
        read(&crate_folder.join("src/lib.rs")).contains("unsafe_code)]"),
        "lib.rs denies unsafe code elsewhere"
    );
}
