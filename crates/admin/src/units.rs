//! Numbers for people: IEC sizes, ages, thousands; and what people write instead of numbers.

/// Bytes as `1.2 GiB`, with one digit after the point below a hundred.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    // 1023.5 would round to four digits.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Milliseconds as `38 s`, `5 min`, `2 h`, `3 d`: rounded down, since it tells an age.
pub fn age(ms: u64) -> String {
    match ms / 1_000 {
        0 => format!("{ms} ms"),
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// A count with thousands set apart: `184,220`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 disk`, `6 disks`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A part of a whole as `12 %`; of nothing, 0.
pub fn percent(part: u64, whole: u64) -> String {
    let percent = (u128::from(part) * 100).checked_div(u128::from(whole)).unwrap_or(0);
    format!("{percent} %")
}

/// Bytes of a name or path for a terminal: control characters and what is not UTF-8 are shown escaped.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for piece in bytes.utf8_chunks() {
        for character in piece.valid().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in piece.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Units of a span of time, the longest first.
const SPANS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Seconds as `30d` or `36h`: in the longest unit that needs no fraction; weeks are written as days.
pub fn span(seconds: u64) -> String {
    let whole = |(_, unit): &&(&str, u64)| seconds > 0 && seconds.is_multiple_of(*unit);
    let (word, unit) = SPANS[1..].iter().find(whole).copied().unwrap_or(("s", 1));
    format!("{}{word}", seconds / unit)
}

/// Reads `30d`, `36h`, `90m` or `1w2d` as seconds.
pub fn parse_span(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no time; write a number and w, d, h, m or s, such as 30d or 36h");
    let mut rest = text;
    let mut seconds = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let known = SPANS.iter().find(|(word, _)| rest[digits..].starts_with(word));
        let (word, unit) = known.ok_or_else(wrong)?;
        seconds = number.checked_mul(*unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[digits + word.len()..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(seconds) }
}

const SIZES: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes as `64MiB`: in the largest unit that needs no fraction.
pub fn exact_size(bytes: u64) -> String {
    let whole = |power: &usize| bytes > 0 && bytes.is_multiple_of(1 << (10 * (power + 1)));
    match (0..SIZES.len()).rev().find(whole) {
        Some(power) => format!("{}{}", bytes >> (10 * (power + 1)), SIZES[power]),
        None => format!("{bytes}B"),
    }
}

/// Reads `64MiB`, `1.5T` or `1TB` (a power of ten) as bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size; write a number and a unit, such as 64MiB, 1.5T or 1TB");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let power = |letter: Option<char>| match letter {
        None => Some(0),
        Some(letter) => Some("kmgtpe".find(letter)? as i32 + 1),
    };
    let (power, base) = match unit.strip_suffix("ib").map(str::to_owned) {
        Some(letter) => (power(letter.chars().next().filter(|_| letter.len() == 1)), 1024f64),
        None => match unit.strip_suffix('b') {
            Some("") => (Some(0), 1000f64),
            Some(letter) if letter.len() == 1 => (power(letter.chars().next()), 1000f64),
            None if unit.len() <= 1 => (power(unit.chars().next()), 1024f64),
            _ => (None, 1f64),
        },
    };
    let bytes = number * base.powi(power.ok_or_else(wrong)?);
    if bytes >= 0.0 && bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (102_300, "99.9 KiB"),
            (102_399, "100 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (64 << 20, "64.0 MiB"),
            (5_400_000_000_000, "4.9 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn ages_counts_and_percentages_read_well() {
        assert_eq!(
            [age(7), age(38_999), age(300_000), age(7_200_000), age(200_000_000)],
            ["7 ms", "38 s", "5 min", "2 h", "2 d"]
        );
        assert_eq!(
            [count(0), count(999), count(184_220), count(1_000_000)],
            ["0", "999", "184,220", "1,000,000"]
        );
        assert_eq!([counted(1, "disk"), counted(2, "disk")], ["1 disk", "2 disks"]);
        assert_eq!([percent(1, 3), percent(0, 0), percent(u64::MAX, u64::MAX)], ["33 %", "0 %", "100 %"]);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable(b"a\x1b[2J\n\xff\xc3\xa9"), "a\\u{1b}[2J\\n\\xff\u{e9}");
    }

    #[test]
    fn spans_and_sizes_are_read_and_written_without_loss() {
        for (text, seconds) in [("30d", 2_592_000), ("36h", 129_600), ("90m", 5_400), ("0s", 0), ("7s", 7)] {
            assert_eq!((parse_span(text), span(seconds).as_str()), (Ok(seconds), text));
        }
        assert_eq!((parse_span("1w2d"), span(604_800).as_str()), (Ok(777_600), "7d"));
        for bad in ["", "d", "3", "3x", "3d4", "99999999999999999999s", "9999999999999999w"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
        for (text, bytes) in [("64MiB", 64 << 20), ("1TiB", 1 << 40), ("1000B", 1_000), ("0B", 0)] {
            assert_eq!((parse_size(text), exact_size(bytes).as_str()), (Ok(bytes), text));
        }
        for (text, bytes) in
            [("1.5T", 3 << 39), ("1TB", 1_000_000_000_000), ("12", 12), ("4k", 4_096), ("1 GiB", 1 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "1XB", "1.2.3", "-4", "1kkb", "1éb", "99999EiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
