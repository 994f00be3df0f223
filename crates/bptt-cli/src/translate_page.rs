//! A page with translations and their attention.

use bptt_probe::picture::{Figure, Page, WeightMatrix};
use bptt_zoo::{TranslateScores, Translation, figure};

/// How many pictures a page has at most.
const PICTURES: usize = 24;

/// A page about the test of a run.
pub fn translate_page(title: &str, exact_match: f64, scores: &TranslateScores) -> String {
    let all = ("right as a whole".to_string(), figure(exact_match));
    let forms = scores.forms.iter().map(|(form, share)| (form.to_string(), figure(*share)));
    let page = Page {
        title: title.to_string(),
        summary: "How many dates of the test are translated without a mistake, all of them and in each form; and what the \
                  model looks at while it writes."
            .to_string(),
        facts: [all].into_iter().chain(forms).collect(),
        figures: pictures(&scores.examples),
    };
    page.html()
}

/// A page with translations.
pub fn translations_page(title: &str, translations: &[Translation]) -> String {
    let said = translations.iter().map(|one| (one.source.clone(), one.said.clone()));
    let page = Page {
        title: title.to_string(),
        summary: "What the model says, and what it looks at while it writes.".to_string(),
        facts: said.collect(),
        figures: pictures(translations),
    };
    page.html()
}

fn pictures(translations: &[Translation]) -> Vec<Figure> {
    translations.iter().take(PICTURES).map(picture).collect()
}

/// The attention of a translation.
fn picture(of: &Translation) -> Figure {
    let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    let title = format!("{} → {}", of.source, of.said);
    let matrix = WeightMatrix {
        title: &title,
        rows: &letters(&of.said),
        columns: &letters(&of.source),
        weights: &of.weights,
    };
    Figure {
        svg: matrix.svg(),
        heading: title,
        reading: "A row for each character that is written, a column for each one that was read: bright where the decoder \
                  attends to it."
            .to_string(),
    }
}
