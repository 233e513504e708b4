//! The theme `growth`: what an append costs at 100,000 and at 1,000,000 receipts, in turns, the middle of five.

use crate::child;
use crate::home;
use crate::row::Row;
use std::fs;
use std::path::Path;

/// Sizes that are compared.
const SIZES: [u64; 2] = [100_000, 1_000_000];
/// Appends of one turn.
const APPENDS: u64 = 4_000;
/// Turns.
const TURNS: usize = 5;
/// How much more the larger home may cost.
const SLACK: f64 = 1.1;

/// Every figure of the theme.
pub fn rows(dir: &Path) -> Result<Vec<Row>, String> {
    let mut homes = Vec::new();
    for size in SIZES {
        let dir = dir.join(size.to_string());
        fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        let owned = home::open(&dir)?;
        home::fill(&owned, size)?;
        owned.close().map_err(|e| e.to_string())?;
        homes.push(dir.to_string_lossy().into_owned());
    }
    let count = APPENDS.to_string();
    let mut seen: Vec<Vec<Vec<f64>>> = vec![Vec::new(); homes.len()];
    for _ in 0..TURNS {
        for (home, seen) in homes.iter().zip(&mut seen) {
            seen.push(child::start(&["append", home, &count])?);
        }
    }
    let middle = |which: usize, figure: usize| -> f64 {
        let mut all: Vec<f64> = seen[which].iter().map(|turn| turn[figure]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2] / APPENDS as f64
    };
    let mut rows = Vec::new();
    for (figure, (name, unit)) in
        [("read_and_write_calls", "calls"), ("bytes_written", "bytes"), ("cpu_time", "ns")]
            .into_iter()
            .enumerate()
    {
        let (small, large) = (middle(0, figure), middle(1, figure));
        rows.push(Row::plain(format!("{name}_per_transfer_at_100k"), small, unit));
        rows.push(
            Row::plain(format!("{name}_per_transfer_at_1m"), large, unit)
                .beside(small)
                .goal("within 10 % of the one at 100,000", large <= small * SLACK),
        );
    }
    Ok(rows)
}
