//! Data from other programs: texts of other editors, and CSV files, many of them wrong or ambiguous.
//!
//! `tests/cases/data`: `open.csv` after BurntSushi/rust-csv#289, a quote that is never closed; `hz.csv`
//! and `low.csv` after ai2cm/fv3net#1111, the same curve at ten millions and at zero; `bom.txt` and
//! `plain.txt` after NVDLI/LDL#3, a text with a byte order mark and without.

use crate::{alone, start, tiny};
use bptt_zoo::{Error, Forecast, Series, Settings, Task, Text, data_path};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::tempdir;

fn case(name: &str) -> PathBuf {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    Path::new(&package).join("tests/cases/data").join(name)
}

fn parse(text: impl AsRef<[u8]>) -> Result<Series, Error> {
    Series::parse(text.as_ref(), "f.csv", "x")
}

fn refused(text: impl AsRef<[u8]>) -> String {
    let message = parse(text).expect_err("should be refused").to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.len() < 400, "{message}");
    message
}

#[test]
fn quotes_that_are_left_open_are_named_with_their_line() {
    let message = Series::load(&case("open.csv"), "x").unwrap_err().to_string();
    assert!(message.contains("open.csv, line 22: a quote is opened here and never"), "{message}");
    // The quote is closed by a quote of another row, which should open a field.
    let rows = "t,x,note\n0,1,a\n1,2,\"tap half open\n2,3,b\n3,4,\"c, d\"\n4,5,e\n";
    let message = refused(rows);
    assert!(message.starts_with("f.csv, line 5: text behind a closing quote;"), "{message}");
    assert!(message.contains("opened in line 3"), "{message}");
    assert!(refused("x\n\"1\"2\n").contains("line 2: text behind a closing quote; a quote"));
    // The quote is closed by accident. The text in between is rows, with any line ends.
    for end in ["\n", "\r\n", "\r"] {
        let rows = ["t,x,note", "0,1,a", "1,2,\"half", "2,3,b", "3,4,c\"", "4,5,d", ""].join(end);
        let message = refused(rows);
        assert!(
            message.starts_with("f.csv, line 3: field 3 is a text in quotes that"),
            "{message}"
        );
        assert!(message.contains("`2,3,b`"), "{message}");
    }
    let next_row = "t,x,note\n0,1,a\n1,2,\"half\n2,3,b\"\n3,4,c\n";
    assert!(refused(next_row).contains("line 3: field 3"));
    let before = "t,note,x\n0,a,1\n1,\"half,2\n2,b,3\n3,c\",4\n";
    assert!(refused(before).contains("line 3: field 2"));
}

#[test]
fn texts_of_several_lines_are_fine_where_their_quotes_are_closed() {
    let rows = "t,x,note\n0,1,\"two\nlines\"\n1,2,\"three\r\n\r\nlines, commas, \"\"quotes\"\"\" \n\
                2,3,5\" pipe\n3,4,\"length 3, 4, 5\nfoo, 1, 2\"\n4,5,\"\"\n";
    let series = parse(rows).unwrap();
    assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0, 5.0]);
    // Line numbers are right after such fields.
    let wrong = rows.to_string() + "5,six,\n";
    assert!(refused(wrong).starts_with("f.csv, line 11: `x` is `six`"));
}

#[test]
fn a_blank_line_is_a_gap_where_there_is_one_column_and_said_where_there_are_more() {
    for end in ["\n", "\r\n", "\r"] {
        let text = |lines: &[&str]| lines.join(end);
        let series = parse(text(&["x", "", "1", "", "", "4", " ", "\"\"", "7", "", ""])).unwrap();
        assert_eq!(series.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "{end:?}");
        assert_eq!(series.gaps(), 4);
        assert_eq!(series.notes, [""; 0]);
        let series = parse(text(&["", "t,x", "", "0,1", "", "", "1,4", "", ""])).unwrap();
        assert_eq!(series.values, [1.0, 4.0]);
        assert_eq!(series.notes, ["3 blank lines left out"]);
        let message = refused(text(&["", "t,x", "", "0,1", "", "", "1,four", ""]));
        assert!(message.starts_with("f.csv, line 7:"), "{end:?}: {message}");
    }
}

