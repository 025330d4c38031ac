//! The core is a house: what lies higher uses what lies below, and nothing the other way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{Source, root, sources};

/// The folders and files of `core/src`, from the ground up. Each may use those that stand in a line above its own.
const FLOORS: &[&[&str]] = &[
    &["hash", "id", "rng", "time"],
    &["latency", "lines", "namesrv", "timer"],
    &["message"],
    &["remoting"],
    &["error"],
    &["config", "output", "route"],
    &["channel"],
    &["shared"],
    &["consumer", "producer"],
    &["client"],
    &["driver"],
];

/// Who may use whom though he does not stand below, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Folders in which nobody uses, through whomever, who uses him.
const WITHOUT_CIRCLES: &[&str] = &[
    "core/src/driver",
    "core/src/driver/push_consumer",
    "runtime-tokio/cli/src/bench",
    "runtime-tokio/cli/src/bench/null",
    "runtime-tokio/cli/src/bench/ours",
];

/// Files that are compiled for tests alone, by their names or the folders that they lie in.
const OF_TESTS: &[&str] = &["tests", "golden"];

/// One name that a file uses: in which line, and the path as it stands there, from `crate` or `super` on.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    line: usize,
    path: Vec<String>,
}

/// The modules that lead to a file, from the folder that holds them all: `a/b.rs` and `a/b/mod.rs` are `a::b`.
fn modules(path: &Path) -> Vec<String> {
    let without = path.with_extension("");
    let mut names: Vec<String> = without.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    names
}

/// The code without comments and without what is only compiled for tests; lines stay where they are.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim() == "#[cfg(test)]" {
            code.push('\n');
            // An item ends with the brace of its own column, or in its first line that ends a statement or a field.
            let mut has_braces = false;
            for line in lines.by_ref() {
                code.push('\n');
                has_braces |= line.trim_end().ends_with('{');
                let closes = line.trim_start().starts_with('}') && line.find('}') == Some(indent);
                let ends = line.trim_end().ends_with([';', ',', '}']) && !line.trim().starts_with("#[");
                if if has_braces { closes } else { ends } {
                    break;
                }
            }
            continue;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// All paths of a tree of names: `a::{b, c::d}` is `a::b` and `a::c::d`. It ends where the text is no such tree any more.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut prefixes: Vec<Vec<String>> = vec![Vec::new()];
    let mut path: Vec<String> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end > 0 {
            path.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
            rest = rest
                .strip_prefix("as ")
                .map_or(rest, |alias| alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
            if let Some(more) = rest.strip_prefix("::") {
                rest = more;
                continue;
            }
        }
        match rest.chars().next() {
            Some('{') => prefixes.push(path.clone()),
            Some(',' | '}') if prefixes.len() > 1 => {
                if path.len() > prefixes[prefixes.len() - 1].len() {
                    found.push(path.clone());
                }
                if rest.starts_with('}') {
                    prefixes.pop();
                    if prefixes.len() == 1 {
                        return found;
                    }
                }
                path.clone_from(&prefixes[prefixes.len() - 1]);
            }
            _ => {
                if path.len() > prefixes[prefixes.len() - 1].len() {
                    found.push(path);
                }
                return found;
            }
        }
        rest = &rest[1..];
    }
}

