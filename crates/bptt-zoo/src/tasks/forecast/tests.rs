use super::*;

fn task(text: &str, length: usize, horizon: usize) -> Result<Forecast, Error> {
    let settings = Forecast::defaults().with_option("length", length);
    let settings = settings.with_option("horizon", horizon).with_option("test_share", 0);
    Forecast::with_series(&settings, Series::parse(text.as_bytes(), "t", "x")?)
}

#[test]
fn windows_end_where_the_next_values_are_known_and_of_their_part() {
    // 40 values, of which 36 are for training. The 20th is a gap.
    let line = |t: usize| if t == 20 { "0,\n".to_string() } else { format!("0,{}\n", t * t) };
    let text = "t,x\n".to_string() + &(0..40).map(line).collect::<String>();
    let forecast = task(&text, 5, 2).unwrap();
    let expected: Vec<_> =
        (0..30).filter(|start| ![14, 15].contains(start)).map(|start| (0, start)).collect();
    assert_eq!(forecast.data.train, expected);
    assert_eq!(forecast.data.valid, [(0, 31), (0, 32), (0, 33)]);
    assert!(forecast.data.test.is_empty());
    assert!(forecast.describe().starts_with("40 values, 1 of them filled in; windows of 5"));
    let change = forecast.data.info.scales[0][0].change;
    let target = forecast.reader().target(&forecast.window((0, 31)));
    let target: Vec<f64> = target.iter().map(|x| f64::from(*x) * change).collect();
    assert!((target[0] - (36 * 36 - 35 * 35) as f64).abs() < 1e-3, "{target:?}");
    assert!((target[1] - (37 * 37 - 35 * 35) as f64).abs() < 1e-3, "{target:?}");
}

#[test]
fn no_window_knows_what_is_to_be_said() {
    // Every other value is a gap, and some more values in a row. The value after a gap is varied.
    let text = |changed: usize, value: usize| {
        let line = |t: usize| match t {
            _ if t == changed => format!("{t},{value}\n"),
            _ if t % 2 == 1 || (10..20).contains(&t) => format!("{t},\n"),
            _ => format!("{t},{}\n", (t * t) % 17),
        };
        "t,x\n".to_string() + &(0..60).map(line).collect::<String>()
    };
    for changed in [6, 20, 40] {
        let [a, b] = [5, 99].map(|value| task(&text(changed, value), 5, 1).unwrap());
        let start = changed - 5;
        assert!(a.data.train.contains(&(0, start)), "{changed}");
        let read = |task: &Forecast, start| task.data.series[0].window(0, start..start + 5);
        assert_eq!(read(&a, start), read(&b, start), "{changed}");
        // In a later window, the gap is filled by linear interpolation.
        assert_ne!(read(&a, start + 1), read(&b, start + 1));
        let unit = b.data.info.scales[0][0].change;
        let said = b.reader().target(&b.window((0, start)));
        let said: Vec<f64> = said.iter().map(|x| f64::from(*x) * unit).collect();
        let held = read(&b, start)[4];
        assert!((said[0] - (99.0 - held)).abs() < 1e-4, "{said:?} after {held}");
    }
}

#[test]
fn series_that_teach_nothing_are_one_line() {
    let text = |values: &[usize]| {
        "x\n".to_string() + &values.iter().map(|x| format!("{x}\n")).collect::<String>()
    };
    let message = task(&text(&[7; 30]), 5, 1).unwrap_err().to_string();
    assert!(message.contains("all the same"), "{message}");
    let message = task(&text(&[1, 2, 3, 4, 5]), 5, 1).unwrap_err().to_string();
    assert!(message.contains("5 values are too few for windows of 5"), "{message}");
    task(&text(&(0..10).collect::<Vec<_>>()), 5, 1).unwrap();
}