#[test]
fn rows_that_sum_up_others_are_refused() {
    let rows = |last: &str| format!("t,x,y\n2001,1,5\n2002,2,6\n2003,4,7\n2004,3,8\n{last}\n");
    for last in [
        "Total,10,26",
        "TOTAL:,10,26",
        "Grand total,10,26",
        "Total 2001-2004,10,26",
        ",10,total",
        "Mean,2.5,6.5",
        "Summe,10,26",
        "all,10,26",
        "n/a,10,26",
        ",10,",
        "\"\",10,",
        "Sum,10,26\nMean,2.5,6.5",
    ] {
        let message = refused(rows(last));
        assert!(message.starts_with("f.csv, line 6: "), "{last}: {message}");
        assert!(message.contains("take it out"), "{last}: {message}");
    }
    // A few such rows are also refused if they are not at the end.
    let many = "t,x\n".to_string() + &"a,1\nb,2\n".repeat(5) + "Total 1,15\n" + &"c,3\n".repeat(5);
    assert!(refused(many).starts_with("f.csv, line 12: `Total 1` looks like a row that sums up"));
    // Labels, gaps, and summary rows on purpose are accepted.
    for last in ["2005,5,", "2005,5,n/a", "2005-06,5,9", "Total,,", ",,"] {
        parse(rows(last)).unwrap();
    }
    parse("t,x\n1,1\n1,2\n").unwrap();
    parse("name,x\nthe,1\nTotal recall,2\nmeans,3\nb,1\nMax,2\n").unwrap();
    parse("stat,x\n".to_string() + &"mean,1\nmedian,2\nmax,3\n".repeat(4)).unwrap();
    parse("stat,x\n".to_string() + &"max,3\n".repeat(4) + &"mean,1\n".repeat(4)).unwrap();
    parse("stat,x\n".to_string() + &"mean,1\nmean,2\n".repeat(4)).unwrap();
}

#[test]
fn a_last_value_that_is_the_sum_of_all_is_said() {
    let series = parse("x\n1.5\n2\n0.25\n3\n4\n1\n11.75\n").unwrap();
    let note = "the last value, line 8, is the sum of all before: is it a total?";
    assert_eq!(series.notes, [note]);
    assert_eq!(parse("x\n1.5\n2\n0.25\n3\n4\n1\n11.5\n").unwrap().notes, [""; 0]);
    assert_eq!(parse("x\n0\n0\n0\n0\n0\n0\n0\n").unwrap().notes, [""; 0]);
}

