//! A list before and after, as a table for a terminal.
//!
//! In: hits in their new order, each with where it stood before. Out: plain text at most
//! [`WIDTH_MAX`] columns wide; colours only where the caller found a terminal. Ranks here are what
//! people read: 1 is first. Never measures wide (East Asian) letters: a letter is a column.

use std::fmt::Write;
use std::io::IsTerminal;

/// Widest line, in columns.
pub const WIDTH_MAX: usize = 100;

const PRODUCT_COLUMNS_MAX: usize = 40;
/// Columns of a suggested quantity.
const QUANTITY_COLUMNS: usize = 9;
/// Columns of rank, was, moved, price and the gaps between the six parts.
const FIXED_COLUMNS: usize = 3 + 4 + 5 + 8 + 5 * 2;

/// One hit of the new order.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its 0-based position now; where some are left out between two rows, a line says so.
    pub at: usize,
    /// The product's name.
    pub product: &'a str,
    /// Its 0-based position before, if it was in the list.
    pub was: Option<usize>,
    /// Its price, if known.
    pub price: Option<f64>,
    /// How many of it are suggested, if any.
    pub quantity: Option<u64>,
    /// Why it stands here; empty when nothing moved it.
    pub reason: &'a str,
}

/// Whether moves are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// Green for up, red for down.
    Always,
}

impl Colour {
    /// Colours where `out` is a terminal.
    pub fn when_terminal(out: &impl IsTerminal) -> Self {
        if out.is_terminal() { Self::Always } else { Self::Never }
    }
}

/// The table under its title, ending in a newline.
pub fn render(title: &str, rows: &[Row<'_>], colour: Colour) -> String {
    let longest = rows.iter().map(|row| row.product.chars().count()).max().unwrap_or(0);
    let product = longest.clamp("product".len(), PRODUCT_COLUMNS_MAX);
    // A column of its own, where anything is suggested.
    let suggests = rows.iter().any(|row| row.quantity.is_some());
    let take = |text: String| if suggests { format!("{text:<QUANTITY_COLUMNS$}") } else { text };
    let taken = if suggests { QUANTITY_COLUMNS } else { 0 };
    let reason = WIDTH_MAX - FIXED_COLUMNS - product - taken;
    let mut out = String::new();
    let (was, why) = ("was", take(if suggests { "suggest" } else { "" }.into()) + "reason");
    let head = ["#", "product", was, "moved", "price", &why];
    push_line(&mut out, &cut(title, WIDTH_MAX));
    push_line(&mut out, &line(head.map(str::to_owned), product, |moved| moved));
    push_line(&mut out, &"─".repeat(FIXED_COLUMNS + product + why.len()));
    let mut next = rows.first().map_or(0, |row| row.at);
    for row in rows {
        let at = row.at;
        if at != next {
            push_line(&mut out, "  …");
        }
        next = at + 1;
        let suggested = row.quantity.map_or_else(String::new, |units| format!("×{units}"));
        let cells = [
            (at + 1).to_string(),
            cut(row.product, product),
            row.was.map_or_else(|| "new".to_owned(), |was| (was + 1).to_string()),
            moved(at, row.was),
            row.price.map_or_else(String::new, |price| format!("{price:.2}")),
            take(suggested) + &cut(row.reason, reason),
        ];
        push_line(&mut out, &line(cells, product, |text| painted(text, at, row.was, colour)));
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn line(cells: [String; 6], product: usize, paint: impl FnOnce(String) -> String) -> String {
    let [rank, name, was, moved, price, reason] = cells;
    let moved = paint(format!("{moved:<5}"));
    let mut line = String::new();
    // Writing to a string cannot fail.
    let _ = write!(line, "{rank:>3}  {name:<product$}  {was:>4}  {moved}  {price:>8}  {reason}");
    line
}

fn moved(now: usize, was: Option<usize>) -> String {
    match was {
        None => "–".to_owned(),
        Some(was) if was > now => format!("▲{}", was - now),
        Some(was) if was < now => format!("▼{}", now - was),
        Some(_) => "–".to_owned(),
    }
}

fn painted(text: String, now: usize, was: Option<usize>, colour: Colour) -> String {
    let code = match (colour, was) {
        (Colour::Always, Some(was)) if was > now => 32,
        (Colour::Always, Some(was)) if was < now => 31,
        _ => return text,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(columns.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [Row<'static>; 4] = [
        Row {
            at: 0,
            quantity: None,
            product: "Coconut Yogurt 24 oz",
            was: Some(3),
            price: Some(5.99),
            reason: "you like plant-based",
        },
        Row {
            at: 1,
            quantity: None,
            product: "Jalapeño Dip 8 oz",
            was: Some(1),
            price: Some(3.5),
            reason: "",
        },
        Row {
            at: 2,
            quantity: None,
            product: "Plain Yogurt 32 oz",
            was: Some(0),
            price: Some(12.0),
            reason: "",
        },
        Row { at: 3, quantity: None, product: "Skyr", was: None, price: None, reason: "" },
    ];

    #[test]
    fn a_table_reads_as_the_golden_text() {
        let golden = "\
\"yogurt\" after one click
  #  product                was  moved     price  reason
────────────────────────────────────────────────────────
  1  Coconut Yogurt 24 oz     4  ▲3         5.99  you like plant-based
  2  Jalapeño Dip 8 oz        2  –          3.50
  3  Plain Yogurt 32 oz       1  ▼2        12.00
  4  Skyr                   new  –
";
        assert_eq!(render("\"yogurt\" after one click", &ROWS, Colour::Never), golden);
    }

    #[test]
    fn what_is_left_out_is_a_line_and_what_is_suggested_a_column() {
        let golden = "\
\"milk\", the next time
  #  product                was  moved     price  suggest  reason
─────────────────────────────────────────────────────────────────
  1  Coconut Yogurt 24 oz     4  ▲3         5.99  ×2       you like plant-based
  …
  9  Skyr                   new  –
";
        let first = Row { quantity: Some(2), ..ROWS[0] };
        let last = Row { at: 8, ..ROWS[3] };
        assert_eq!(render("\"milk\", the next time", &[first, last], Colour::Never), golden);
    }

    #[test]
    fn colours_mark_moves_and_nothing_else() {
        let coloured = render("yogurt", &ROWS, Colour::Always);
        assert!(coloured.contains("\u{1b}[32m▲3") && coloured.contains("\u{1b}[31m▼2"));
        assert_eq!(coloured.matches("\u{1b}[0m").count(), 2);
        assert!(!render("yogurt", &ROWS, Colour::Never).contains('\u{1b}'));
    }

    #[test]
    fn no_line_is_wider_than_the_limit() {
        let long = "much too long for any line ".repeat(8);
        let row = Row {
            at: 0,
            quantity: Some(123),
            product: &long,
            was: Some(99),
            price: Some(99999.99),
            reason: &long,
        };
        for line in render(&long, &[row], Colour::Never).lines() {
            assert!(line.chars().count() <= WIDTH_MAX, "{line}");
        }
    }
}
