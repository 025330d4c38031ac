//! Reads the sources and holds the rules that no compiler knows.

#[path = "tidy/floors.rs"]
mod floors;

use std::fs;
use std::path::{Path, PathBuf};

const ADAPTER_LINES_MAX: usize = 450;
const SHARED_LINES_MAX: usize = 10;
const FILE_LINES_MAX: usize = 900;
/// Of a file in `core/src`, its tests apart.
const CORE_LINES_MAX: usize = 600;
const LINE_CHARS_MAX: usize = 200;

/// Everything that may lie at the top of the repository, besides names that begin with a dot.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "core",
    "deny.toml",
    "fuzz",
    "runtime-async-std",
    "runtime-blocking",
    "runtime-tokio",
    "rustfmt.toml",
    "target",
    "tests",
];

const ADAPTERS: &[&str] = &["runtime-tokio", "runtime-async-std", "runtime-blocking"];

/// Words that `core/src/driver` has no use for: it serves every runtime.
const RUNTIMES: &[&str] = &["tokio", "async_std", "async-std", "smol", "mio"];

/// Macros that stand for work that was not done, or was left behind.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

struct Source {
    path: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// Every Rust file below `folder`, in order of path; build output and dot-folders are left out.
fn sources(folder: &Path) -> Vec<Source> {
    let mut folders = vec![folder.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
}

/// All lines of an adapter count, blank ones and comments too; only files named `tests.rs` don't.
fn adapter_lines(sources: &[Source]) -> usize {
    sources.iter().filter(|s| !is_test_file(&s.path)).map(|s| s.text.lines().count()).sum()
}

/// What a file breaks, one sentence each.
fn faults(source: &Source) -> Vec<String> {
    let path = source.path.display();
    let mut faults = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{path} has {lines} lines: split it, {FILE_LINES_MAX} is the most"));
    }
    for (number, line) in (1..).zip(source.text.lines()) {
        for name in UNFINISHED {
            if calls_macro(line, name) {
                faults.push(format!("{path}:{number} has {name}!: what isn't done is left out"));
            }
        }
        if line.contains('\t') || line.ends_with(' ') {
            faults.push(format!("{path}:{number} has a tab, or ends with a space"));
        }
        // A text that is pinned byte by byte stands in one piece.
        if line.chars().count() > LINE_CHARS_MAX && !line.contains("r#\"") {
            faults.push(format!("{path}:{number} is longer than {LINE_CHARS_MAX} characters"));
        }
    }
    faults
}

/// The public functions of handles that can be awaited, and whether their documentation says "cancel safe".
fn async_functions(source: &Source) -> Vec<(String, bool)> {
    let mut functions = Vec::new();
    let mut docs = String::new();
    let mut lines = (1..).zip(source.text.lines().map(str::trim));
    while let Some((number, line)) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(&doc.to_lowercase());
        } else if line.starts_with("pub fn ") || line.starts_with("pub async fn ") {
            let mut signature = line.to_owned();
            while !signature.contains('{') && !signature.ends_with(';') {
                let Some((_, more)) = lines.next() else { break };
                signature.push_str(more);
            }
            let gives = signature.split_once(") -> ").map_or("", |(_, gives)| gives);
            // A method that gives its own type back changes a setting.
            let awaited =
                AWAITED.iter().any(|word| gives.starts_with(word)) || signature.contains("async fn");
            let setting = gives.starts_with("Self");
            if awaited && !setting {
                let place = format!("{}:{number}: {line}", source.path.display());
                functions.push((place, docs.contains("cancel safe")));
            }
            docs.clear();
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
    functions
}

/// The first block that is too long to stand in both files; blank lines are passed over.
fn shared_block(one: &Source, other: &Source) -> Option<String> {
    let lines = |source: &Source| -> Vec<(usize, String)> {
        let numbered = (1..).zip(source.text.lines().map(|line| line.trim().to_owned()));
        numbered.filter(|(_, line)| !line.is_empty()).collect()
    };
    let text = |block: &[(usize, String)]| block.iter().map(|(_, line)| line.clone()).collect::<Vec<_>>();
    let (one_lines, other_lines) = (lines(one), lines(other));
    let blocks: std::collections::BTreeSet<_> = other_lines.windows(SHARED_LINES_MAX + 1).map(text).collect();
    let block = one_lines.windows(SHARED_LINES_MAX + 1).find(|block| blocks.contains(&text(block)))?;
    let (path, other) = (one.path.display(), other.path.display());
    Some(format!("{} lines from {path}:{} stand in {other} too", SHARED_LINES_MAX + 1, block[0].0))
}

fn calls_macro(line: &str, name: &str) -> bool {
    let call = format!("{name}!");
    line.match_indices(&call).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + call.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && matches!(after, Some('(' | '[' | '{'))
    })
}