#[test]
fn files_of_other_programs_are_refused_with_what_would_be_right() {
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let mistakes: &[(&[u8], &str)] = &[
        (b"x\n1,5\n", "line 2: 2 fields, expected 1 (a field with a comma"),
        (b"t,x\n0,1,5\n", "line 2: 3 fields, expected 2 (a field with a comma"),
        (b"x\n1\n-inf\n", "line 3: `x` is `-inf`, expected a number"),
        (b"x\n1\n1e999\n", "line 3: `x` is `1e999`, expected a number that a double can hold"),
        (b"x\n1\n1.2.3\n", "line 3: `x` is `1.2.3`, expected a number"),
        (b"0,1\n1,2\n", "there are: 0, 1; the first line has to be the columns' names"),
        (b"x,t,x\n1,2,3\n", "line 1: more than one column is called `x`"),
        (b"gr\xf6\xdfe,t\n1,2\n", "line 1: no column `x`; there are: gr\u{f6}\u{df}e, t"),
        (b"t,x\n0,gr\xf6\xdfe\n", "line 2: `x` is `gr\u{f6}\u{df}e`, expected a number"),
        (
            b"t,x\n0,\"1,234\"\n",
            "line 2: `1,234` may be a number with a decimal comma or with a mark",
        ),
        (b"t;x\n0;1,5\n1;2.5\n", "`1,5` has a decimal comma, and `2.5` a decimal point"),
        (b"t;x\n0;1,5\n1;2,5;3\n", "line 3: 3 fields, expected 2"),
        (b"x,a;x\n1,2;1\n", "line 1: commas and other marks may separate the fields"),
        (b"\xff\xfet\0,\0x", "f.csv: it begins as UTF-16, and is none"),
        (b"t,x\n0,\x00001\n", "f.csv: a zero byte at byte 6"),
        (&utf16("t,x\n0,1\n"), "UTF-16 by its looks"),
        (b"t,x\n", "the column `x` has no number"),
        (b"t,x", "the column `x` has no number"),
        (b"", "line 1: no column `x`: the file is empty"),
        (b"\n\n", "no column `x`: the file is empty"),
        (b"\xef\xbb\xbf", "no column `x`: the file is empty"),
    ];
    for (text, named) in mistakes {
        let message = refused(text);
        assert!(message.contains(named), "{named}: {message}");
    }
    // Messages about long lines are short.
    let long = "y".repeat(1 << 20);
    refused(format!("{long},{long}\n1,2\n"));
    refused(format!("t,x\n1,{long}\n"));
    refused(format!("t,x\n1,2,{long}\n"));
    refused("y,".repeat(10_000));
    // Data that only looks wrong is read.
    let fine: &[&[u8]] = &[
        b"\xef\xbb\xbfx\n1\n2\n",
        b"\xef\xbb\xbf\"x\"\n1\n2\n",
        b"\"x\",\"gr\xf6\xdfe\"\n1,gr\xf6\xdfe\n 2 ,\n",
        b"y,x,y\n3,+1.,\n3,2e0,\n",
        b" x , t \r\n\t1,\r\n\"2\" ,",
    ];
    for text in fine {
        assert_eq!(parse(text).unwrap().values, [1.0, 2.0]);
    }
}

