//! Floats as text, in the manner of SQL Server's default style.

/// At most six significant digits, exponent of three digits: `1.23457e+008`.
pub(crate) fn short_form(value: f64) -> String {
    format_digits(value, 6)
}

/// Style 1 and 3 of CONVERT: eight or seventeen digits in scientific form.
pub(crate) fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}e{}", exponent_text(exponent))
}

fn format_digits(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    let limit = i32::try_from(digits).unwrap_or(i32::MAX);
    if power < -4 || power >= limit {
        return format!("{}e{}", trim(mantissa), exponent_text(exponent));
    }
    let places = usize::try_from(limit - 1 - power).unwrap_or(0);
    trim(&format!("{value:.places$}")).to_owned()
}

fn exponent_text(exponent: &str) -> String {
    let power: i32 = exponent.parse().unwrap_or(0);
    let sign = if power < 0 { '-' } else { '+' };
    format!("{sign}{:03}", power.abs())
}

fn trim(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_sql_server_prints_them() {
        for (value, text) in [
            (1.5, "1.5"),
            (123_456_789.0, "1.23457e+008"),
            (0.1, "0.1"),
            (-2.0, "-2"),
            (1e-7, "1e-007"),
            (1e-5, "1e-005"),
            (1e-4, "0.0001"),
            (100_000.0, "100000"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(short_form(value), text);
        }
        assert_eq!(scientific(1.0, 8), "1.0000000e+000");
    }
}
