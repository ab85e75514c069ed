//! Numbers for people: IEC sizes, ages, thousands.

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
}