#[test]
fn no_file_is_too_long_or_unfinished() {
    let sources = sources(&root());
    assert!(sources.iter().any(|s| s.path.ends_with("core/src/lib.rs")), "the core was not found");
    let faults: Vec<String> = sources.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The lines of a file but for the tests at its end.
fn lines_without_tests(text: &str) -> usize {
    text.split("\n#[cfg(test)]\nmod tests {\n").next().unwrap_or_default().lines().count()
}

#[test]
fn no_file_of_the_core_is_too_long() {
    let all = sources(&root().join("core/src"));
    let code = all.iter().filter(|s| !is_test_file(&s.path) && !s.path.iter().any(|name| name == "tests"));
    let counted: Vec<_> =
        code.map(|source| (source.path.display(), lines_without_tests(&source.text))).collect();
    assert!(counted.len() > 200, "the core was not found");
    let long: Vec<_> = counted.iter().filter(|(_, lines)| *lines > CORE_LINES_MAX).collect();
    assert!(long.is_empty(), "split them, {CORE_LINES_MAX} lines without tests are the most: {long:?}");
}

#[test]
fn an_adapter_stays_thin() {
    for name in ADAPTERS {
        let lines = adapter_lines(&sources(&root().join(name).join("src")));
        assert!(lines > 0, "{name} has no lines");
        assert!(
            lines <= ADAPTER_LINES_MAX,
            "{name} has {lines} lines, {ADAPTER_LINES_MAX} is the most: what two adapters need lives in core/src/driver"
        );
    }
}

#[test]
fn no_block_stands_in_two_adapters() {
    let adapters: Vec<Vec<Source>> =
        ADAPTERS.iter().map(|name| sources(&root().join(name).join("src"))).collect();
    let mut shared = Vec::new();
    for (number, adapter) in adapters.iter().enumerate() {
        for other in adapters[number + 1..].iter().flatten().filter(|other| !is_test_file(&other.path)) {
            for source in adapter.iter().filter(|source| !is_test_file(&source.path)) {
                shared.extend(shared_block(source, other));
            }
        }
    }
    assert!(shared.is_empty(), "what two adapters need lives in core/src/driver:\n{}", shared.join("\n"));
}

#[test]
fn the_driver_names_no_runtime() {
    let named: Vec<String> = sources(&root().join("core/src/driver"))
        .iter()
        .flat_map(|source| {
            let text = source.text.to_lowercase();
            let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && !"_-".contains(c)).collect();
            let named: Vec<_> = RUNTIMES.iter().filter(|runtime| words.contains(runtime)).collect();
            named
                .into_iter()
                .map(|runtime| format!("{} names {runtime}", source.path.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(named.is_empty(), "{}", named.join("\n"));
}

/// What a public function gives that can be awaited.
const AWAITED: &[&str] = &["Operation<", "Starting<", "Next<", "Run<", "impl Future"];

#[test]
fn every_async_function_says_whether_it_is_cancel_safe() {
    let mut folders = vec![root().join("core/src/driver")];
    folders.extend(ADAPTERS.iter().map(|name| root().join(name).join("src")));
    let all: Vec<Source> = folders.iter().flat_map(|folder| sources(folder)).collect();
    let functions: Vec<_> = all.iter().flat_map(async_functions).collect();
    assert!(functions.len() > 20, "the handles were not found");
    let silent: Vec<_> = functions.iter().filter(|(_, says)| !says).map(|(place, _)| &**place).collect();
    assert!(silent.is_empty(), "not a word on cancelling:\n{}", silent.join("\n"));
}

/// The manifests of all packages, and whether they are meant to be published.
fn manifests() -> Vec<(PathBuf, String, bool)> {
    let folders = ["core", "runtime-tokio", "runtime-tokio/cli", "runtime-async-std", "runtime-blocking"]
        .into_iter()
        .chain(["tests/broker", "tests/sim", "tests/conformance", "fuzz", "core/probe"]);
    let read = |folder| {
        let folder = root().join(folder);
        let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
        let published = !text.contains("\npublish = false\n");
        (folder, text, published)
    };
    folders.map(read).collect()
}

#[test]
fn what_is_published_has_what_its_readers_need_and_the_rest_says_that_it_is_not() {
    let licence = fs::read_to_string(root().join("LICENSE")).expect("a licence");
    let mut names = Vec::new();
    for (folder, text, published) in manifests() {
        assert!(!text.contains("github.com/apache"), "{}: that repository is not ours", folder.display());
        if !published {
            continue;
        }
        for key in ["description = ", "documentation = ", "readme = ", "keywords", "categories = ", "license"]
        {
            assert!(text.lines().any(|line| line.starts_with(key)), "{}: no {key}", folder.display());
        }
        let own = fs::read_to_string(folder.join("LICENSE")).unwrap_or_default();
        assert_eq!(own, licence, "{}: its licence is not in it", folder.display());
        let name = text.lines().find_map(|line| line.strip_prefix("name = ")).expect("a name");
        names.push(name.trim_matches('"').to_owned());
    }
    let wanted = [
        "rocketmq-client-core",
        "rocketmq-client-tokio",
        "rocketmq-client-async-std",
        "rocketmq-client-blocking",
        "rocketmq-dev-broker",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn the_crates_that_the_readme_adds_are_there() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let (_, block) = readme.split_once("```toml\n").expect("a block for Cargo.toml");
    let (block, _) = block.split_once("```").expect("its end");
    let mut crates = 0;
    for line in block.lines() {
        let Some((name, rest)) = line.split_once(" = { path = \"../rocketmq-client/") else { continue };
        let (folder, _) = rest.split_once('"').expect("the end of a path");
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap_or_default();
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{line}");
        crates += 1;
    }
    assert_eq!(crates, 2, "the client and the dev broker");
    let rust = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let rust = rust
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .expect("a version")
        .trim_matches('"');
    assert!(readme.contains(&format!("Rust {rust} or newer")), "the oldest Rust is {rust}");
}

#[test]
fn the_tests_that_the_guarantees_name_are_there() {
    let text = fs::read_to_string(root().join("core/GUARANTEES.md")).expect("the guarantees");
    let sources = sources(&root());
    let names = text.split('`').skip(1).step_by(2);
    // Settings have fewer words.
    let tests: Vec<&str> = names.filter(|name| name.split('_').count() > 4).collect();
    let is_there = |name: &str| sources.iter().any(|source| source.text.contains(&format!("fn {name}(")));
    let missing: Vec<&&str> = tests.iter().filter(|name| !is_there(name)).collect();
    assert!(tests.len() > 40 && missing.is_empty(), "{missing:?} of {}", tests.len());
}

#[test]
fn only_the_agreed_entries_lie_at_the_top() {
    let mut strangers = Vec::new();
    for entry in fs::read_dir(root()).expect("the repository is readable") {
        let name = entry.expect("a readable folder").file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) {
            strangers.push(name);
        }
    }
    assert!(strangers.is_empty(), "{strangers:?} doesn't belong at the top of the repository");
}

mod the_rules_see {
    use super::*;

    fn source(path: &str, text: String) -> Source {
        Source { path: PathBuf::from(path), text }
    }

    #[test]
    fn an_unfinished_macro_but_not_its_name_in_prose() {
        for name in UNFINISHED {
            let call = format!("    {name}!()");
            assert_eq!(faults(&source("a.rs", call)).len(), 1, "{name}");
            assert!(faults(&source("a.rs", format!("/// Never {name}! here"))).is_empty(), "{name}");
            assert!(faults(&source("a.rs", format!("my_{name}!()"))).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_file_one_line_too_long() {
        assert!(faults(&source("a.rs", "a\n".repeat(FILE_LINES_MAX))).is_empty());
        assert_eq!(faults(&source("a.rs", "a\n".repeat(FILE_LINES_MAX + 1))).len(), 1);
    }

    #[test]
    fn the_lines_of_a_file_but_not_those_of_the_tests_at_its_end() {
        assert_eq!(lines_without_tests("a\nb\n\n#[cfg(test)]\nmod tests {\n    c\n}\n"), 2);
        assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\n\na\n"), 4);
    }

    #[test]
    fn every_line_of_an_adapter_but_its_tests() {
        let files =
            [source("src/lib.rs", "//! A\n\nfn a() {}\n".into()), source("src/tests.rs", "a\n".repeat(9))];
        assert_eq!(adapter_lines(&files), 3);
    }

    #[test]
    fn an_async_function_without_a_word_on_cancelling() {
        let told =
            "/// Sends. Cancel\n/// safe.\n#[must_use]\npub fn send(\n&self,\n) -> Operation<u8> {\n}\n";
        let silent = "/// Waits.\npub async fn wait() {}\npub fn plain(self) -> Self {}\n";
        let functions = async_functions(&source("a.rs", format!("{told}{silent}")));
        assert_eq!(functions.iter().map(|(_, says)| *says).collect::<Vec<_>>(), [true, false]);
        assert!(functions[1].0.contains("a.rs:9: pub async fn wait"), "{functions:?}");
    }

    #[test]
    fn a_block_that_two_files_share_whatever_its_indentation() {
        let block = |count: usize| (0..count).map(|line| format!("line {line}\n")).collect::<String>();
        let one = source("a.rs", format!("// one\n{}", block(SHARED_LINES_MAX)));
        let other = source("b.rs", block(SHARED_LINES_MAX + 1));
        assert_eq!(shared_block(&one, &other), None);
        let indented = other.text.replace("line", "\n    line");
        assert!(shared_block(&source("a.rs", indented), &other).is_some());
    }

    #[test]
    fn tabs_trailing_spaces_and_endless_lines() {
        assert_eq!(faults(&source("a.rs", "\tlet a;\nlet b; \n".into())).len(), 2);
        assert_eq!(faults(&source("a.rs", "x".repeat(LINE_CHARS_MAX + 1))).len(), 1);
    }
}
