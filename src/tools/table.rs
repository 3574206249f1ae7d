//! Tables as `kafka-transactions` and `kafka-metadata-quorum` print them: each column as wide as its widest cell, with a
//! tab behind every one of them.

pub fn padded(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}\t")).collect::<String>()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["12345".to_owned(), "x".to_owned()]];
        assert_eq!(super::padded(&["A", "Bc"], &rows), ["A    \tBc\t", "12345\tx \t"]);
    }
}
