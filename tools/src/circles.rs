//! Which file of a crate imports which, and where they do so in a circle.
//!
//! A file imports another if it names the other's module, or something in it: by `use`, or by a path in its
//! code, from `crate`, `self`, `super`, a child module or an imported name on. A path leads to the file of the
//! longest module path that it begins with: what is imported through a module that only exports it again is
//! imported from that module, which in turn imports what it exports. That a module declares another (`mod
//! child;`) is no import. Code that is compiled for tests alone may import anything.
//!
//! What is not seen: methods. A file whose type has methods in another file needs that other one without naming
//! it.

use crate::files::{rust_files, text};
use crate::imports::{Named, imports};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The files of one crate, and what they import of each other.
#[derive(Debug)]
pub struct Graph {
    /// By their module paths.
    files: BTreeMap<Vec<String>, PathBuf>,
    /// For each module, those that it imports: where, and by which path.
    edges: BTreeMap<Vec<String>, BTreeMap<Vec<String>, Named>>,
}

/// One file imports another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The file that imports.
    pub from: PathBuf,
    /// The line that does so.
    pub line: usize,
    /// The path that it names, from `crate` on.
    pub path: String,
    /// The file that is imported.
    pub to: PathBuf,
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, line, path, to } = self;
        write!(f, "{}:{line} imports {} ({path})", from.display(), to.display())
    }
}

/// Files that all import each other, by whatever way around.
#[derive(Clone, Debug)]
pub struct Circle {
    /// All of them.
    pub files: Vec<PathBuf>,
    /// A shortest way around: each edge begins where the one before ends.
    pub edges: Vec<Edge>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.files.len();
        write!(f, "{count} files import each other in a circle, for example")?;
        for edge in &self.edges {
            write!(f, "\n  {edge}")?;
        }
        Ok(())
    }
}

impl Graph {
    /// Reads all files below a crate's `src`.
    ///
    /// # Errors
    ///
    /// If the folder or a file cannot be read: the error names it.
    pub fn read(src: &Path) -> io::Result<Self> {
        let mut files = modules(src)?;
        let mut found = BTreeMap::new();
        for (module, file) in &files {
            let source = text(file)?;
            found.insert(module.clone(), imports(&source, module));
        }
        // Modules of tests, with their children.
        let tests: Vec<_> = found.values().flat_map(|of| of.tests.clone()).collect();
        let is_test = |module: &[String]| tests.iter().any(|test| module.starts_with(test));
        files.retain(|module, _| !is_test(module));
        found.retain(|module, _| !is_test(module));

        let mut edges = BTreeMap::new();
        for (from, of) in found {
            let mut to = BTreeMap::new();
            for named in of.named {
                let target = (0..=named.path.len()).rev().map(|count| &named.path[..count]);
                let target = target.into_iter().find(|module| files.contains_key(*module));
                if let Some(target) = target.filter(|target| *target != from) {
                    to.entry(target.to_vec()).or_insert(named);
                }
            }
            edges.insert(from, to);
        }
        Ok(Self { files, edges })
    }

    /// How many files there are, without those of tests.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Which file imports which: each other file once.
    pub fn edges(&self) -> impl Iterator<Item = Edge> {
        let of = |(from, to)| self.edge(from, to);
        let pairs = |(from, targets)| BTreeMap::keys(targets).map(move |to| (from, to));
        self.edges.iter().flat_map(pairs).map(of)
    }

    fn edge(&self, from: &Vec<String>, to: &Vec<String>) -> Edge {
        let Named { path, line } = &self.edges[from][to];
        Edge {
            from: self.files[from].clone(),
            line: *line,
            path: [&["crate".to_string()], &path[..]].concat().join("::"),
            to: self.files[to].clone(),
        }
    }

    /// All circles; files that are in several that meet count as one.
    pub fn circles(&self) -> Vec<Circle> {
        let mut circles = Vec::new();
        let mut left: Vec<_> = self.files.keys().collect();
        while let Some(first) = left.first().copied() {
            // Those that it reaches, and that reach it.
            let back = |module: &&Vec<String>| {
                self.way(first, module).is_some() && self.way(module, first).is_some()
            };
            let files: Vec<_> = left.iter().copied().filter(back).collect();
            if files.is_empty() {
                left.remove(0);
                continue;
            }
            let around = files.iter().filter_map(|module| self.way(module, module));
            let edges = around.min_by_key(Vec::len).unwrap_or_default();
            let paths = files.iter().map(|module| self.files[*module].clone()).collect();
            circles.push(Circle { files: paths, edges });
            left.retain(|module| !files.contains(module));
        }
        circles
    }

