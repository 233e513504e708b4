//! YAML as a tree in which every node knows its place in the user's file.
//!
//! A runbook is written by a stranger, so the tree is built under limits: bytes, nodes and depth are counted,
//! and what could multiply or hide content (anchors, aliases, tags, a key given twice, a second document) is
//! refused with its line. Scalars stay text; who reads a field decides what it must be.

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span};
use vm_contracts::{Refusal, RefusalKind};

/// Most bytes of one document.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// Most nodes of one document: far above 1,000 full stages, and a few tens of megabytes of memory.
pub const NODES_MAX: usize = 200_000;
/// Deepest nesting; a runbook needs six.
pub const DEPTH_MAX: usize = 32;
/// Most characters of the user's text that an error repeats.
const SHOWN_MAX: usize = 48;

/// A place in the file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// What is wrong in a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Stable code.
    pub code: &'static str,
    /// Where.
    pub place: Place,
    /// What, as the rest of a sentence.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Flaw {
    /// A flaw at a place.
    pub fn new(code: &'static str, place: Place, what: impl Into<String>) -> Self {
        Self { code, place, what: what.into(), hint: None }
    }

    /// Adds the next step for the reader.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The refusal a user sees; `name` is how the document is known to them.
    pub fn refusal(self, name: &str) -> Refusal {
        let kind = match self.code {
            "yaml_too_large" | "yaml_too_deep" | "runbook_too_long" | "too_many_stages" => {
                RefusalKind::TooLarge
            }
            _ => RefusalKind::Malformed,
        };
        let Place { line, column } = self.place;
        let message = format!("{name}, line {line}, column {column}: {}", self.what);
        let refusal = Refusal::new(self.code, kind, message).field("runbook");
        match self.hint {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    }
}

/// A node and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it holds.
    pub content: Content,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text; `plain` if it was written without quotation marks, so that it may stand for a word such as `true`.
    Scalar {
        /// The text after YAML's escapes.
        text: String,
        /// Written without quotation marks.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the file's order; no key stands twice.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value under a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The text, if this is a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is given: an empty plain scalar, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// The truth value, if this is a plain `true` or `false`.
    pub fn bool(&self) -> Option<bool> {
        match &self.content {
            Content::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// What it is, for messages.
    pub fn word(&self) -> &'static str {
        match &self.content {
            Content::Scalar { .. } => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}

/// A user's text as an error may repeat it: short, quoted, escaped.
pub fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Reads bytes: they must be UTF-8.
pub fn read_bytes(bytes: &[u8]) -> Result<Node, Flaw> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = good.iter().filter(|b| **b == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        Flaw::new("yaml_syntax", at(line, column), "bytes that are no UTF-8 text")
            .hint("Save the file as UTF-8.")
    })?;
    read(text)
}

/// Reads one document.
pub fn read(text: &str) -> Result<Node, Flaw> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let what = format!(
            "a document may have at most {DOCUMENT_BYTES_MAX} bytes, this one has {}",
            text.len()
        );
        return Err(Flaw::new("yaml_too_large", at(1, 1), what)
            .hint("Split the exercise into several runbooks."));
    }
    Composer::default().compose(text)
}

fn at(line: usize, column: usize) -> Place {
    let short = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: short(line), column: short(column) }
}

fn start(span: &Span) -> Place {
    at(span.start.line(), span.start.col() + 1)
}

/// A collection whose end has not come yet.
enum Open {
    List(Place, Vec<Node>),
    /// The entries, and the key whose value comes next.
    Map(Place, Vec<Entry>, Option<(String, Place)>),
}

