//! Character models whose tokens are bytes, words or parts of words.

use crate::folders::timeless;
use crate::{alone, losses, options, start, tiny};
use bptt::Engine;
use bptt_zoo::sample::{SampleOptions, TextScore, sample, score};
use bptt_zoo::{CharLm, RunFolder, Settings, Task, Text, TokenizerKind};
use burn::tensor::Device;
use tempfile::tempdir;

const KINDS: &[(&str, TokenizerKind)] = &[
    ("chars", TokenizerKind::Chars),
    ("bytes", TokenizerKind::Bytes),
    ("words", TokenizerKind::Words),
    #[cfg(feature = "bpe")]
    ("bpe", TokenizerKind::Bpe),
];

fn settings(kind: &str) -> Settings {
    let sized = ["words", "bpe"].contains(&kind).then_some(400);
    tiny::<CharLm>().with_option("tokenizer", kind).with_option("vocab_size", sized)
}

#[test]
fn every_tokenizer_is_trained_resumed_and_loaded() {
    let _alone = alone();
    for &(name, kind) in KINDS {
        let folder = tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let of = |steps| Settings { steps: Some(steps), validate_every: 5, ..settings(name) };
        let (_, lines) = start(&of(20), &whole, false).unwrap();
        let unit = if kind == TokenizerKind::Chars { "characters, " } else { " characters" };
        assert!(lines[1].contains(unit), "{lines:?}");
        start(&of(10), &parts, false).unwrap();
        start(&of(20), &parts, true).unwrap();
        assert!(timeless(&whole) == timeless(&parts), "{name}");
        let (_, tokenizer) = RunFolder::new(&whole).char_model(&Device::flex()).unwrap();
        assert_eq!(tokenizer.kind(), kind);
        assert!(tokenizer.size() <= 400 && tokenizer.size() > 50, "{name}: {}", tokenizer.size());
        // Another tokenizer is another run.
        let other = if name == "bytes" { "words" } else { "bytes" };
        let longer = Settings { steps: Some(30), ..settings(other) };
        let message = start(&longer, &parts, true).unwrap_err().to_string();
        assert!(message.contains("the run to resume has"), "{message}");
    }
}

/// The numbers of a model's tokens mean nothing to a model with another tokenizer, also if there are as many.
#[test]
fn a_model_with_other_tokens_is_no_beginning() {
    let task = |kind: &str, text: &str| {
        let text = Text::parse(text.as_bytes(), "t").unwrap();
        CharLm::with_text(&settings(kind), text).unwrap()
    };
    let [ones, twos] = ["one and one, ", "two and two, "].map(|words| words.repeat(200));
    let message =
        |mut own: CharLm, other: CharLm| match own.adopt(&other.info(), &settings("words")) {
            Ok(()) => String::new(),
            Err(why) => why.to_string(),
        };
    assert_eq!(message(task("words", &ones), task("words", &ones)), "");
    assert!(message(task("words", &ones), task("words", &twos)).contains("other tokens"));
    assert!(message(task("bytes", &ones), task("words", &ones)).contains("other tokens"));
    assert!(message(task("chars", &ones), task("chars", &twos)).contains("other characters"));
}

#[test]
fn both_engines_have_the_same_losses_with_every_tokenizer() {
    let _alone = alone();
    for &(name, _) in KINDS {
        let folder = tempdir().unwrap();
        let of = |engine: Engine| {
            let out = folder.path().join(engine.name());
            start(&Settings { engine, lr: 2e-3, ..settings(name) }, &out, false).unwrap();
            losses(&out)
        };
        let (manual, autograd) = (of(Engine::Manual), of(Engine::Autograd));
        let far = manual.iter().zip(&autograd).any(|(a, b)| (a - b).abs() > 1e-4);
        assert!(!far && manual.len() == autograd.len(), "{name}: {manual:?}, {autograd:?}");
    }
}

