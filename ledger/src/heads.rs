//! What stands at the end of each scroll, and what opening had to say: for status pages and messages.

use crate::writer::Writer;
use vm_contracts::Refusal;
use vm_receipts::moment::Moment;
use vm_scrolls::tree::Hash;

/// The end of one scroll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The scroll.
    pub scroll: String,
    /// Origin of its checkpoints.
    pub origin: String,
    /// Number of lines.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Time of the last line.
    pub at: Option<Moment>,
    /// Why nothing may be appended, if so.
    pub read_only: Option<Refusal>,
}

impl Writer {
    /// The end of every scroll, by name.
    pub fn heads(&self) -> Vec<Head> {
        let head = |(name, scroll): (&String, &crate::scroll::Scroll)| Head {
            scroll: name.clone(),
            origin: self.settings.origin(name),
            size: scroll.size(),
            root: scroll.root(),
            at: scroll.last_at,
            read_only: scroll.read_only.clone(),
        };
        self.scrolls.iter().map(head).collect()
    }

    /// What was found and done since this was last asked, for people.
    pub fn take_messages(&mut self) -> Vec<String> {
        let asides = self.asides.get_mut().expect("no holder of this lock panics");
        self.messages.append(asides);
        std::mem::take(&mut self.messages)
    }
}