/// Builds the tree from the parser's events. An own stack keeps hostile nesting off the call stack.
#[derive(Default)]
struct Composer {
    stack: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

impl Composer {
    fn compose(mut self, text: &str) -> Result<Node, Flaw> {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        let mut last = at(1, 1);
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| {
                let mark = error.marker();
                let place = at(mark.line(), mark.col() + 1);
                match error.kind() {
                    ErrorKind::RecursionLimitExceeded => too_deep(place),
                    _ => {
                        let what = format!("this is not YAML: {}", error.info());
                        Flaw::new("yaml_syntax", place, what)
                    }
                }
            })?;
            last = start(&span);
            self.take(event, last)?;
        }
        self.root.ok_or_else(|| Flaw::new("yaml_syntax", last, "there is nothing in the document"))
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Flaw> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.begin(place, anchor, tag.is_some())?;
                let plain = style == ScalarStyle::Plain;
                let content = Content::Scalar { text: text.into_owned(), plain };
                self.put(Node { place, content })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(place, anchor, tag.is_some())?;
                self.open(Open::List(place, Vec::new()), place)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.begin(place, anchor, tag.is_some())?;
                self.open(Open::Map(place, Vec::new(), None), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(unsupported(place, "a second document in one file"))
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => Err(unsupported(place, "an alias")),
            Event::Anchor(..) => Err(unsupported(place, "an anchor")),
            _ => Ok(()),
        }
    }

    /// Counts a node and refuses what stands before it.
    fn begin(&mut self, place: Place, anchor: usize, tagged: bool) -> Result<(), Flaw> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let what = format!("a document may have at most {NODES_MAX} nodes");
            return Err(Flaw::new("yaml_too_large", place, what)
                .hint("Split the exercise into several runbooks."));
        }
        match (anchor, tagged) {
            (0, false) => Ok(()),
            (0, true) => Err(unsupported(place, "a tag")),
            _ => Err(unsupported(place, "an anchor")),
        }
    }

    fn open(&mut self, open: Open, place: Place) -> Result<(), Flaw> {
        if let Some(Open::Map(_, _, None)) = self.stack.last() {
            return Err(unsupported(place, "a key that is not text"));
        }
        if self.stack.len() >= DEPTH_MAX {
            return Err(too_deep(place));
        }
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self, end: Place) -> Result<(), Flaw> {
        let node = match self.stack.pop() {
            Some(Open::List(place, items)) => Node { place, content: Content::List(items) },
            Some(Open::Map(place, entries, None)) => {
                let mut keys: Vec<(&str, Place)> =
                    entries.iter().map(|e| (e.key.as_str(), e.place)).collect();
                keys.sort_unstable();
                if let Some(pair) = keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    let first = pair[0].1.line;
                    let what = format!("{} stands twice, first in line {first}", shown(pair[0].0));
                    return Err(Flaw::new("yaml_duplicate_key", pair[1].1, what)
                        .hint("Keep one of the two."));
                }
                Node { place, content: Content::Map(entries) }
            }
            _ => return Err(Flaw::new("yaml_syntax", end, "an end without its beginning")),
        };
        self.put(node)
    }

    /// Puts a finished node where it belongs.
    fn put(&mut self, node: Node) -> Result<(), Flaw> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match (key.take(), node.content) {
                (Some((name, place)), content) => {
                    let value = Node { place: node.place, content };
                    entries.push(Entry { key: name, place, value });
                }
                (None, Content::Scalar { text, .. }) => *key = Some((text, node.place)),
                (None, _) => return Err(unsupported(node.place, "a key that is not text")),
            },
        }
        Ok(())
    }
}

fn too_deep(place: Place) -> Flaw {
    Flaw::new("yaml_too_deep", place, format!("a document may be nested {DEPTH_MAX} deep at most"))
}

fn unsupported(place: Place, what: &str) -> Flaw {
    Flaw::new("yaml_unsupported", place, format!("{what} is not read here"))
        .hint("Write plain mappings, lists and text, without anchors, aliases and tags.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flaw(text: &str, code: &str, line: u32) -> Flaw {
        let flaw = read(text).unwrap_err();
        assert_eq!((flaw.code, flaw.place.line), (code, line), "{flaw:?}");
        flaw
    }

    #[test]
    fn every_node_knows_its_place() {
        let node = read("a: 1\nb:\n  - x\n  - 'true'\n").unwrap();
        assert_eq!(node.get("a").unwrap().place, Place { line: 1, column: 4 });
        let Content::List(items) = &node.get("b").unwrap().content else { panic!("{node:?}") };
        assert_eq!(items[1].place, Place { line: 4, column: 5 });
        assert_eq!((items[0].text(), items[1].bool()), (Some("x"), None));
        assert_eq!(read("a: true").unwrap().get("a").unwrap().bool(), Some(true));
        assert!(read("a:").unwrap().get("a").unwrap().is_null());
    }

    #[test]
    fn a_key_given_twice_is_refused_where_it_stands_again() {
        let flaw = flaw("a: 1\nb: 2\na: 3\n", "yaml_duplicate_key", 3);
        assert!(flaw.what.contains("line 1"), "{flaw:?}");
        assert_eq!(flaw.place.column, 1);
    }

    #[test]
    fn what_multiplies_or_hides_content_is_refused() {
        flaw("a: &x [1]\nb: [*x, *x]\n", "yaml_unsupported", 1);
        flaw("a: 1\nb: *x\n", "yaml_syntax", 2);
        flaw("a: !!binary aGk=\n", "yaml_unsupported", 1);
        flaw("? [a]\n: 1\n", "yaml_unsupported", 1);
        flaw("a: 1\n---\nb: 1\n", "yaml_unsupported", 2);
    }

    #[test]
    fn broken_text_is_named_by_its_line() {
        flaw("a: 1\nb: [1, 2\nc: 3\n", "yaml_syntax", 3);
        flaw("", "yaml_syntax", 1);
        let flaw = read_bytes(b"a: 1\nb: \xff\n").unwrap_err();
        assert_eq!((flaw.code, flaw.place), ("yaml_syntax", Place { line: 2, column: 4 }));
    }

    #[test]
    fn depth_bytes_and_nodes_end_at_their_limits() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        flaw(&nested(DEPTH_MAX + 1), "yaml_too_deep", 1);
        flaw(&"[".repeat(100_000), "yaml_too_deep", 1);
        let list = |items: usize| "- \n".repeat(items);
        assert!(read(&list(NODES_MAX - 1)).is_ok());
        flaw(&list(NODES_MAX), "yaml_too_large", 200_000);
        flaw(&" ".repeat(DOCUMENT_BYTES_MAX + 1), "yaml_too_large", 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_bytes(&bytes);
        }

        #[test]
        fn no_yaml_like_text_makes_it_panic(text in r"([a-c]{0,2}[:\-\[\]{},&*!#|>'?\n ]{0,3}){0,40}") {
            let _ = read(&text);
        }
    }
}
