//! What changes in a small text, line by line.

/// Lines shown around a change.
const AROUND: usize = 2;
/// Largest product of both line counts for which the shortest change is looked for.
const CELLS_MAX: usize = 4_000_000;

/// One line of the comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row<'a> {
    Same(&'a str),
    Out(&'a str),
    In(&'a str),
}

/// A change for people: lines taken out with `-`, put in with `+`.
pub fn diff(name: &str, before: Option<&str>, after: Option<&str>) -> String {
    let rows = rows(before.unwrap_or_default(), after.unwrap_or_default());
    let mut text = format!(
        "--- {}\n+++ {}\n",
        before.map_or("(no file)", |_| name),
        after.map_or("(no file)", |_| name)
    );
    let changed: Vec<usize> =
        (0..rows.len()).filter(|i| !matches!(rows[*i], Row::Same(_))).collect();
    let shown = |i: usize| changed.iter().any(|c| c.abs_diff(i) <= AROUND);
    let mut gap = false;
    for (i, row) in rows.iter().enumerate() {
        if !shown(i) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push_str("@@\n");
        }
        let (mark, line) = match row {
            Row::Same(line) => (' ', line),
            Row::Out(line) => ('-', line),
            Row::In(line) => ('+', line),
        };
        text.push_str(&format!("{mark}{}\n", crate::table::shown(line)));
    }
    text
}

fn rows<'a>(before: &'a str, after: &'a str) -> Vec<Row<'a>> {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let tail =
        a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (ends_a, ends_b) = (a.len() - tail, b.len() - tail);
    let mut rows: Vec<Row<'a>> = a[..head].iter().map(|l| Row::Same(l)).collect();
    rows.extend(middle(&a[head..ends_a], &b[head..ends_b]));
    rows.extend(a[ends_a..].iter().map(|l| Row::Same(l)));
    rows
}

fn middle<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<Row<'a>> {
    if a.len().saturating_mul(b.len()) > CELLS_MAX {
        let out = a.iter().map(|l| Row::Out(l));
        return out.chain(b.iter().map(|l| Row::In(l))).collect();
    }
    // Longest common part of what is left of both, from each pair of places on.
    let wide = b.len() + 1;
    let mut longest = vec![0_u32; (a.len() + 1) * wide];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * wide + j] = match a[i] == b[j] {
                true => longest[(i + 1) * wide + j + 1] + 1,
                false => longest[(i + 1) * wide + j].max(longest[i * wide + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut rows) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        let same = i < a.len() && j < b.len() && a[i] == b[j];
        let out = j == b.len()
            || (i < a.len() && longest[(i + 1) * wide + j] >= longest[i * wide + j + 1]);
        if same {
            rows.push(Row::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if out {
            rows.push(Row::Out(a[i]));
            i += 1;
        } else {
            rows.push(Row::In(b[j]));
            j += 1;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_its_lines_and_little_around() {
        let before = "1\n2\n3\n4\n5\n6\n7\n";
        let after = "1\n2\n3\nx\n5\n6\n7\ny\n";
        let said = diff("f", Some(before), Some(after));
        assert_eq!(said, "--- f\n+++ f\n@@\n 2\n 3\n-4\n+x\n 5\n 6\n 7\n+y\n");
        assert_eq!(diff("f", None, Some("a\n")), "--- (no file)\n+++ f\n+a\n");
    }
}
