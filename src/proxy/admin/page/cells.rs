//! Values as people read them. The page's script writes them the same way.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// Text of whoever it may be, harmless in HTML's text and attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

/// Milliseconds since 1970, as a time in UTC.
pub(super) struct Time(pub(super) u64);

/// Milliseconds, as two units at most.
pub(super) struct Lasting(pub(super) u64);

/// A number of bytes.
pub(super) struct Bytes(pub(super) u64);

/// A bar that shows how much of a pool is in use.
pub(super) struct Share {
    pub(super) idle: usize,
    pub(super) in_use: usize,
    pub(super) max: usize,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;"),
                '<' => f.write_str("&lt;"),
                '>' => f.write_str("&gt;"),
                '"' => f.write_str("&quot;"),
                '\'' => f.write_str("&#39;"),
                other => fmt::Write::write_char(f, other),
            }?;
        }
        Ok(())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or_default();
        match Timestamp::from_millisecond(millis) {
            Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").fmt(f),
            Err(_) => f.write_str("–"),
        }
    }
}

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::from_millis(self.0).as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match () {
            () if days > 0 => write!(f, "{days} d {} h", hours % 24),
            () if hours > 0 => write!(f, "{hours} h {} min", minutes % 60),
            () if minutes > 0 => write!(f, "{minutes} min {} s", seconds % 60),
            () => write!(f, "{seconds} s"),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut shown, mut unit) = (self.0 as f64, "B");
        for larger in ["kB", "MB", "GB", "TB"] {
            if shown < 1000.0 {
                break;
            }
            (shown, unit) = (shown / 1000.0, larger);
        }
        if unit == "B" {
            return write!(f, "{shown:.0} B");
        }
        write!(f, "{shown:.1} {unit}")
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |count: usize| (count * 100).checked_div(self.max).unwrap_or(0).min(100);
        write!(
            f,
            "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{} of {} in use, {} idle\"><rect class=\"all\" width=\"100\" height=\"8\"/>\
             <rect class=\"used\" width=\"{used}\" height=\"8\"/>\
             <rect class=\"idle\" x=\"{used}\" width=\"{}\" height=\"8\"/></svg>",
            self.in_use,
            self.max,
            self.idle,
            percent(self.idle).min(100 - percent(self.in_use)),
            used = percent(self.in_use),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people() {
        assert_eq!(
            Escaped("<a href=\"'&").to_string(),
            "&lt;a href=&quot;&#39;&amp;"
        );
        assert_eq!(
            Time(1_700_000_000_000).to_string(),
            "2023-11-14 22:13:20 UTC"
        );
        for (millis, text) in [
            (999, "0 s"),
            (61_000, "1 min 1 s"),
            (7_260_000, "2 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(Lasting(millis).to_string(), text);
        }
        for (bytes, text) in [(999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
