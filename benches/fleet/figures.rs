//! Percentiles and lines of a table.

use std::time::Duration;

/// The smallest value that at least `percent` of a hundred do not exceed.
pub fn percentile<T: Copy + Ord>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

/// Median, least and greatest in seconds.
pub fn spread(values: &[Duration]) -> String {
    let [median, min, max] = [50, 0, 100].map(|percent| percentile(values, percent).as_secs_f64());
    format!("median {median:.2} s, min {min:.2} s, max {max:.2} s, of {}", values.len())
}

/// In microseconds, for people.
pub fn micros(duration: Duration) -> String {
    format!("{:.0} us", duration.as_secs_f64() * 1e6)
}

/// One line of a table.
pub fn line(what: &str, figure: &str) {
    println!("  {what:<46}{figure}");
}
