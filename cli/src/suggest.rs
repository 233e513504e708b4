//! What a misspelt word may have meant.

/// The nearest of the known words, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = known.into_iter().map(|k| (distance(word, k), k)).min()?;
    let near = ranked.0 <= word.chars().count().max(3) / 3;
    near.then_some(ranked.1)
}

/// Number of letters to insert, remove, replace or swap (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let known = ["debit", "credit", "amount"];
        assert_eq!(nearest("amuont", known), Some("amount"));
        assert_eq!(nearest("debt", known), Some("debit"));
        assert_eq!(nearest("zebra-crossing", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
