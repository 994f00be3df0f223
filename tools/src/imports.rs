//! What a file names of its own crate: by `use`, and by paths in the code.

use crate::tokens::{Token, tokens};
use std::collections::HashSet;

/// A path from the root of the crate on, and the line that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// What there is in a file.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    pub(crate) named: Vec<Named>,
    /// Modules that only tests are compiled with, in files of their own.
    pub(crate) tests: Vec<Vec<String>>,
}

/// A module of the file: itself, or one that stands in it.
#[derive(Default)]
struct Scope {
    path: Vec<String>,
    parent: Option<usize>,
    /// How many braces are open around its own.
    depth: usize,
    children: HashSet<String>,
    /// What `use` declares: a name, and the path to it.
    uses: Vec<(String, Named)>,
    /// Paths in the code.
    paths: Vec<Named>,
}

/// Reads a file, which is this module. Code that is compiled for tests alone is left out.
pub(crate) fn imports(source: &str, module: &[String]) -> Imports {
    let tokens = tokens(source);
    let mut parser =
        Parser { tokens: &tokens, at: 0, depth: 0, scopes: Vec::new(), now: 0, tests: Vec::new() };
    parser.scopes.push(Scope { path: module.to_vec(), ..Scope::default() });
    while parser.at < tokens.len() {
        parser.next();
    }
    let Parser { scopes, tests, .. } = parser;
    let mut named = Vec::new();
    for (index, scope) in scopes.iter().enumerate() {
        let uses = scope.uses.iter().map(|(_, path)| path);
        for Named { path, line } in uses.chain(&scope.paths) {
            let path = absolute(&scopes, index, path, 0);
            named.extend(path.map(|path| Named { path, line: *line }));
        }
    }
    named.sort_by_key(|named| named.line);
    Imports { named, tests }
}

/// How many names may stand for each other, before it is taken for an endless chain.
const MOST: usize = 16;

/// A path as it is written in a module, from the root of the crate on; `None` if it is another crate's.
fn absolute(scopes: &[Scope], scope: usize, path: &[String], depth: usize) -> Option<Vec<String>> {
    let of = &scopes[scope];
    let first = path.first()?.as_str();
    let (from, rest) = match first {
        "crate" => (Vec::new(), 1),
        "self" => (of.path.clone(), 1),
        "super" => {
            let up = path.iter().take_while(|part| *part == "super").count();
            (of.path[..of.path.len().checked_sub(up)?].to_vec(), up)
        }
        _ => (known(scopes, scope, first, depth)?, 1),
    };
    Some([&from[..], &path[rest..]].concat())
}

