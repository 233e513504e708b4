//! Taking a batch of lines into the index.

use super::stretch::split;
use super::{Batch, Identity, Mark, Shelf, failed, keys, stretch};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use std::collections::HashMap;
use std::ops::Bound;
use vm_contracts::Fault;

type Bytes = &'static [u8];

pub(super) fn apply(shelf: &Shelf, identity: &Identity, batch: &Batch) -> Result<(), Fault> {
    let fault = |e: redb::Error| failed(&identity.scroll, shelf.trouble.or(e));
    shelf.blocks.arm().map_err(|e| fault(e.into()))?;
    let mut writing = shelf.db.begin_write().map_err(|e| fault(e.into()))?;
    // Without it a file that was not closed would be read whole at the next open.
    writing.set_quick_repair(true);
    let before = read_mark(&writing).map_err(fault)?;
    check_place(identity, before.as_ref().map_or(0, |mark| mark.size), batch)?;
    write(&writing, identity, batch).map_err(fault)?;
    writing.commit().map_err(|e| fault(e.into()))
}

/// Lines must come in one after another, and each of them with its start.
fn check_place(identity: &Identity, size: u64, batch: &Batch) -> Result<(), Fault> {
    let lines = batch.starts.len() as u64;
    if batch.first == size && batch.first.checked_add(lines) == Some(batch.mark.size) {
        return Ok(());
    }
    let what = format!(
        "the index of {} holds {size} lines and was given {lines} from {} on, up to {}",
        identity.scroll, batch.first, batch.mark.size
    );
    let fault = Fault::new("index_out_of_step", what);
    Err(fault.hint("Run `vm reindex`; the receipts are untouched."))
}

fn read_mark(writing: &WriteTransaction) -> Result<Option<Mark>, redb::Error> {
    let about = writing.open_table(keys::ABOUT)?;
    let mark = about.get(keys::MARK)?;
    Ok(mark.and_then(|mark| keys::read_mark(mark.value())))
}

fn write(
    writing: &WriteTransaction,
    identity: &Identity,
    batch: &Batch,
) -> Result<(), redb::Error> {
    write_state(writing, batch)?;
    let repeated = write_ids(&mut writing.open_table(keys::IDS)?, batch)?;
    write_starts(&mut writing.open_table(keys::STARTS)?, batch)?;
    write_terms(&mut writing.open_table(keys::TERMS)?, batch)?;
    let mut about = writing.open_table(keys::ABOUT)?;
    if batch.first == 0 {
        about.insert(keys::IDENTITY, keys::identity_bytes(identity).as_slice())?;
    }
    if repeated {
        about.insert(keys::REPEATED, [].as_slice())?;
    }
    about.insert(keys::MARK, keys::mark_bytes(&batch.mark).as_slice())?;
    Ok(())
}

