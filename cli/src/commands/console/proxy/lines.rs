//! JSON-RPC lines: which of them call a tool, and which answer such a call.

use serde_json::Value;
use std::collections::HashMap;

/// Longest line that is looked at; longer ones are passed on and counted.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// Most calls that wait for an answer; what a client never gets answers to must not fill the memory.
const WAITING_MAX: usize = 65_536;

/// Cuts a stream into lines of bounded length.
#[derive(Default)]
pub struct Lines {
    part: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// The next piece; each line that ends in it is shown, `None` for one that is too long.
    pub fn push(&mut self, piece: &[u8], each: &mut impl FnMut(Option<&[u8]>)) {
        let mut parts = piece.split(|b| *b == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.part.len() + part.len() > LINE_BYTES_MAX {
                self.too_long = true;
                self.part = Vec::new();
            }
            if !self.too_long {
                self.part.extend_from_slice(part);
            }
            if parts.peek().is_some() {
                self.end(each);
            }
        }
    }

    /// The end of a line, or of the stream.
    pub fn end(&mut self, each: &mut impl FnMut(Option<&[u8]>)) {
        let line = std::mem::take(&mut self.part);
        match std::mem::take(&mut self.too_long) {
            true => each(None),
            false if line.iter().all(u8::is_ascii_whitespace) => {}
            false => each(Some(&line)),
        }
    }
}

/// What was seen of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A tool is called.
    Call {
        /// Counts the calls of this proxy.
        number: u64,
        /// The tool.
        tool: String,
        /// What it is given.
        params: Value,
    },
    /// A call was answered.
    Answer {
        /// The call.
        number: u64,
        /// The tool.
        tool: String,
        /// What it gave, or the error.
        result: Value,
        /// Whether it failed.
        is_error: bool,
    },
    /// Something that could not be looked at.
    Unread,
}

/// The calls that wait for their answer, by the id that the client gave them.
#[derive(Default)]
pub struct Watch {
    waiting: HashMap<String, (u64, String)>,
    count: u64,
}

impl Watch {
    /// A line of the client.
    pub fn asked(&mut self, line: Option<&[u8]>) -> Vec<Seen> {
        let Some(line) = line else { return vec![Seen::Unread] };
        // Most lines are no calls of tools, and need not be parsed.
        if !contains(line, b"tools/call") && !contains(line, b"\\u") {
            return Vec::new();
        }
        each(line, |message| {
            if message["method"] != "tools/call" || message["id"].is_null() {
                return None;
            }
            let tool = message["params"]["name"].as_str().unwrap_or("unknown").to_owned();
            self.count += 1;
            let number = self.count;
            if self.waiting.len() < WAITING_MAX {
                self.waiting.insert(message["id"].to_string(), (number, tool.clone()));
            }
            let params = message["params"]["arguments"].take();
            Some(Seen::Call { number, tool, params })
        })
    }

    /// A line of the server.
    pub fn answered(&mut self, line: Option<&[u8]>) -> Vec<Seen> {
        let Some(line) = line else { return vec![Seen::Unread] };
        if self.waiting.is_empty() {
            return Vec::new();
        }
        each(line, |message| {
            // A request of the server has an id of its own, and a method.
            if message.get("method").is_some() {
                return None;
            }
            let (number, tool) = self.waiting.remove(&message["id"].to_string())?;
            let failed = message.get("error").is_some();
            let is_error = failed || message["result"]["isError"] == Value::Bool(true);
            let result = message[if failed { "error" } else { "result" }].take();
            Some(Seen::Answer { number, tool, result, is_error })
        })
    }
}

/// The messages of a line: one, or a list of them. What is no JSON is the server's and client's own affair.
fn each(line: &[u8], mut of: impl FnMut(&mut Value) -> Option<Seen>) -> Vec<Seen> {
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Array(mut all)) => all.iter_mut().filter_map(of).collect(),
        Ok(mut one) => of(&mut one).into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|w| w == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_is_paired_with_its_answer_by_id_and_type_of_id() {
        let mut watch = Watch::default();
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":1}}}"#;
        let seen = watch.asked(Some(call));
        assert_eq!(seen, [Seen::Call { number: 1, tool: "t".into(), params: json!({"x": 1}) }]);
        assert_eq!(watch.answered(Some(br#"{"id":"1","result":{}}"#)), [], "a text is another id");
        assert_eq!(watch.answered(Some(br#"{"id":1,"method":"roots/list"}"#)), []);
        let seen = watch.answered(Some(br#"{"id":1,"result":{"isError":true}}"#));
        let result = json!({"isError": true});
        assert_eq!(seen, [Seen::Answer { number: 1, tool: "t".into(), result, is_error: true }]);
        assert_eq!(watch.answered(Some(br#"{"id":1,"result":{}}"#)), [], "it is answered once");
    }

    #[test]
    fn what_is_no_call_of_a_tool_is_nothing_and_what_is_too_long_is_counted() {
        let mut watch = Watch::default();
        for line in [
            &b"tools/call"[..],
            b"{\"method\":\"tools/call\"}",
            b"{\"id\":1,\"method\":\"tools/list\"}",
            b"[]",
            b"\xff tools/call",
        ] {
            assert_eq!(watch.asked(Some(line)), []);
        }
        assert_eq!(watch.asked(None), [Seen::Unread]);
        let both = br#"[{"id":1,"method":"tools/call","params":{"name":"a"}},{"id":2,"method":"tools/call","params":{}}]"#;
        assert_eq!(watch.asked(Some(both)).len(), 2);
        // Another spelling of the same word.
        assert_eq!(
            watch.asked(Some(br#"{"id":3,"method":"tools\u002fcall","params":{}}"#)).len(),
            1
        );
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_limit() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut each = |line: Option<&[u8]>| seen.push(line.map(<[u8]>::len));
        let piece = vec![b'x'; 1 << 20];
        (0..20).for_each(|_| lines.push(&piece, &mut each));
        assert!(lines.part.len() <= LINE_BYTES_MAX);
        lines.push(b"\nshort\n", &mut each);
        assert_eq!(seen, [None, Some(5)]);
    }
}
