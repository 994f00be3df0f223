//! Pictures on a page.

use crate::landscape::frame::escaped;
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

/// A page of HTML: self-contained, without scripts, light or dark as the reader's system is, and light when printed.
#[derive(Clone, Debug, PartialEq)]
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
        let title = escaped(&self.title);
        let mut page = HEAD.replace("TITLE", &title);
        let _ =
            writeln!(page, "<h1>{title}</h1>\n<p class=\"summary\">{}</p>", escaped(&self.summary));
        page.push_str("<table>\n");
        for (name, value) in &self.facts {
            let _ =
                writeln!(page, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value));
        }
        page.push_str("</table>\n");
        for figure in &self.figures {
            let _ = writeln!(
                page,
                "<figure>\n<h2>{}</h2>\n{}<figcaption>{}</figcaption>\n</figure>",
                escaped(&figure.heading),
                figure.svg,
                escaped(&figure.reading),
            );
        }
        page.push_str("</body></html>\n");
        page
    }
}

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
:root { --ink: #1b1b1b; --soft: #555; --paper: #fff; --axis: #888; --curve: #3b6ea5; --area: #3b6ea533; --mark: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #aaa; --paper: #16181b; --axis: #777; --curve: #7fb2e5; --area: #7fb2e533; --mark: #ff8a7d }
}
@media print {
  :root { --ink: #1b1b1b; --soft: #555; --paper: #fff; --axis: #888; --curve: #3b6ea5; --area: #3b6ea533; --mark: #b3261e }
}
body { font: 15px/1.5 Georgia, serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: var(--ink); background: var(--paper) }
h1 { font-size: 1.6em; margin-bottom: .3em } h2 { font-size: 1.2em; margin: 2em 0 .5em }
table { border-collapse: collapse; font: 13px/1.4 ui-monospace, "DejaVu Sans Mono", monospace }
th { text-align: left; font-weight: normal; color: var(--soft) } td, th { padding: .12em .9em .12em 0; vertical-align: top }
td { overflow-wrap: anywhere }
.summary { font-size: 1.05em }
figure { margin: 0; break-inside: avoid } figcaption { font-size: .95em; color: var(--ink); max-width: 44em }
svg { width: 100%; max-width: 720px; height: auto; display: block }
svg text { font: 13px ui-sans-serif, "DejaVu Sans", sans-serif; fill: var(--soft) } svg text.name { fill: var(--ink) }
.axis { stroke: var(--axis); fill: none }
.curve { stroke: var(--curve); stroke-width: 2; fill: none; stroke-linejoin: round } .broken { stroke: var(--mark); stroke-dasharray: 7 4 }
.area { fill: var(--area) }
.mark { stroke: var(--mark); stroke-dasharray: 4 3 }
.contour { fill: none; stroke-width: .8; opacity: .6 } .bright { stroke: #fff } .dark { stroke: #000 }
.halo { stroke: #000; stroke-width: 4.5; fill: none; stroke-linejoin: round; opacity: .8 }
.cross { stroke: #fff; stroke-width: 2 } .way { stroke: #fff; stroke-width: 2; fill: none; stroke-linejoin: round }
.way.dashed { stroke: #ff9d5c; stroke-dasharray: 7 4 }
@media print { body { font-size: 10pt; margin: 0; max-width: none } table { font-size: 8pt } @page { margin: 15mm } }
</style></head><body>
"#;

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
    }
}
