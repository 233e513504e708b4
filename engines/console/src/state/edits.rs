//! What edits leave in the state: the last content of each file, and every content that an edit ever left.

use super::fold::{Read, count_call};
use super::{Call, Edit, File, Seen, State};

impl State {
    pub(super) fn fold_edit(&mut self, read: &Read<'_>) -> Option<()> {
        let (session_id, mut session) = self.at_work(read)?;
        let file_id = read.owned("file_id")?;
        let edit_type = read.text("edit_type")?;
        let observed_by = read.owned("observed_by")?;
        let content = read.owned("new_hash");
        let before = read.owned("previous_file_id");
        let deleted = edit_type == "delete";
        if (deleted && content.is_some()) || (edit_type == "rename") != before.is_some() {
            return None;
        }
        let seen = Seen {
            session: session_id.clone(),
            observed_by: observed_by.clone(),
            seq: read.seq,
            at_ms: read.happened_ms(),
            since_ms: read.since_ms(),
        };
        // Bytes that were there before are not what this edit left.
        if let Some(content) = &content
            && read.text("old_hash") != Some(content)
        {
            self.keep_edit(&file_id, content, &seen);
        }
        let mut file = File { content, deleted, seen };
        if let Some(before) = before {
            let old = self.files.get(&before);
            // It has the content that it had, for telling later whether somebody else changed it. That explains
            // nothing: only what an edit itself says is kept as an edit.
            file.content = file.content.or_else(|| old?.content);
            let gone = File { content: None, deleted: true, seen: file.seen.clone() };
            self.keep_rename((file_id.clone(), before.clone()), &gone.seen);
            self.keep_file(before, gone);
        }
        self.keep_file(file_id.clone(), file);
        let counts = &mut session.counts;
        counts.edits = counts.edits.saturating_add(1);
        if read.is("external_change") {
            counts.external = counts.external.saturating_add(1);
        }
        let touched = (session_id.clone(), file_id);
        let times = self.touched.get(&touched).unwrap_or_default();
        if times == 0 {
            counts.files = counts.files.saturating_add(1);
        }
        self.touched.insert(touched, times.saturating_add(1));
        if let Some(call_id) = read.owned("call_id") {
            let key = (session_id.clone(), call_id);
            // A call may edit several files, and may have receipts of its own.
            if !self.calls.contains(&key) {
                let call = Call {
                    what: "file_edit".to_owned(),
                    seq: read.seq,
                    result_seq: Some(read.seq),
                    at_ms: read.happened_ms(),
                    observed_by,
                    denied: false,
                    verdict: read.owned("verdict"),
                    rule: read.owned("rule"),
                };
                count_call(counts, &call);
                self.calls.insert(key, call);
            }
        }
        self.put(session_id, session, read);
        Some(())
    }

    fn keep_rename(&mut self, pair: (String, String), seen: &Seen) {
        if self.renames.get(&pair).is_none_or(|known| known.at_ms <= seen.at_ms) {
            self.renames.insert(pair, seen.clone());
        }
    }

    /// What happened later stays, however late the other is recorded.
    fn keep_file(&mut self, file_id: String, file: File) {
        if self.files.get(&file_id).is_none_or(|known| known.seen.at_ms <= file.seen.at_ms) {
            self.files.insert(file_id, file);
        }
    }

    fn keep_edit(&mut self, file_id: &str, content: &str, seen: &Seen) {
        let key = (file_id.to_owned(), content.to_owned());
        let mut edit = self
            .edits
            .get(&key)
            .unwrap_or_else(|| Edit { last: seen.clone(), first: seen.clone() });
        if edit.last.at_ms <= seen.at_ms {
            edit.last = seen.clone();
        }
        if seen.since_ms < edit.first.since_ms {
            edit.first = seen.clone();
        }
        self.edits.insert(key, edit);
    }
}