fn write_state(writing: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    let mut parts: Vec<&'static str> = batch.state.iter().map(|(part, _)| *part).collect();
    parts.sort_unstable();
    parts.dedup();
    for part in parts {
        let name = keys::part_table(part);
        let definition: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new(&name);
        let mut table = writing.open_table(definition)?;
        for (_, (key, value)) in batch.state.iter().filter(|(its, _)| *its == part) {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    Ok(())
}

/// Adds the groups; whether some id was there already, as another group.
fn write_ids(
    table: &mut Table<'_, Bytes, &'static [u8; 44]>,
    batch: &Batch,
) -> Result<bool, redb::Error> {
    let mut groups: Vec<(&[u8], [u8; 44])> =
        batch.ids.iter().map(|(id, group)| (id.as_bytes(), keys::group_bytes(group))).collect();
    // Stable, so that of two groups with one id the first stays.
    groups.sort_by_key(|(id, _)| *id);
    let mut repeated = groups.windows(2).any(|two| two[0].0 == two[1].0 && two[0].1 != two[1].1);
    groups.dedup_by_key(|(id, _)| *id);
    // Ids made from the time come after all that are there, and a run of those is cheap.
    let last = table.last()?.map(|(id, _)| id.value().to_vec());
    let known = last.map_or(0, |last| groups.partition_point(|(id, _)| *id <= last.as_slice()));
    let (between, behind) = groups.split_at(known);
    for (id, group) in between {
        let there = table.get(*id)?.map(|there| *there.value());
        match there {
            Some(there) => repeated |= there != *group,
            None => {
                table.insert(*id, group)?;
            }
        }
    }
    let mut end = table.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
    for (id, group) in behind {
        end.insert_before(*id, group)?;
    }
    end.close()?;
    Ok(repeated)
}

fn write_starts(table: &mut Table<'_, u64, Bytes>, batch: &Batch) -> Result<(), redb::Error> {
    let mut next = batch.first;
    let mut rest = batch.starts.as_slice();
    while !rest.is_empty() {
        let (chunk, filled) = (next / keys::CHUNK, (next % keys::CHUNK) as usize);
        let (now, later) = rest.split_at(rest.len().min(keys::CHUNK as usize - filled));
        let mut bytes = match filled {
            0 => Vec::new(),
            _ => table.get(chunk)?.map_or_else(Vec::new, |there| there.value().to_vec()),
        };
        bytes.truncate(filled * 4);
        bytes.extend_from_slice(&keys::starts_bytes(now));
        table.insert(chunk, bytes.as_slice())?;
        next += now.len() as u64;
        rest = later;
    }
    Ok(())
}

fn write_terms(table: &mut Table<'_, Bytes, Bytes>, batch: &Batch) -> Result<(), redb::Error> {
    let mut places: HashMap<(u64, u8, &[u8]), Vec<u16>> = HashMap::new();
    for (seq, terms) in &batch.terms {
        let (stretch, place) = split(*seq);
        for term in terms {
            let of_term = places.entry((stretch, term.field, &term.value)).or_default();
            // A list may name a value twice.
            if of_term.last() != Some(&place) {
                of_term.push(place);
            }
        }
    }
    let keyed = |((stretch, field, value), places)| (keys::term_key(stretch, field, value), places);
    let mut places: Vec<(Vec<u8>, Vec<u16>)> = places.into_iter().map(keyed).collect();
    places.sort_unstable();
    // Two long values may have one key.
    places.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            first.1.append(&mut later.1);
            first.1.sort_unstable();
            first.1.dedup();
        }
        same
    });
    // Nothing can stand yet in a stretch that begins with these lines.
    let new = keys::stretch_key(batch.first.div_ceil(stretch::STRETCH));
    let known = places.partition_point(|(key, _)| *key < new);
    let (between, behind) = places.split_at(known);
    add_terms(table, between)?;
    let mut end = table.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
    for (key, places) in behind {
        let bytes = stretch::encode(places);
        end.insert_before(key.as_slice(), bytes.as_slice())?;
    }
    end.close()?;
    Ok(())
}

/// Adds places to terms that may be there.
fn add_terms(
    table: &mut Table<'_, Bytes, Bytes>,
    places: &[(Vec<u8>, Vec<u16>)],
) -> Result<(), redb::Error> {
    // Terms of a field are all mostly there or all mostly not; so the one before says which way is shorter.
    let mut known = true;
    for (key, places) in places {
        let key = key.as_slice();
        let there = match known {
            true => table.get(key)?.map(|there| there.value().to_vec()),
            false => {
                let there = table.insert(key, stretch::encode(places).as_slice())?;
                there.map(|there| there.value().to_vec())
            }
        };
        let bytes = match &there {
            Some(there) => stretch::joined(there, places)
                .ok_or_else(|| redb::Error::Corrupted("the places of a term do not read".into()))?,
            None if known => stretch::encode(places),
            None => continue,
        };
        known = there.is_some();
        table.insert(key, bytes.as_slice())?;
    }
    Ok(())
}
