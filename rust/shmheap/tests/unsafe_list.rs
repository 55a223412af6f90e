//! UNSAFE.md lists as many places as there are.
use std::collections::BTreeMap;
use std::path::Path;

/// Places where the keyword stands in code, tests left out.
fn places(source: &str) -> usize {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
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

/// The files below a folder of the crate, by their paths in it.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let (root, mut found) = (crate_folder().join(folder), BTreeMap::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), read(&path));
            }
        }
    }
    found
}

/// The tests that the page says attack a premise: where each is, and its name.
fn attacks(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (_, text) in page.lines().filter_map(|line| line.split_once("Attack:")) {
        let mut place = "";
        for (i, part) in text.split('`').enumerate() {
            match i % 2 {
                1 => found.push((place, part)),
                _ => {
                    let is_place = |word: &&str| {
                        word.ends_with(".rs")
                            || word.starts_with("raw::")
                            || *word == "must-not-compile"
                    };
                    place = part.split([' ', ',']).rfind(is_place).unwrap_or(place);
                }
            }
        }
    }
    found
}

/// Whether a test of that name is there.
fn is_there(sources: &BTreeMap<String, String>, place: &str, name: &str) -> bool {
    let paths = match place.strip_prefix("raw::") {
        Some(module) => [format!("{module}/tests.rs"), format!("{module}.rs")],
        None => [place.to_owned(), format!("must-not-compile/{name}.rs")],
    };
    let has = |path: &String| {
        sources.get(path).is_some_and(|source| source.contains(&format!("fn {name}(")))
    };
    match place {
        "must-not-compile" => sources.contains_key(&paths[1]),
        _ => paths.iter().any(has),
    }
}

#[test]
fn each_attack_is_a_test() {
    let mut sources = sources("src/raw");
    sources.extend(self::sources("tests"));
    let programs = self::sources("../must-not-compile/programs");
    sources.extend(
        programs.into_iter().map(|(name, text)| (format!("must-not-compile/{name}"), text)),
    );
    let page = page();
    let all = attacks(&page);
    let missing: Vec<_> =
        all.iter().filter(|(place, name)| !is_there(&sources, place, name)).collect();
    assert!(missing.is_empty() && all.len() > 30, "{} in all, and not {missing:?}", all.len());
}

#[test]
fn the_list_is_complete() {
    let listed = listed(&page());
    let mut counted = BTreeMap::new();
    for (name, source) in sources("src/raw") {
        let count = places(&source);
        if count > 0 && !name.ends_with("tests.rs") && !name.starts_with("core_for_miri/") {
            counted.insert(name, count);
        }
    }
    assert_eq!(counted, listed);
    assert!(
        read(&crate_folder().join("src/lib.rs")).contains("unsafe_code)]"),
        "lib.rs denies unsafe code elsewhere"
    );
}