/// All paths in a file that begin with `crate` or `super`.
fn uses(text: &str) -> Vec<Use> {
    let code = code(text);
    let mut found = Vec::new();
    let starts = code.match_indices("crate::").chain(code.match_indices("super::"));
    for (at, _) in starts {
        let before = code[..at].chars().next_back();
        // Inside of a longer path, or of a visibility.
        let is_inside = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        if is_inside || code[..at].ends_with("in ") {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        found.extend(paths(&code[at..]).into_iter().map(|path| Use { line, path }));
    }
    found.sort_by_key(|used| used.line);
    found
}

/// The path from the crate on, for a file of these modules.
fn absolute(modules: &[String], path: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    if ups == 0 {
        return path[1..].to_vec();
    }
    let base = &modules[..modules.len().saturating_sub(ups)];
    base.iter().chain(&path[ups..]).cloned().collect()
}

/// The Rust files of `folder` that are no tests, each with its modules, from `crate_root` on.
fn code_files(folder: &Path, crate_root: &Path) -> Vec<(Vec<String>, Source)> {
    let with_modules = |source: Source| {
        let modules = modules(source.path.strip_prefix(crate_root).expect("below the root of its crate"));
        let is_test = modules.iter().any(|name| OF_TESTS.contains(&name.as_str()));
        (!is_test).then_some((modules, source))
    };
    sources(folder).into_iter().filter_map(with_modules).collect()
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

fn may_use(user: &str, used: &str) -> bool {
    user == used || floor(used) < floor(user) || EXCEPTIONS.iter().any(|(a, b, _)| *a == user && *b == used)
}

/// What a file of these modules uses that does not lie below it.
fn wrong_ways(modules: &[String], place: &str, text: &str) -> Vec<String> {
    let user = &modules[0];
    let Some(own) = floor(user) else {
        return vec![format!("{place}: on which of the floors does `{user}` stand?")];
    };
    let wrong = |used: Use| {
        let path = absolute(modules, &used.path);
        let name = path.first()?;
        let other = floor(name).filter(|_| !may_use(user, name))?;
        let why = if other == own {
            "is its neighbour: neither may use the other".to_owned()
        } else {
            format!("lies above: only `{name}` may use `{user}`")
        };
        let (line, path) = (used.line, path.join("::"));
        Some(format!("{place}:{line}: `{user}` uses `{name}` ({path}), which {why}"))
    };
    uses(text).into_iter().filter_map(wrong).collect()
}

#[test]
fn the_core_uses_only_what_lies_below() {
    let src = root().join("core/src");
    let mut faults = Vec::new();
    let mut files = 0;
    for (modules, source) in code_files(&src, &src) {
        if modules[0] != "lib" {
            files += 1;
            let place = source.path.strip_prefix(root()).expect("below the root").display().to_string();
            faults.extend(wrong_ways(&modules, &place, &source.text));
        }
    }
    assert!(files > 200, "the core was not found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Which module of a folder uses which other one, with the first place where it does.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// The names that a module gives on, by the child that has them.
fn given_on(text: &str) -> BTreeMap<String, String> {
    let code = code(text);
    let statements =
        code.split(';').filter_map(|statement| statement.rsplit_once("use ").map(|(_, tree)| tree));
    let given = statements.flat_map(paths).filter_map(|path| {
        let path: Vec<String> = path.into_iter().filter(|name| name != "self").collect();
        (path.len() > 1).then(|| (path[path.len() - 1].clone(), path[0].clone()))
    });
    given.collect()
}

/// A module's own items are the ground that its children stand on, and no child.
fn graph(folder: &Path, crate_root: &Path) -> Graph {
    let files = code_files(folder, crate_root);
    let own = modules(folder.join("mod.rs").strip_prefix(crate_root).expect("below the root"));
    let children: BTreeSet<String> =
        files.iter().filter_map(|(modules, _)| modules.get(own.len()).cloned()).collect();
    let text = fs::read_to_string(folder.join("mod.rs")).expect("a module");
    let given = given_on(&text);
    let mut graph = Graph::new();
    for (modules, source) in &files {
        let Some(user) = modules.get(own.len()) else { continue };
        for used in uses(&source.text) {
            let path = absolute(modules, &used.path);
            let Some(name) = path.strip_prefix(own.as_slice()).and_then(|rest| rest.first()) else {
                continue;
            };
            let child = if children.contains(name) { Some(name) } else { given.get(name) };
            let Some(child) = child.filter(|child| *child != user && children.contains(*child)) else {
                continue;
            };
            let place = source.path.strip_prefix(root()).unwrap_or(&source.path).display();
            let way = format!("{place}:{}: `{user}` uses `{child}`", used.line);
            graph.entry(user.clone()).or_default().entry(child.clone()).or_insert(way);
        }
    }
    graph
}

/// A shortest way through the graph from `from` back to it.
fn circle(graph: &Graph, from: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![(from, Vec::new())];
    while !ways.is_empty() {
        let mut next = Vec::new();
        for (at, way) in ways {
            for (to, place) in graph.get(at).into_iter().flatten() {
                let way: Vec<String> = way.iter().chain([place]).cloned().collect();
                if to == from {
                    return Some(way);
                }
                if seen.insert(to.as_str()) {
                    next.push((to.as_str(), way));
                }
            }
        }
        ways = next;
    }
    None
}

#[test]
fn no_module_uses_who_uses_it() {
    for folder in WITHOUT_CIRCLES {
        let folder = root().join(folder);
        let crate_root = folder.ancestors().find(|path| path.ends_with("src")).expect("a crate");
        let graph = graph(&folder, crate_root);
        assert!(!graph.is_empty(), "{} was not found", folder.display());
        if let Some(circle) = graph.keys().find_map(|name| circle(&graph, name)) {
            panic!("a circle; one of these has to go:\n{}", circle.join("\n"));
        }
    }
}

mod the_floors_see {
    use super::*;

    fn of(path: &str, text: &str) -> Vec<String> {
        wrong_ways(&modules(Path::new(path)), path, text)
    }

    #[test]
    fn who_uses_what_lies_above_and_where() {
        let text = "use crate::time::Instant;\nuse crate::{\n    rng::Rng, client::{Input, Output},\n};\n";
        let told = of("channel/mod.rs", text);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0]
                .starts_with("channel/mod.rs:2: `channel` uses `client` (client::Input), which lies above"),
            "{told:?}"
        );
        assert_eq!(of("client/mod.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_neighbour_and_a_way_out_of_the_folder() {
        let told =
            of("producer/send.rs", "fn a() -> super::super::consumer::Ack { crate::consumer::ack() }\n");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("is its neighbour"), "{told:?}");
    }

    #[test]
    fn no_tests_no_comments_and_no_visibilities() {
        let text = "//! [`crate::client::Client`]\npub(in crate::client) fn a() {}\n#[cfg(test)]\nmod tests {\n    use crate::client;\n}\n";
        assert_eq!(of("channel/mod.rs", text), Vec::<String>::new());
        let told = of("channel/mod.rs", &format!("{text}use crate::client;\n"));
        assert!(told.len() == 1 && told[0].contains(":7:"), "{told:?}");
    }

    #[test]
    fn a_folder_without_a_floor() {
        assert_eq!(of("attic/mod.rs", "").len(), 1);
    }

    #[test]
    fn the_way_round_a_circle() {
        let edge = |to: &str| BTreeMap::from([(to.to_owned(), format!("to {to}"))]);
        let mut graph: Graph =
            [("a", "b"), ("b", "c"), ("c", "d")].map(|(a, b)| (a.to_owned(), edge(b))).into();
        assert_eq!(circle(&graph, "a"), None);
        graph.insert("d".to_owned(), edge("b"));
        assert_eq!(circle(&graph, "a"), None, "a leads to one, and is in none");
        assert_eq!(circle(&graph, "c").map(|way| way.join(", ")), Some("to d, to b, to c".to_owned()));
    }
}
