//! The vectors of `tests/golden`, made by Java's own classes: which files there are, and one way to run them.

extern crate std;
use alloc::{format, string::String, vec::Vec};
use serde_json::Value;
use std::{fs, io::Write as _, path::Path};

/// Every file of the folder, and how many vectors it has.
const FILES: &[(&str, usize)] = &[
    ("acl_signatures.jsonl", 36),
    ("allocation.jsonl", 264),
    ("batch_bodies.jsonl", 6),
    ("bodies.jsonl", 34),
    ("commands.jsonl", 132),
    ("message_ids.jsonl", 60),
    ("messages.jsonl", 40),
    ("names.jsonl", 53),
    ("properties.jsonl", 21),
    ("string_hash.jsonl", 84),
    ("subscription.jsonl", 21),
    ("trace.jsonl", 18),
];

/// Runs a check on every vector of a file, says how many there were, and fails unless it was all of them.
macro_rules! each_vector {
    ($name:literal, $check:expr) => {
        $crate::golden::each(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/", $name)),
            $check,
        )
    };
}
pub(crate) use each_vector;

pub(crate) fn each(name: &str, text: &str, mut check: impl FnMut(&Value)) {
    let vectors: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = FILES.iter().find(|(file, _)| *file == name).map(|(_, count)| *count);
    assert!(!vectors.is_empty(), "{name} gives no vectors");
    assert_eq!(Some(vectors.len()), expected, "{name}");
    vectors.iter().for_each(&mut check);
    writeln!(std::io::stderr(), "{name}: {} vectors", vectors.len()).unwrap();
}

#[test]
fn every_file_of_the_folder_is_run_by_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(here.join("../tests/golden")).unwrap();
    let mut files: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|file| file != "README.md");
    files.sort();
    assert_eq!(files, FILES.iter().map(|(file, _)| *file).collect::<Vec<_>>(), "the folder and the table");
    let mut sources = String::new();
    read_sources(&here.join("src"), &mut sources);
    for (file, _) in FILES {
        assert!(sources.contains(&format!("each_vector!(\"{file}\",")), "no test runs {file}");
    }
}

fn read_sources(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else {
            *sources += &fs::read_to_string(&path).unwrap();
        }
    }
}
