//! Pictures on a page.

use crate::picture::style::{END, head};
use crate::picture::text::escaped;
use std::fmt::Write;

/// A picture with its heading and a paragraph on how to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The heading.
    pub heading: String,
    /// The picture.
    pub svg: String,
    /// How to read it: text, without HTML.
    pub reading: String,
}

impl Figure {
    /// The figure as HTML.
    pub fn html(&self) -> String {
        format!(
            "<figure>\n<h2>{}</h2>\n{}<figcaption>{}</figcaption>\n</figure>\n",
            escaped(&self.heading),
            self.svg,
            escaped(&self.reading),
        )
    }
}

/// A page of HTML: self-contained, without scripts, light or dark as the reader's system is, and light when printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The title.
    pub title: String,
    /// One or two sentences below it.
    pub summary: String,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// The pictures.
    pub figures: Vec<Figure>,
}

impl Page {
    /// The text of the page.
    pub fn html(&self) -> String {
        let mut page = head(&self.title);
        let (title, summary) = (escaped(&self.title), escaped(&self.summary));
        let _ = writeln!(page, "<h1>{title}</h1>\n<p>{summary}</p>\n<table>");
        for (name, value) in &self.facts {
            let _ =
                writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value));
        }
        page.push_str("</table>\n");
        self.figures.iter().for_each(|figure| page.push_str(&figure.html()));
        page.push_str(END);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_self_contained_and_escapes_names() {
        let page = Page {
            title: "a < b".into(),
            summary: "c & d".into(),
            facts: vec![("run".into(), "<dir>".into())],
            figures: vec![Figure {
                heading: "h".into(),
                svg: "<svg></svg>\n".into(),
                reading: "r > s".into(),
            }],
        };
        let html = page.html();
        for part in ["<title>a &lt; b", "c &amp; d", "&lt;dir&gt;", "<svg></svg>", "r &gt; s"] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("http") && !html.contains("<script") && !html.contains("<dir>"));
        assert!(html.contains("prefers-color-scheme: dark") && html.contains("@media print"));
        assert!(!html.contains("TITLE") && !html.contains("LIGHT"), "all places are filled");
    }
}
