//! Files and functions that are too long to be read at once.

use crate::files::{rust_files, text};
use crate::tokens::{Token, tokens};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The most lines of a file, with its tests.
pub const FILE: usize = 500;

/// The most lines of a function, from `fn` to the closing brace.
pub const FUNCTION: usize = 100;

/// A file or a function with more lines than it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The file.
    pub file: PathBuf,
    /// The function's name and first line; `None` if the whole file is meant.
    pub function: Option<(String, usize)>,
    /// How many lines it has.
    pub lines: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, function, lines } = self;
        let file = file.display();
        match function {
            Some((name, line)) => {
                write!(f, "{file}:{line}: `{name}` has {lines} lines, at most {FUNCTION} are fine")
            }
            None => write!(f, "{file}: {lines} lines, at most {FILE} are fine"),
        }
    }
}

/// All that is too long below a folder.
///
/// # Errors
///
/// If the folder or a file cannot be read: the error names it.
pub fn too_long(src: &Path) -> io::Result<Vec<TooLong>> {
    let mut found = Vec::new();
    for file in rust_files(src)? {
        let source = text(&file)?;
        let lines = source.lines().count();
        if lines > FILE {
            found.push(TooLong { file: file.clone(), function: None, lines });
        }
        let long = functions(&source).into_iter().filter(|function| function.lines > FUNCTION);
        found.extend(long.map(|Function { name, line, lines }| TooLong {
            file: file.clone(),
            function: Some((name, line)),
            lines,
        }));
    }
    Ok(found)
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// All functions that have a body, also those within others.
fn functions(source: &str) -> Vec<Function> {
    let tokens = tokens(source);
    let named = tokens.windows(2).enumerate();
    // `fn(A) -> B` is a type.
    let named = named.filter(|(_, pair)| pair[0].text == "fn" && pair[1].is_word());
    named
        .filter_map(|(at, pair)| {
            let (name, line) = (pair[1].text.to_string(), pair[0].line);
            let end = end_of_body(&tokens[at..])?;
            Some(Function { name, line, lines: end - line + 1 })
        })
        .collect()
}

/// The line in which the function ends that begins here; `None` if it has no body.
fn end_of_body(tokens: &[Token<'_>]) -> Option<usize> {
    let (mut brackets, mut braces) = (0, 0);
    for token in tokens {
        match token.text {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets -= 1,
            "{" => braces += 1,
            "}" => braces -= 1,
            // Not that of `[T; N]`.
            ";" if braces == 0 && brackets == 0 => return None,
            _ => continue,
        }
        if token.text == "}" && braces == 0 && brackets == 0 {
            return Some(token.line);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_the_name_to_the_brace() {
        let source = "
            #[test]
            fn a(x: [u8; 2]) -> [u8; 2] {
                let f: fn(u8) = b;
                fn c() {}
                match x { _ => x }
            }
            trait T {
                fn without(&self) -> [u8; 3];
                fn with(&self) { \"}\"; }
            }";
        let found = functions(source);
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(found, [("a", 3, 5), ("c", 5, 1), ("with", 10, 1)]);
    }

    #[test]
    fn what_is_too_long_is_named() {
        let folder = std::env::temp_dir().join(format!("bptt-lengths-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("inner")).expect("a temporary folder");
        let write = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).expect("the folder can be written");
        };
        let body = |lines: usize| format!("fn f() {{\n{}}}\n", "    f();\n".repeat(lines - 2));
        write("fine.rs", format!("{}{}", body(FUNCTION), "//\n".repeat(FILE - FUNCTION)));
        write("inner/file.rs", "//\n".repeat(FILE + 1));
        write("inner/function.rs", body(FUNCTION + 1));
        let found = too_long(&folder).expect("the folder can be read");
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
        assert_eq!(
            found,
            [
                TooLong { file: folder.join("inner/file.rs"), function: None, lines: FILE + 1 },
                TooLong {
                    file: folder.join("inner/function.rs"),
                    function: Some(("f".to_string(), 1)),
                    lines: FUNCTION + 1
                }
            ]
        );
    }
}
