//! Reading the fields of a mapping: each is asked for once by name, with its limit, and every fault names its line.

use crate::yaml::{Content, Entry, Flaw, Node, Place, shown};

/// The fields of one mapping.
pub struct Fields<'a> {
    /// Where the mapping begins.
    pub place: Place,
    what: &'static str,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// The fields of a node, which must be a mapping; `what` says what it describes: `a stage`.
    pub fn of(node: &'a Node, what: &'static str) -> Result<Self, Flaw> {
        match &node.content {
            Content::Map(entries) => Ok(Self { place: node.place, what, entries }),
            _ => {
                let wrong = format!("{what} is a mapping, this is {}", node.word());
                Err(Flaw::new("runbook_bad_value", node.place, wrong))
            }
        }
    }

    /// Refuses a field that is not among the known ones.
    pub fn only(&self, known: &[&str]) -> Result<(), Flaw> {
        match self.entries.iter().find(|e| !known.contains(&e.key.as_str())) {
            Some(entry) => {
                let wrong = format!("{} has no field {}", self.what, shown(&entry.key));
                Err(Flaw::new("runbook_unknown_field", entry.place, wrong)
                    .hint(format!("Its fields are {}.", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    /// All entries in order.
    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    /// The value of a field that is given.
    pub fn node(&self, name: &str) -> Option<&'a Node> {
        self.entries.iter().find(|e| e.key == name).map(|e| &e.value).filter(|v| !v.is_null())
    }

    /// The value of a field that must be given.
    pub fn need(&self, name: &str) -> Result<&'a Node, Flaw> {
        self.node(name).ok_or_else(|| {
            let wrong = format!("{} needs {name:?}", self.what);
            Flaw::new("runbook_missing_field", self.place, wrong)
        })
    }

    /// A text field that may be left out.
    pub fn text(&self, name: &'static str, most: usize) -> Result<Option<String>, Flaw> {
        self.node(name).map(|node| line(node, name, most)).transpose()
    }

    /// A text field that must be given.
    pub fn need_text(&self, name: &'static str, most: usize) -> Result<String, Flaw> {
        line(self.need(name)?, name, most)
    }

    /// A list of texts; none if it is left out.
    pub fn texts(
        &self,
        name: &'static str,
        count: usize,
        most: usize,
    ) -> Result<Vec<String>, Flaw> {
        match self.node(name) {
            None => Ok(Vec::new()),
            Some(node) => items(node, name, count)?.iter().map(|i| line(i, name, most)).collect(),
        }
    }

    /// `true` or `false`; false if it is left out.
    pub fn flag(&self, name: &str) -> Result<bool, Flaw> {
        match self.node(name) {
            None => Ok(false),
            Some(node) => node.bool().ok_or_else(|| {
                Flaw::new("runbook_bad_value", node.place, format!("{name} is true or false"))
            }),
        }
    }
}

/// The items of a node that must be a list of at most so many.
pub fn items<'a>(node: &'a Node, name: &str, count: usize) -> Result<&'a [Node], Flaw> {
    let Content::List(items) = &node.content else {
        let wrong = format!("{name} is a list, this is {}", node.word());
        return Err(Flaw::new("runbook_bad_value", node.place, wrong));
    };
    match items.get(count) {
        Some(over) => {
            let wrong = format!("{name} may have at most {count} items, not {}", items.len());
            Err(Flaw::new("runbook_too_long", over.place, wrong))
        }
        None => Ok(items),
    }
}

/// One line of text: not empty, without control characters.
pub fn line(node: &Node, name: &str, most: usize) -> Result<String, Flaw> {
    let text = text_of(node, name, most)?.trim();
    if text.is_empty() {
        return Err(Flaw::new("runbook_bad_value", node.place, format!("{name} is empty")));
    }
    // A folded block may hold line ends where its author meant one paragraph.
    let text = text.replace(['\n', '\t'], " ");
    no_control(&text, node, name)?;
    Ok(text)
}

/// Text of several lines, such as a command: only line ends and tabs may stand in it besides what can be read.
pub fn block(node: &Node, name: &str, most: usize) -> Result<String, Flaw> {
    let text = text_of(node, name, most)?.trim_end().replace("\r\n", "\n");
    no_control(&text.replace(['\n', '\t'], " "), node, name)?;
    Ok(text)
}

fn text_of<'a>(node: &'a Node, name: &str, most: usize) -> Result<&'a str, Flaw> {
    let Some(text) = node.text() else {
        let wrong = format!("{name} is text, this is {}", node.word());
        return Err(Flaw::new("runbook_bad_value", node.place, wrong));
    };
    if text.len() > most {
        let wrong = format!("{name} may have at most {most} bytes, not {}", text.len());
        return Err(Flaw::new("runbook_too_long", node.place, wrong));
    }
    Ok(text)
}

/// Control characters could rewrite what a person sees on a terminal, and marks that turn the direction of writing
/// could show a command other than the one that runs.
fn no_control(text: &str, node: &Node, name: &str) -> Result<(), Flaw> {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match text.chars().find(|c| c.is_control() || turns(*c)) {
        Some(c) => {
            let code = u32::from(c);
            let wrong = format!("{name} holds U+{code:04X}, which changes how the text is shown");
            Err(Flaw::new("runbook_bad_value", node.place, wrong)
                .hint("Write it without that character."))
        }
        None => Ok(()),
    }
}
