//! Links of the documentation that lead nowhere.
//!
//! Two kinds are followed: relative links of Markdown, with their anchors, and paths from the root of the repository
//! in code spans, such as `docs/src/proof.md`. Links to other hosts are not.

use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

/// All that is wrong in a Markdown file, a line each.
///
/// # Errors
///
/// If the file cannot be read.
pub fn broken(root: &Path, file: &Path) -> io::Result<Vec<String>> {
    let source = fs::read_to_string(file)?;
    let folder = file.parent().unwrap_or(root);
    let mut found = Vec::new();
    let mut is_code = false;
    for (line, number) in source.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        if is_code {
            continue;
        }
        // What is between backticks is every other piece.
        let (text, code): (Vec<_>, Vec<_>) =
            line.split('`').enumerate().partition(|(index, _)| index % 2 == 0);
        let text = text.iter().map(|(_, piece)| *piece).collect::<Vec<_>>().join("`");
        let links = targets(&text).filter(|target| !leads(file, folder, target));
        let paths = code.iter().map(|(_, path)| *path);
        let paths = paths.filter(|path| is_path(path) && !root.join(path).exists());
        let wrong = links.chain(paths);
        found.extend(wrong.map(|target| format!("{}:{number}: {target}", file.display())));
    }
    Ok(found)
}

/// What the links of a line lead to.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, open)| {
        let target = &line[at + open.len()..];
        Some(&target[..target.find(')')?])
    })
}

/// Whether there is what a link names, and the heading in it.
fn leads(file: &Path, folder: &Path, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() { file.to_path_buf() } else { folder.join(path) };
    let has_heading =
        || fs::read_to_string(&path).is_ok_and(|source| anchors(&source).contains(anchor));
    path.exists() && (anchor.is_empty() || has_heading())
}

/// The anchors of all headings, as mdbook and forges make them.
fn anchors(source: &str) -> HashSet<String> {
    let headings = source.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Whether a code span is a path from the root of the repository on.
fn is_path(code: &str) -> bool {
    const FOLDERS: [&str; 7] =
        ["docs/", "crates/", "examples/", "benches/", "tools/", "fuzz/", ".ci/"];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    FOLDERS.iter().any(|folder| code.starts_with(folder)) && code.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_nowhere_is_named() {
        let root = std::env::temp_dir().join(format!("bptt-links-{}", std::process::id()));
        fs::create_dir_all(root.join("docs/src")).expect("a temporary folder");
        let chapter = root.join("docs/src/a.md");
        let text = "# A, the *first* one\n\
            [fine](b.md) [fine](#a-the-first-one) [fine](https://burn.dev) `docs/src/b.md` `docs/x*`\n\
            [wrong](c.md)\n\
            [wrong](b.md#none) `[fine](c.md)`\n\
            ```\n[fine](c.md)\n```\n\
            `docs/src/c.md`\n";
        fs::write(&chapter, text).expect("the folder can be written");
        fs::write(root.join("docs/src/b.md"), "# B\n").expect("the folder can be written");
        let found = broken(&root, &chapter).expect("the file can be read");
        fs::remove_dir_all(&root).expect("the folder is ours");
        let found: Vec<_> = found.iter().map(|line| &line[chapter.as_os_str().len()..]).collect();
        assert_eq!(found, [":3: c.md", ":4: b.md#none", ":8: docs/src/c.md"]);
    }
}