/// In bits per character and per byte, a text has the same length whatever the tokens are.
#[test]
fn scores_do_not_depend_on_the_unit() {
    let _alone = alone();
    let device = Device::flex();
    let line = "The gates of the cell are open.\n";
    for &(name, kind) in KINDS {
        let folder = tempdir().unwrap();
        let run = RunFolder::new(folder.path().join("run"));
        let (result, _) = start(&settings(name), run.path(), false).unwrap();
        let of =
            |text: &str| score(&run, &Text::parse(text.as_bytes(), "t").unwrap(), &device).unwrap();
        let found = of(&line.repeat(30));
        let TextScore { tokens, characters, bytes, .. } = found;
        // The text is ASCII; the first token has no score.
        assert_eq!(characters, bytes);
        let (_, tokenizer) = run.char_model(&device).unwrap();
        let first = tokenizer.token(tokenizer.encode(line).numbers[0]).len();
        assert_eq!(bytes, 30 * line.len() - first, "{name}");
        assert_eq!(tokens == bytes, ["chars", "bytes"].contains(&name), "{name}");
        let nats = found.nats_per_token * tokens as f64;
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs();
        assert!(near(found.bits_per_byte, nats / bytes as f64 / std::f64::consts::LN_2), "{name}");
        assert!(near(found.nats_per_character, nats / characters as f64), "{name}");
        assert!(near(found.perplexity, found.nats_per_token.exp()), "{name}");
        // A new model says about as much of the text in every unit: log2 of the vocabulary, a token.
        let size = (tokenizer.size() as f64).log2();
        let whole = result.metric / result.valid_loss * std::f64::consts::LN_2;
        match kind {
            TokenizerKind::Chars | TokenizerKind::Bytes => assert!(near(whole, 1.0), "{name}"),
            _ => assert!(whole < 0.7, "{name}: {whole}"),
        }
        assert!(result.valid_loss < size, "{name}: {} nats of {size} bits", result.valid_loss);
    }
    // Two bytes a character.
    let folder = tempdir().unwrap();
    let run = RunFolder::new(folder.path().join("run"));
    start(&settings("bytes"), run.path(), false).unwrap();
    let text = Text::parse("x\u{e9}\u{e9}\u{e9}".as_bytes(), "t").unwrap();
    let found = score(&run, &text, &device).unwrap();
    assert_eq!((found.tokens, found.characters, found.bytes), (6, 3, 6));
    assert!((found.bits_per_character - 2.0 * found.bits_per_byte).abs() < 1e-12);
}

#[test]
fn every_tokenizer_writes_text() {
    let _alone = alone();
    for &(name, kind) in KINDS {
        let folder = tempdir().unwrap();
        let run = RunFolder::new(folder.path().join("run"));
        start(&settings(name), run.path(), false).unwrap();
        let write = |options: &SampleOptions| sample(&run, options, &Device::flex()).unwrap();
        let first = write(&options("The gate", 1));
        assert_eq!(first, write(&options("The gate", 1)));
        assert_ne!(first.texts, write(&options("The gate", 2)).texts);
        write(&options("", 1));
        // Only characters may be unknown.
        let strange = write(&options("The \u{4e2d}", 1));
        let said = strange.notes.iter().any(|note| note.contains("'\u{4e2d}'"));
        assert_eq!(said, kind == TokenizerKind::Chars, "{name}: {:?}", strange.notes);
        // Broken characters are counted.
        let replaced = first.texts[0].text.contains(char::REPLACEMENT_CHARACTER);
        let noted = first.notes.iter().any(|note| note.contains("U+FFFD"));
        assert_eq!(replaced, noted, "{name}: {first:?}");
        // A stop string may end inside of a token.
        let text = &first.texts[0].text;
        let Some((at, stop)) = text.char_indices().nth(7) else { continue };
        if stop == char::REPLACEMENT_CHARACTER {
            continue;
        }
        let stopping = SampleOptions { stop: vec![stop.to_string()], ..options("The gate", 1) };
        let stopped = &write(&stopping).texts[0];
        assert!(stopped.stopped && stopped.text.len() <= at, "{name}: {stopped:?} of {text:?}");
        assert!(text.starts_with(&stopped.text), "{name}: {stopped:?} of {text:?}");
    }
}

#[test]
fn what_a_tokenizer_does_not_have_is_refused_in_a_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let file = folder.path().join("short.txt");
    std::fs::write(&file, "a few words are no text, not with a chunk of so many tokens").unwrap();
    let short = |kind: &str| {
        settings(kind).with_option("text", file.display().to_string()).with_option("time", 60)
    };
    let with_size = |kind: &str, size: usize| settings(kind).with_option("vocab_size", size);
    for (settings, says) in [
        (settings("letters"), "--tokenizer letters: has to be chars, bytes, words or bpe"),
        (with_size("chars", 300), "--vocab-size 300: --tokenizer chars has no such choice"),
        (with_size("bytes", 300), "--vocab-size 300: --tokenizer bytes has no such choice"),
        (with_size("bpe", 256), "--vocab-size 256: has to be 257 to 131072"),
        (short("words"), "--time 60 needs 61 and 2"),
    ] {
        let message = start(&settings, &folder.path().join("run"), false).unwrap_err().to_string();
        assert!(message.contains(says) && message.lines().count() == 1, "{message}");
    }
    assert!(!folder.path().join("run").exists());
}

/// A folder of the first versions has no tokenizer in it.
#[test]
fn folders_without_a_tokenizer_have_characters() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    start(&tiny::<CharLm>(), &out, false).unwrap();
    let path = out.join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["text"].as_object().unwrap().len(), 3, "{text}");
    let settings = config["settings"].as_object_mut().unwrap();
    assert!(settings.remove("tokenizer").is_some() && settings.remove("vocab_size").is_some());
    std::fs::write(&path, config.to_string()).unwrap();
    let longer = Settings { steps: Some(30), ..tiny::<CharLm>() };
    assert_eq!(start(&longer, &out, true).unwrap().0.steps, 30);
}
