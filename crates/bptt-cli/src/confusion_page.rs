//! A page with a confusion matrix.

use bptt_probe::picture::{CountMatrix, Figure, Page};
use bptt_zoo::{Confusion, figure};

/// The page.
///
/// # Arguments
///
/// - `what`: on which data
pub fn confusion_page(title: &str, what: &str, confusion: &Confusion) -> String {
    let Confusion { labels, counts } = confusion;
    let matrix = CountMatrix {
        title: "How often each label is said where each label is right",
        names: labels,
        counts,
        axes: ["the right label", "the label that the model says"],
    };
    let f1 = confusion.f1();
    let of_labels = labels.iter().zip(&f1).filter_map(|(label, f1)| Some((label, (*f1)?)));
    let worst = of_labels.min_by(|(_, a), (_, b)| a.total_cmp(b));
    let worst = worst.map(|(label, f1)| ("lowest F1", format!("{} ({label})", figure(f1))));
    let facts = [
        ("answers", confusion.total().to_string()),
        ("accuracy", figure(confusion.accuracy())),
        ("macro F1", figure(confusion.macro_f1())),
    ];
    let facts = facts.into_iter().chain(worst);
    let figure = Figure {
        heading: "Confusion matrix".to_string(),
        svg: matrix.svg(),
        reading: "Each row has the sequences or steps with one right label; each column those where the model \
                  says one label. On the diagonal the model is right. The colour is the share of the row, dark \
                  for none and bright for all; a grey row has no answers."
            .to_string(),
    };
    let page = Page {
        title: title.to_string(),
        summary: format!("Which labels the model says, {what}."),
        facts: facts.map(|(name, value)| (name.to_string(), value)).collect(),
        figures: vec![figure],
    };
    page.html()
}
