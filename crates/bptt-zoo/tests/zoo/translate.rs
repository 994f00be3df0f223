//! Dates in words to ISO dates.

use crate::{alone, start, tiny};
use bptt_zoo::predict::translate;
use bptt_zoo::{Parity, RunFolder, Settings, Translate};
use burn::tensor::Device;
use tempfile::tempdir;

#[test]
fn lines_are_translated_with_their_attention() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (out, file) = (folder.path().join("run"), folder.path().join("dates.txt"));
    let settings = Settings { bidirectional: true, ..tiny::<Translate>() };
    let (result, _) = start(&settings, &out, false).unwrap();
    let test = result.test.unwrap().translate.unwrap();
    assert_eq!((test.forms.len(), test.examples.len()), (12, 6));
    std::fs::write(&file, "The Tenth of September 1970\n\n  10.9.70\r\n").unwrap();
    let device = Device::flex();
    let found = translate(&RunFolder::new(&out), &file, &device).unwrap();
    let sources: Vec<_> = found.iter().map(|one| one.source.as_str()).collect();
    assert_eq!(sources, ["the tenth of september 1970", "10.9.70"]);
    for one in &found {
        assert!(one.probability > 0.0 && one.probability <= 1.0, "{one:?}");
        assert_eq!(one.weights.len(), one.said.chars().count());
        for row in &one.weights {
            assert_eq!(row.len(), one.source.len());
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
        }
    }
    // Each by itself has the same translation.
    std::fs::write(&file, "10.9.70").unwrap();
    let alone = translate(&RunFolder::new(&out), &file, &device).unwrap();
    assert_eq!(alone[0].said, found[1].said);

    for (text, expected) in
        [("10 März 1970", "has the character 'ä'"), ("\n", "no date in any line")]
    {
        std::fs::write(&file, text).unwrap();
        let message = translate(&RunFolder::new(&out), &file, &device).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let other = folder.path().join("parity");
    start(&tiny::<Parity>(), &other, false).unwrap();
    let message = translate(&RunFolder::new(&other), &file, &device).unwrap_err().to_string();
    assert!(message.contains("a run of `parity`, expected one of `translate`"), "{message}");
}
