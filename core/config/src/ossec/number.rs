//! Numbers and times as a 4.x manager reads them (PROTOCOL.md, section 11).

use wpk_api::settings::Span;

/// The first number that is too large for a time, in its own unit.
const TOO_LARGE: u64 = 2_147_483_647;

/// A number of decimal digits and nothing else.
///
/// # Errors
/// What would be right.
pub(super) fn number(value: &[u8], least: u64, most: u64) -> Result<u64, String> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = digits.then(|| digits_of(value, 10).0);
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must be a number from {least} to {most}, in decimal digits"))
}

/// A time: a number and, right behind it, `s`, `m`, `h` or `d`; without one it is
/// in seconds. What follows the unit does not matter.
///
/// # Errors
/// What would be right.
pub(super) fn span(value: &[u8]) -> Result<Span, String> {
    const RIGHT: &str = "write for example \"15m\": a number above 0, then s, m, h or d";
    let (number, rest) = prefix(value);
    if number == 0 || number >= TOO_LARGE {
        return Err(format!("is 0, no number, or one above 2147483646; {RIGHT}"));
    }
    let unit = match rest.first() {
        None | Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        Some(_) => return Err(format!("has no unit behind its number; {RIGHT}")),
    };
    Ok(Span::seconds(number.saturating_mul(unit)))
}

/// The number that a value begins with, decimal, `0x` hexadecimal or `0` octal,
/// and what follows it. 0 where it begins with none, or with one below zero.
fn prefix(value: &[u8]) -> (u64, &[u8]) {
    let value = value.trim_ascii_start();
    let value = value.strip_prefix(b"+").unwrap_or(value);
    let hex = (value.strip_prefix(b"0x")).or_else(|| value.strip_prefix(b"0X"));
    match hex.filter(|digits| digits.first().is_some_and(u8::is_ascii_hexdigit)) {
        Some(digits) => digits_of(digits, 16),
        None if value.starts_with(b"0") => digits_of(value, 8),
        None => digits_of(value, 10),
    }
}

/// The digits in front, and what follows them; the largest where it is beyond.
fn digits_of(value: &[u8], radix: u32) -> (u64, &[u8]) {
    let digit = |byte: &u8| char::from(*byte).to_digit(radix);
    let count = value.iter().map_while(digit).count();
    let (digits, rest) = value.split_at(count);
    let number = digits.iter().filter_map(digit).fold(0u64, |number, digit| {
        number
            .saturating_mul(radix.into())
            .saturating_add(digit.into())
    });
    (number, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_a_manager_does() {
        for (text, seconds) in [
            ("900", 900),
            ("15m", 900),
            ("15minutes", 900),
            ("  +15m", 900),
            ("15m30s", 900),
            ("0x10m", 960),
            ("0x1d", 29),
            ("010m", 480),
            ("2147483646", 2_147_483_646),
            ("1h", 3_600),
            ("7d", 604_800),
        ] {
            assert_eq!(span(text.as_bytes()), Ok(Span::seconds(seconds)), "{text}");
        }
        for text in [
            "",
            "0",
            "m",
            "08",
            "-1",
            "15 m",
            "15M",
            "15.5m",
            "1w",
            "2147483647",
            "0x7fffffff",
            "99999999999999999999999s",
        ] {
            assert!(span(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_decimal_digits() {
        assert_eq!(number(b"0100", 64, 60_000), Ok(100));
        assert_eq!(number(b"08", 0, 256), Ok(8));
        for text in [
            "",
            " 8",
            "+8",
            "-1",
            "0x8",
            "1k",
            "257",
            "18446744073709551616",
        ] {
            assert!(number(text.as_bytes(), 0, 256).is_err(), "{text}");
        }
    }
}
