//! Columns for people: no frame, two spaces between, numbers to the right, state words in colour.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use rust_decimal::Decimal;

/// The lines of a table, plain; the first is the head. Heads with `>` in front stand to the right.
pub fn lines(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| head.trim_start_matches('>')));
    for row in rows {
        table.add_row(row.iter().map(|cell| cell.replace('\n', "; ")));
    }
    for (head, column) in heads.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        if head.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// A table, its states in colour.
pub fn render(heads: &[&str], rows: &[Vec<String>]) -> String {
    let lines = lines(heads, rows).into_iter().enumerate();
    lines.map(|(at, line)| if at == 0 { line + "\n" } else { painted(&line) + "\n" }).collect()
}

/// The line with its first state word in colour; the words themselves stay.
pub fn painted(line: &str) -> String {
    let first = line.find("  ").unwrap_or(line.len());
    for (word, color) in WORDS {
        let found = line[first..].find(word).map(|at| at + first);
        let Some(at) = found.filter(|at| bounded(line, *at, word.len())) else { continue };
        let style: Style = color.on_default();
        let end = at + word.len();
        return format!("{}{style}{word}{style:#}{}", &line[..at], &line[end..]);
    }
    line.to_owned()
}

fn bounded(line: &str, at: usize, len: usize) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b' ');
    let bytes = line.as_bytes();
    edge(at.checked_sub(1).and_then(|before| bytes.get(before))) && edge(bytes.get(at + len))
}

const WORDS: [(&str, AnsiColor); 8] = [
    ("running", AnsiColor::Green),
    ("starting", AnsiColor::Cyan),
    ("paused", AnsiColor::Yellow),
    ("stopping", AnsiColor::Cyan),
    ("stopped", AnsiColor::BrightBlack),
    ("backoff", AnsiColor::Yellow),
    ("quarantined", AnsiColor::Red),
    ("killed", AnsiColor::Red),
];

/// An amount of profit: always with its sign; two decimals for dollars and their like, up to eight for the rest.
pub fn signed(amount: Decimal, asset: &str) -> String {
    let text = money(amount, asset);
    if amount.is_sign_negative() && !amount.is_zero() { text } else { format!("+{}", text.trim_start_matches('-')) }
}

/// An amount.
pub fn money(amount: Decimal, asset: &str) -> String {
    let fiat = asset.contains("USD") || matches!(asset, "DAI" | "EUR" | "GBP" | "CHF" | "TRY" | "BRL" | "JPY");
    if fiat { format!("{:.2}", amount.round_dp(2)) } else { amount.round_dp(8).normalize().to_string() }
}

/// An amount whose asset is not known: as it is, with at most eight decimals.
pub fn plain(amount: Decimal) -> String {
    amount.round_dp(8).normalize().to_string()
}

/// A share as percent.
pub fn percent(share: Option<Decimal>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", (share * Decimal::ONE_HUNDRED).round_dp(1)))
}

/// An optional amount.
pub fn maybe(amount: Option<Decimal>) -> String {
    amount.map_or_else(|| "-".to_owned(), plain)
}

/// `1 bot`, `2 bots`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A duration in its largest unit: `41s`, `6d`.
pub fn age(ms: u64) -> String {
    match ms / 1000 {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..86_400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn columns_line_up_without_trailing_spaces() {
        let rows =
            [vec!["a".to_owned(), "1".to_owned(), "x".to_owned()], vec!["long".into(), "22".into(), String::new()]];
        assert_eq!(render(&["NAME", ">N", "TEXT"], &rows), "NAME   N  TEXT\na      1  x\nlong  22\n");
    }

    #[test]
    fn the_state_is_painted_and_a_name_is_not() {
        assert_eq!(painted("running  running  x"), "running  \u{1b}[32mrunning\u{1b}[0m  x");
        assert_eq!(painted("a  not-running  x"), "a  not-running  x");
    }

    #[test]
    fn amounts_carry_their_sign_and_decimals() {
        assert_eq!(signed(dec("84.1249"), "USDT"), "+84.12");
        assert_eq!(signed(dec("-22.667"), "USDC"), "-22.67");
        assert_eq!((signed(dec("0"), "USDT"), signed(dec("-0"), "USDT")), ("+0.00".into(), "+0.00".into()));
        assert_eq!(signed(dec("0.000123450"), "BTC"), "+0.00012345");
        assert_eq!(percent(Some(dec("0.0141"))), "1.4%");
    }

    #[test]
    fn ages_use_their_largest_unit() {
        assert_eq!([age(999), age(61_000), age(7_200_000), age(600_000_000)], ["0s", "1m", "2h", "6d"]);
    }
}