/// Tables as programs of other countries write them. How they were read is said.
#[test]
fn other_separators_marks_and_words_are_read_where_they_are_sure() {
    let utf16 = |text: &str| -> Vec<u8> {
        let marked = "\u{feff}".to_string() + text;
        marked.encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    let semicolons = "fields separated by `;`";
    let commas = "numbers with decimal commas (`1,5`)";
    let tables: &[(&[u8], &[&str])] = &[
        (b"t;x\n0;1,5\n1;2000\n", &[semicolons, commas]),
        (b"t, in s;\"x\"\n0;1.5\n1;2000\n", &[semicolons]),
        (b"t\tx\n0\t1.5\n1\t2000\n", &["fields separated by tabs"]),
        (b"t|x\n0|1.5\n1|2000\n", &["fields separated by `|`"]),
        (b"t,x\n0,\"1,5\"\n1,2000\n", &[commas]),
        (
            b"t;x\n0;1,5\n1;2.000\n",
            &[semicolons, "numbers with decimal commas and points between thousands (`1,5`)"],
        ),
        (b"x\n1.5\n2 000\n", &["numbers with spaces between thousands (`2 000`)"]),
        (b"x\n1.5\nNaN\n2000\n", &["`NaN` in line 3 read as no value"]),
        (b"\xe4,x\n0,1.5\n1,2000\n", &["not UTF-8, read as Windows-1252"]),
        (&utf16("t;x\n0;1,5\n1;2000\n"), &["read as UTF-16", semicolons, commas]),
    ];
    for (text, notes) in tables {
        let series = parse(text).unwrap();
        let known = series.values.iter().zip(&series.known).filter(|(_, known)| **known);
        let known: Vec<f64> = known.map(|(value, _)| *value).collect();
        assert_eq!(known, [1.5, 2000.0], "{}", String::from_utf8_lossy(text));
        assert_eq!(series.notes, *notes, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn a_level_changes_nothing_that_is_learned() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = |name: &str| {
        let settings = Settings {
            layers: 1,
            dropout: 0.0,
            hidden: 16,
            batch: 16,
            steps: Some(300),
            ..tiny::<Forecast>()
        };
        let settings = settings.with_option("csv", case(name).display().to_string());
        let settings = settings.with_option("column", "hz").with_option("length", 10);
        // A linear part would leave nothing to learn.
        let settings = settings.with_option("test_share", 0).with_option("combine", "none");
        let (result, lines) = start(&settings, &folder.path().join(name), false).unwrap();
        // Errors of some millionths are printed with significant digits.
        let said = lines.iter().filter(|line| line.contains("rmse"));
        assert!(said.clone().count() >= 2, "{lines:?}");
        for line in said {
            assert!(!line.contains("rmse 0.0000") && !line.contains("(rmse 0.0000)"), "{line}");
        }
        result
    };
    let (low, hz) = (run("low.csv"), run("hz.csv"));
    // The rounding in the file itself, f64 at ten millions, is a millionth of the usual change.
    let ratio = hz.valid_loss / low.valid_loss;
    assert!((0.99..1.01).contains(&ratio), "{} and {}", low.valid_loss, hz.valid_loss);
    assert!(hz.valid_loss < 1e-4, "{}", hz.valid_loss);
}

#[test]
fn many_gaps_and_a_far_horizon_take_no_longer() {
    let rows: usize = 200_000;
    let line = |t: usize| match t % 2 {
        0 => format!("{t},{}\n", (t * t) % 1009),
        _ => format!("{t},\n"),
    };
    let half = "t,x\n".to_string() + &(0..rows).map(line).collect::<String>();
    // One gap, nearly as long as the file.
    let one = format!("x\n1\n2{}3\n4\n5\n", "\n".repeat(rows));
    let full = "x\n".to_string() + &(0..rows).map(|t| format!("{}\n", t % 7)).collect::<String>();
    let begun = Instant::now();
    assert_eq!(parse(half).unwrap().gaps(), rows / 2 - 1);
    assert_eq!(parse(one).unwrap().gaps(), rows - 1);
    let settings = Forecast::defaults().with_option("length", 10).with_option("horizon", 1 << 14);
    Forecast::with_series(&settings, parse(full).unwrap()).unwrap();
    // It takes some hundredths of a second. A quadratic loop would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_byte_order_mark_is_no_character() {
    let (bom, plain) = (Text::load(Some(&case("bom.txt"))), Text::load(Some(&case("plain.txt"))));
    let (bom, plain) = (bom.unwrap(), plain.unwrap());
    assert_eq!(bom.vocabulary, plain.vocabulary);
    assert_eq!((&bom.numbers, bom.fingerprint), (&plain.numbers, plain.fingerprint));
}

#[test]
fn what_is_no_file_is_said_at_once() {
    let folder = tempdir().unwrap();
    let begun = Instant::now();
    let refused = |path: &Path, named: &str| {
        let path_alone = data_path(path).unwrap_err().to_string();
        let text = Text::load(Some(path)).unwrap_err().to_string();
        let series = Series::load(path, "x").unwrap_err().to_string();
        for message in [path_alone, text, series] {
            assert!(message.starts_with("cannot read ") && message.contains(named), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    };
    refused(folder.path(), "not a file: it is a folder");
    refused(&folder.path().join("none"), "No such file");
    #[cfg(unix)]
    {
        refused(
            Path::new("/dev/zero"),
            "not a file: it is a pipe or a device; give a file, or `-`",
        );
        let pipe = folder.path().join("pipe");
        let made =
            std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
        assert!(made.success());
        refused(&pipe, "not a file: it is a pipe or a device; give a file, or `-`");
        assert!(bptt_zoo::weights::WeightFile::read(&pipe, None).is_err());
    }
    // Sparse files of five GiB and of one GiB.
    let hole = folder.path().join("hole");
    let file = std::fs::File::create(&hole).unwrap();
    file.set_len(5 << 30).unwrap();
    let message = Text::load(Some(&hole)).unwrap_err().to_string();
    assert!(
        message.ends_with("it has more than 4 GiB, and that is the most that is read"),
        "{message}"
    );
    file.set_len(1 << 30).unwrap();
    let message = Series::load(&hole, "x").unwrap_err().to_string();
    assert!(message.ends_with("a zero byte at byte 0; give a text"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(data_path(Path::new("-")).unwrap(), "-");
    assert!(Path::new(&data_path(&hole).unwrap()).is_absolute());
}
