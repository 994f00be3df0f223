use super::*;

/// A task whose network learns values.
fn task(text: &str, length: usize, horizon: usize) -> Result<Forecast, Error> {
    combined("none", text, length, horizon)
}

fn combined(how: &str, text: &str, length: usize, horizon: usize) -> Result<Forecast, Error> {
    let settings = Forecast::defaults().with_option("length", length).with_option("combine", how);
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
    for how in ["none", "linear", "residual"] {
        let message = combined(how, &text(&[7; 30]), 5, 1).unwrap_err().to_string();
        assert!(message.contains("all the same"), "{message}");
        let message = combined(how, &text(&[1, 2, 3, 4, 5]), 5, 1).unwrap_err().to_string();
        assert!(message.contains("5 values are too few for windows of 5"), "{message}");
        combined(how, &text(&(0..10).collect::<Vec<_>>()), 5, 1).unwrap();
    }
}

#[test]
fn a_network_learns_what_its_linear_part_leaves() {
    let value = |t: usize| ((t * t * 31) % 17) as f64 + 0.5 * t as f64;
    let text = "x\n".to_string() + &(0..80).map(|t| format!("{}\n", value(t))).collect::<String>();
    let series = || Series::parse(text.as_bytes(), "t", "x").unwrap();
    let of = |combine: &str| {
        let settings = Forecast::defaults().with_option("length", 6).with_option("horizon", 2);
        Forecast::with_series(&settings.with_option("combine", combine), series()).unwrap()
    };
    let (residual, plain) = (of("residual"), of("none"));
    assert!(plain.linear.is_none() && plain.config().linear.is_none());
    let linear = residual.config().linear.expect("a linear part");
    assert!(linear.is_sound(2, 6) && !linear.is_sound(2, 5) && !linear.is_sound(1, 6));
    let start = (0, 30);
    let said = linear.of_window(&residual.data, &residual.options, start);
    let change = residual.data.info.scales[0][0].change;
    let target = residual.reader().target(&residual.window(start));
    for (k, (said, target)) in said.iter().zip(target).enumerate() {
        assert!((said + change * f64::from(target) - value(36 + k)).abs() < 1e-4, "{k}");
    }
    // What a person is told of the last value is about the last value.
    let of_last = |task: &Forecast| task.describe().split(" on the").next().unwrap().to_string();
    assert_eq!(of_last(&residual), of_last(&plain));
    // In Rust, the model that is loaded says the same as the network with all that it adds.
    #[cfg(feature = "flex")]
    {
        let device = Device::flex();
        let model = residual.model(&device).unwrap();
        let values: Vec<f64> = (30..36).map(value).collect();
        let said = model.forecast(&[values], &device);
        let read = residual.reader().say(&model, &[residual.window(start)], &device);
        for (a, b) in said[0].iter().zip(&read[0]) {
            assert!((a - b.center).abs() < 1e-9 * (1.0 + a.abs()), "{a} {}", b.center);
        }
        assert_eq!(said[0].len(), 2);
    }
}
