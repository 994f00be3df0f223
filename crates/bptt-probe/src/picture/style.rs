//! The head of every page, with the one style.

use crate::picture::text::escaped;

/// The end of a page.
pub const END: &str = "</body></html>\n";

/// The beginning of a page, up to and with `<body>`: its title, and the style for light and dark screens and for paper.
/// Nothing is loaded from elsewhere.
pub fn head(title: &str) -> String {
    HEAD.replace("TITLE", &escaped(title)).replace("LIGHT", LIGHT)
}

/// As [`head`], for a wide page: one with tables of many columns, or with several pictures side by side.
pub fn wide_head(title: &str) -> String {
    head(title).replace("<body>", "<body class=\"wide\">")
}

/// The colours by day and on paper: those of what is drawn are of M. Okabe and K. Ito, "Color universal design", 2008. By
/// night there are brighter ones of the same hues.
const LIGHT: &str = "--ink: #1b1b1b; --paper: #fff; --quiet: #555; --axis: #888; --grid: #e4e4e4; \
                     --blue: #0072b2; --orange: #d55e00; --green: #009e73; --purple: #cc79a7; \
                     --good: #1a7f4b; --good-area: #eef7f1; --bad: #b3261e; --bad-area: #fbeceb";

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e8e8e8; --paper: #16181c; --quiet: #aaa; --axis: #7b7f85; --grid: #30343a;
  --blue: #56b4e9; --orange: #e69f00; --green: #2fc79b; --purple: #e09ac2;
  --good: #4cc38a; --good-area: #14281e; --bad: #ff8a7d; --bad-area: #331a18 } }
@media print { :root { color-scheme: light; LIGHT } }
body { font: 16px/1.5 Georgia, "DejaVu Serif", serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: var(--ink); background: var(--paper) }
body.wide { max-width: 62em }
h1 { font-size: 1.6em; line-height: 1.25; margin-bottom: .3em } h2 { font-size: 1.15em; margin: 1.8em 0 .4em; break-after: avoid }
table { border-collapse: collapse; font: 14px/1.5 ui-monospace, "DejaVu Sans Mono", monospace } tr { break-inside: avoid }
th { text-align: left; font-weight: normal; color: var(--quiet) } td, th { padding: .1em 1em .1em 0; vertical-align: top }
td { overflow-wrap: anywhere } .wide table { font-size: 13px }
thead th { border-bottom: 1px solid var(--axis) } .wide td { overflow-wrap: normal } .wide td:first-child { white-space: nowrap }
td.what { font: 13px/1.4 Georgia, "DejaVu Serif", serif } td.n, th.n { text-align: right; white-space: nowrap }
.verdict { font-size: 1.15em; padding: .4em .8em; border-left: 6px solid }
.ok { border-color: var(--good); background: var(--good-area) } .bad { border-color: var(--bad); background: var(--bad-area) }
td.bad { color: var(--bad); font-weight: bold; background: none }
ul { font-size: .9em; color: var(--quiet); overflow-wrap: anywhere }
figure { margin: 0; break-inside: avoid } figcaption { font-size: .95em; max-width: 46em }
figure.small { display: inline-block; margin: .5em 1em .5em 0 } figure.small figcaption { color: var(--quiet) } .small text { font-size: 11px }
svg { display: block; width: 100%; height: auto }
text { font: 13px ui-sans-serif, "DejaVu Sans", sans-serif; fill: var(--quiet) } text.name { fill: var(--ink) }
svg path, svg circle { fill: none; stroke-width: 1.6; stroke-linejoin: round }
svg .grid { stroke: var(--grid); stroke-width: 1 } svg .axis { stroke: var(--axis); stroke-width: 1 }
.data, .s1 { --c: var(--blue) } .theory, .s2 { --c: var(--orange) } .s3 { --c: var(--green) } .s4 { --c: var(--purple) }
.zero { --c: var(--quiet) } .mark { --c: var(--orange) } .none { --c: var(--axis) }
svg .line { stroke: var(--c); stroke-width: 1.8 } svg .line.zero { stroke-width: 1.2 } svg .bar { stroke: var(--c); stroke-width: 1.2 }
svg .line.theory, svg .line.s2, svg .line.dashed { stroke-dasharray: 7 4 } svg .line.mark { stroke-width: 1.2; stroke-dasharray: 4 3 }
svg .line.s3 { stroke-dasharray: 2 3 } svg .line.s4 { stroke-dasharray: 9 3 2 3 }
svg .dot { fill: var(--c); fill-opacity: .75; stroke: none } svg .area { fill: var(--c); fill-opacity: .2; stroke: none }
svg .dots { stroke: var(--c); stroke-width: 4; stroke-linecap: round; stroke-opacity: .75 } svg .column { fill: var(--c); stroke: none }
svg .orbit { stroke: var(--quiet); stroke-width: .8; opacity: .35 } svg .slow { stroke: var(--ink); stroke-width: 1.5 }
svg .point { fill: var(--blue); stroke: var(--paper); stroke-width: 1.2 }
svg .point.open { fill: var(--paper); stroke: var(--orange); stroke-width: 2 } text.count { font-size: 11px; fill: var(--ink) }
text.label { fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 4px }
svg .contour { stroke-width: .8; opacity: .6 } svg .bright { stroke: #fff } svg .dark { stroke: #000 }
svg .halo { stroke: #000; stroke-width: 4.5; opacity: .8 } svg .cross, svg .way { stroke: #fff; stroke-width: 2 }
text.on-map { fill: #fff; stroke: #000; stroke-width: 3px; paint-order: stroke; stroke-linejoin: round }
svg .way.dashed { stroke: #ff9d5c; stroke-dasharray: 7 4 }
@media print { body, body.wide { font-size: 10pt; margin: 0; max-width: none } table, .wide table { font-size: 8pt } @page { margin: 15mm } }
</style></head><body>
"#;
