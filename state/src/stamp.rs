//! Moments in names and sentences: milliseconds since 1970 as UTC text.
//!
//! Owns the two formats. Promises that the order of names is the order of moments. Never asks a clock.

const DAY_MS: i64 = 86_400_000;

/// A moment as part of a file's name: `20261120T124121.123Z`. Moments outside the years 0 to 9999 become the nearest
/// inside.
pub fn in_name(ms: i64) -> String {
    let Parts { year, month, day, hour, minute, second, millis } = parts(ms);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{millis:03}Z")
}

/// A moment as part of a sentence: `2026-11-20 12:41:21 UTC`.
pub fn in_words(ms: i64) -> String {
    let Parts { year, month, day, hour, minute, second, .. } = parts(ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millis: i64,
}

/// The proleptic Gregorian calendar, counted in years that begin in March so that the leap day comes last.
fn parts(ms: i64) -> Parts {
    const FIRST: i64 = -62_167_219_200_000;
    const LAST: i64 = 253_402_300_799_999;
    let ms = ms.clamp(FIRST, LAST);
    let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    // 719,468 days lie between 0000-03-01 and 1970-01-01; 146,097 are four centuries.
    let shifted = days + 719_468;
    let (cycle, day_of_cycle) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leaps = day_of_cycle / 1_460 - day_of_cycle / 36_524 + day_of_cycle / 146_096;
    let year_of_cycle = (day_of_cycle - leaps) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    Parts { year, month, day, hour, minute, second: rest / 1_000 % 60, millis: rest % 1_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(in_words(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(in_name(951_782_400_000), "20000229T000000.000Z");
        assert_eq!(in_name(1_795_178_481_123), "20261120T124121.123Z");
        assert_eq!(in_words(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(in_words(4_107_542_399_000), "2100-02-28 23:59:59 UTC");
        assert_eq!(in_words(4_107_542_400_000), "2100-03-01 00:00:00 UTC");
        assert_eq!(in_name(i64::MAX), "99991231T235959.999Z");
        assert_eq!(in_words(i64::MIN), "0000-01-01 00:00:00 UTC");
    }

    #[test]
    fn names_sort_as_moments_do() {
        let moments: Vec<String> = (0..2_000).map(|i| in_name(i * 97_654_321_987)).collect();
        assert!(moments.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
