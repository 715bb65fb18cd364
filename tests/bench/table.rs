//! Tables in Markdown, with numbers that a person can read.
//!
//! What lives here: how results look.
//! What it may not know: what they mean.
//! Invariant: a value that could not be measured is shown as a dash, never as 0.
//! Read next: `throughput.rs`, which fills most of them.

/// A table under a title.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    note: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table. Columns of words are flush left, columns of numbers right.
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            note: String::new(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// A paragraph between the title and the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.note = note.into();
    }

    /// Adds a row, one cell a column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) {
        println!("\n### {}\n", self.title);
        if !self.note.is_empty() {
            println!("{}\n", self.note);
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let longest = cells.map(|cell| cell.chars().count()).max();
            longest
                .unwrap_or(0)
                .max(self.columns[column].chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let is_text = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column));
            column == 0 || cells.any(|cell| cell.starts_with(char::is_alphabetic))
        };
        let texts: Vec<bool> = (0..self.columns.len()).map(is_text).collect();
        let line = |cells: &[String]| {
            let mut line = String::from("|");
            for ((cell, width), text) in cells.iter().zip(&widths).zip(&texts) {
                if *text {
                    line += &format!(" {cell:<width$} |");
                } else {
                    line += &format!(" {cell:>width$} |");
                }
            }
            println!("{line}");
        };
        line(&self.columns);
        let rule = |(width, text): (&usize, &bool)| match text {
            true => "-".repeat(*width),
            false => format!("{}:", "-".repeat(width - 1)),
        };
        let rules: Vec<String> = widths.iter().zip(&texts).map(rule).collect();
        line(&rules);
        for row in &self.rows {
            line(row);
        }
    }
}

/// A number with about three digits that matter, thousands set apart.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => whole(value),
    }
}

/// A number without a fraction, thousands set apart.
pub(crate) fn whole(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    if value <= -0.5 {
        text.push('−');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of one, in per cent.
pub(crate) fn percent(share: f64) -> String {
    whole(share * 100.0)
}

/// Bytes, in MiB.
pub(crate) fn mebibytes(bytes: f64) -> String {
    if bytes.is_finite() {
        format!("{:.2}", bytes / f64::from(1 << 20))
    } else {
        number(bytes)
    }
}