/// What a name stands for in a module: a module in it, or what it imports.
fn known(scopes: &[Scope], scope: usize, name: &str, depth: usize) -> Option<Vec<String>> {
    let of = &scopes[scope];
    if of.children.contains(name) {
        return Some([&of.path[..], &[name.to_string()]].concat());
    }
    match of.uses.iter().find(|(known, _)| known == name) {
        // `use name::…` names another crate, or it would stand for itself.
        Some((_, path)) if depth < MOST && path.path[0] != name => {
            absolute(scopes, scope, &path.path, depth + 1)
        }
        Some(_) => None,
        // With `use super::*`, what the module around it knows.
        None => {
            let is_all = |(name, path): &(String, Named)| name == "*" && path.path == ["super"];
            let parent = of.parent.filter(|_| of.uses.iter().any(is_all))?;
            known(scopes, parent, name, depth)
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// How many braces are open.
    depth: usize,
    scopes: Vec<Scope>,
    /// The module that is read.
    now: usize,
    tests: Vec<Vec<String>>,
}

impl<'a> Parser<'a> {
    /// The text so many tokens from here.
    fn text(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text)
    }

    fn is_word(&self, ahead: usize) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(Token::is_word)
    }

    /// Reads on.
    fn next(&mut self) {
        match self.text(0) {
            "{" => {
                self.depth += 1;
                self.at += 1;
            }
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                self.at += 1;
                if let (true, Some(parent)) =
                    (self.depth == self.scopes[self.now].depth, self.scopes[self.now].parent)
                {
                    self.now = parent;
                }
            }
            "#" => self.attribute(),
            // `pub(in path)` imports nothing.
            "pub" if self.text(1) == "(" => {
                self.at += 1;
                self.skip_group();
            }
            "mod" if self.is_word(1) && matches!(self.text(2), ";" | "{") => self.module(),
            "use" => self.uses(),
            // Of a name of a macro, nothing is known.
            "$" if self.text(1) != "crate" => self.at += 2,
            // Where an exported macro is used, it reaches only what the root exports: such a type is in no file for it.
            "$" if self.text(3).starts_with(char::is_uppercase) => self.at += 4,
            _ if self.is_word(0) && self.text(1) == "::" => self.path(),
            _ => self.at += 1,
        }
    }

    /// `mod name;` or `mod name {`.
    fn module(&mut self) {
        let (name, is_here) = (self.text(1).to_string(), self.text(2) == "{");
        let path = [&self.scopes[self.now].path[..], std::slice::from_ref(&name)].concat();
        self.scopes[self.now].children.insert(name);
        self.at += 3;
        if is_here {
            let (parent, depth) = (Some(self.now), self.depth);
            self.now = self.scopes.len();
            self.scopes.push(Scope { path, parent, depth, ..Scope::default() });
            self.depth += 1;
        }
    }

    /// A path in the code; behind a `.` it is a method's.
    fn path(&mut self) {
        let line = self.tokens[self.at].line;
        let is_method = self.at > 0 && matches!(self.tokens[self.at - 1].text, "." | "::");
        let mut path = vec![self.text(0).to_string()];
        self.at += 1;
        while self.text(0) == "::" && self.is_word(1) {
            path.push(self.text(1).to_string());
            self.at += 2;
        }
        if !is_method {
            self.scopes[self.now].paths.push(Named { path, line });
        }
    }

    fn uses(&mut self) {
        self.at += 1;
        self.use_tree(&[]);
    }

    /// One tree of a `use`, behind what it begins with.
    fn use_tree(&mut self, begin: &[String]) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let mut path = begin.to_vec();
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "}" | "") {
                        self.use_tree(&path);
                        self.at += usize::from(self.text(0) == ",");
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    self.scopes[self.now].uses.push(("*".to_string(), Named { path, line }));
                    return;
                }
                word if self.is_word(0) && word != "as" => {
                    path.push(word.to_string());
                    self.at += 1;
                }
                _ => break,
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let Some(mut name) = path.last().cloned() else {
            // Nothing that can be read.
            self.at += 1;
            return;
        };
        if self.text(0) == "as" {
            name = self.text(1).to_string();
            self.at += 2;
        }
        self.scopes[self.now].uses.push((name, Named { path, line }));
    }

    /// `#[…]`, and what it belongs to if only tests are compiled with that.
    fn attribute(&mut self) {
        self.at += 1 + usize::from(self.text(1) == "!");
        let begin = self.at;
        self.skip_group();
        let words: Vec<_> = self.tokens[begin..self.at].iter().map(|token| token.text).collect();
        let is_test = match words[..] {
            ["[", "cfg", "(", "test", ")", "]"] => true,
            ["[", "cfg", "(", "all", "(", ref all @ .., ")", ")", "]"] => {
                all.split(|&word| word == ",").any(|condition| condition == ["test"])
            }
            _ => false,
        };
        if is_test {
            self.skip_item();
        }
    }

    /// Goes behind what is in brackets that open here.
    fn skip_group(&mut self) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.text(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth <= 0 {
                return;
            }
        }
    }

    /// Goes behind an item, a field or a statement.
    fn skip_item(&mut self) {
        while self.text(0) == "#" {
            self.at += 1;
            self.skip_group();
        }
        if self.text(0) == "pub" {
            self.at += 1;
            if self.text(0) == "(" {
                self.skip_group();
            }
        }
        let kind = self.text(0);
        if kind == "mod" && self.text(2) == ";" {
            let path = [&self.scopes[self.now].path[..], &[self.text(1).to_string()]].concat();
            self.tests.push(path);
        }
        const ITEMS: [&str; 12] = [
            "mod",
            "fn",
            "impl",
            "use",
            "struct",
            "enum",
            "trait",
            "type",
            "const",
            "static",
            "unsafe",
            "macro_rules",
        ];
        let is_item = ITEMS.contains(&kind);
        loop {
            match self.text(0) {
                "" | "}" => return,
                ";" => break self.at += 1,
                "," if !is_item => break self.at += 1,
                "{" if kind != "use" => break self.skip_group(),
                "(" | "[" | "{" => self.skip_group(),
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(source: &str) -> Vec<String> {
        let module = ["a", "b"].map(String::from);
        imports(source, &module).named.into_iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn uses_are_read_with_all_their_braces() {
        assert_eq!(
            named("use crate::{c::{D, e::{self, F as G}}, h::*};\npub(crate) use super::i::J;"),
            ["c::D", "c::e", "c::e::F", "h", "a::i::J"]
        );
        assert_eq!(named("use std::fmt; use burn::{Tensor, tensor::Shape};"), [""; 0]);
        assert_eq!(named("use self::c::D; use super::super::e::F;"), ["a::b::c::D", "e::F"]);
    }

    #[test]
    fn a_child_is_one_only_where_it_is_declared() {
        assert_eq!(named("mod c; pub use c::D; use e::F;"), ["a::b::c::D"]);
        assert_eq!(named("use c::D; mod c { use super::E; }"), ["a::b::c::D", "a::b::E"]);
    }

    #[test]
    fn paths_in_the_code_count_too() {
        assert_eq!(named("fn f() -> crate::c::D { <E as super::g::H>::i() }"), ["c::D", "a::g::H"]);
        assert_eq!(named("macro_rules! m { () => { $crate::c::d() } }"), ["c::d"]);
        assert_eq!(named("macro_rules! m { () => { $crate::D::e::<$crate::F>() } }"), [""; 0]);
        assert_eq!(named("pub(in crate::a) fn f() {} pub(super) fn g() {}"), [""; 0]);
        assert_eq!(named("fn f() { x.parse::<u8>(); Vec::new(); std::mem::take(y) }"), [""; 0]);
    }

    #[test]
    fn a_name_that_was_imported_leads_on() {
        assert_eq!(named("use crate::c;\nfn f() { c::d::e() }"), ["c", "c::d::e"]);
        assert_eq!(named("use crate::c as x;\nuse x::d;"), ["c", "c::d"]);
        assert_eq!(
            named("use crate::c;\nmod d {\nuse super::*;\nfn f() { c::e() } }"),
            ["c", "a::b", "c::e"]
        );
        // Not in there without.
        assert_eq!(named("use crate::c;\nmod d {\nfn f() { c::e() } }"), ["c"]);
    }

    #[test]
    fn what_is_compiled_for_tests_alone_is_left_out() {
        let tests =
            "#[cfg(test)]\n#[allow(x)]\nmod tests { use super::*; fn f() { crate::c::d() } }";
        assert_eq!(named(tests), [""; 0]);
        assert_eq!(named("#[cfg(test)] use crate::{c, d}; use crate::e;"), ["e"]);
        assert_eq!(named("struct S { #[cfg(test)] x: crate::c::D, y: crate::e::F }"), ["e::F"]);
        assert_eq!(named("#[cfg(test)] fn f<A, B>() { crate::c::d() } use crate::e;"), ["e"]);
        assert_eq!(
            named("#[cfg(not(test))] use crate::c; #[cfg(feature = \"x\")] use crate::d;"),
            ["c", "d"]
        );
        let file = imports("#[cfg(all(test, feature = \"x\"))] mod t; mod u;", &[]);
        assert_eq!(file.tests, [["t"]]);
    }
}