    /// A shortest way from one file to another, of one edge at least.
    fn way(&self, from: &Vec<String>, to: &Vec<String>) -> Option<Vec<Edge>> {
        // Each file that is reached, and from where.
        let mut before: BTreeMap<&Vec<String>, &Vec<String>> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(module) = next.pop_front() {
            for target in self.edges[module].keys() {
                if before.contains_key(target) {
                    continue;
                }
                before.insert(target, module);
                next.push_back(target);
            }
            if before.contains_key(to) {
                break;
            }
        }
        let mut edges = Vec::new();
        let mut end = to;
        loop {
            let start = *before.get(end)?;
            edges.push(self.edge(start, end));
            if start == from {
                edges.reverse();
                return Some(edges);
            }
            end = start;
        }
    }
}

/// All files below a folder by their module paths.
fn modules(src: &Path) -> io::Result<BTreeMap<Vec<String>, PathBuf>> {
    let mut files = BTreeMap::new();
    for path in rust_files(src)? {
        let below = path.strip_prefix(src).unwrap_or(&path).with_extension("");
        let mut module: Vec<_> =
            below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let is_root = module.len() == 1 && matches!(module[0].as_str(), "lib" | "main");
        if is_root || module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        if let Some(other) = files.insert(module, path.clone()) {
            let other = other.display();
            let why = format!(
                "{} is the same module as {other}: expected one root a crate",
                path.display()
            );
            return Err(io::Error::other(why));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A crate of these files, in a folder of this name.
    fn graph(name: &str, files: &[(&str, &str)]) -> Graph {
        let src = std::env::temp_dir().join(format!("bptt-circles-{name}-{}", std::process::id()));
        for (file, source) in files {
            let file = src.join(file);
            fs::create_dir_all(file.parent().expect("it is in a folder")).expect("a folder");
            fs::write(file, source).expect("a file");
        }
        let graph = Graph::read(&src);
        fs::remove_dir_all(&src).expect("what was made");
        graph.expect("a crate")
    }

    #[test]
    fn files_that_look_down_have_no_circle() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use b::c::C;"),
            ("a.rs", "pub struct A;"),
            ("b/mod.rs", "//! [`C`](crate::b::c::C)\npub mod c;"),
            ("b/c.rs", "use crate::a::A;\n#[cfg(test)]\nmod tests { use crate::C; }"),
        ];
        let graph = graph("down", &files);
        assert_eq!((graph.len(), graph.circles().len()), (4, 0));
    }

    #[test]
    fn what_an_ancestor_exports_is_imported_from_it() {
        let files = [
            ("lib.rs", "mod a; mod b; mod d;"),
            ("a/mod.rs", "mod c; mod e;\npub(crate) use c::C;"),
            ("a/c.rs", "\n\nuse super::e::E;"),
            ("a/e.rs", "use std::fmt;\nfn f(_: &super::C) {}"),
            ("b.rs", "use crate::d::D;"),
            ("d.rs", "use crate::b::B;"),
        ];
        let circles = graph("export", &files).circles();
        let [first, second] = &circles[..] else { panic!("{circles:?}") };
        assert_eq!((first.files.len(), first.edges.len()), (3, 3));
        assert_eq!((second.files.len(), second.edges.len()), (2, 2));
        let text = first.to_string().replace('\\', "/");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "3 files import each other in a circle, for example");
        assert!(
            lines[1].contains("a/mod.rs:2 imports ")
                && lines[1].ends_with("a/c.rs (crate::a::c::C)"),
            "{text}"
        );
        assert!(
            lines[2].contains("a/c.rs:3 imports ") && lines[2].ends_with("a/e.rs (crate::a::e::E)"),
            "{text}"
        );
        assert!(
            lines[3].contains("a/e.rs:2 imports ") && lines[3].ends_with("a/mod.rs (crate::a::C)"),
            "{text}"
        );
    }

    #[test]
    fn files_of_tests_are_left_out() {
        let files = [
            ("lib.rs", "mod a;\n#[cfg(all(test, feature = \"x\"))]\nmod tests;"),
            ("a.rs", ""),
            ("tests/mod.rs", "mod b; use crate::a;"),
            ("tests/b.rs", "use super::*;"),
        ];
        assert_eq!(graph("tests", &files).len(), 2);
    }

    #[test]
    fn two_roots_are_refused() {
        let src = std::env::temp_dir().join(format!("bptt-circles-roots-{}", std::process::id()));
        fs::create_dir_all(&src).expect("a folder");
        for file in ["lib.rs", "main.rs"] {
            fs::write(src.join(file), "").expect("a file");
        }
        let error = Graph::read(&src).expect_err("two roots").to_string();
        fs::remove_dir_all(&src).expect("what was made");
        assert!(error.contains("expected one root a crate"), "{error}");
        let error = Graph::read(&src).expect_err("no folder").to_string();
        assert!(error.contains("bptt-circles-roots-"), "{error}");
    }
}
