//! Just enough of Rust's lexical form: text with comments and the inside of literals blanked out, line by line.

/// The code of a file: comments, strings and character literals are spaces, line breaks stay.
pub fn code(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            ('/', Some('/')) => line_end(&bytes, at),
            ('/', Some('*')) => block_end(&bytes, at),
            ('"', _) => string_end(&bytes, at),
            ('r' | 'b', _) if starts_raw(&bytes, at) => raw_end(&bytes, at),
            ('\'', _) => char_end(&bytes, at),
            _ => at,
        };
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

fn line_end(bytes: &[char], at: usize) -> usize {
    bytes[at..].iter().position(|c| *c == '\n').map_or(bytes.len(), |n| at + n)
}

fn block_end(bytes: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i + 1 < bytes.len() {
        match (bytes[i], bytes[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') if depth == 1 => return i + 2,
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
    }
    bytes.len()
}

fn string_end(bytes: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < bytes.len() {
        match bytes[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

fn starts_raw(bytes: &[char], at: usize) -> bool {
    let word_before = at > 0 && (bytes[at - 1].is_alphanumeric() || bytes[at - 1] == '_');
    let rest: String = bytes[at..].iter().take(8).collect();
    let rest = rest.strip_prefix('b').unwrap_or(&rest);
    !word_before
        && rest.strip_prefix('r').is_some_and(|r| r.trim_start_matches('#').starts_with('"'))
}

fn raw_end(bytes: &[char], at: usize) -> usize {
    let quote = at + bytes[at..].iter().position(|c| *c == '"').expect("a raw string was seen");
    let hashes = bytes[at..quote].iter().filter(|c| **c == '#').count();
    let mut i = quote + 1;
    while i < bytes.len() {
        if bytes[i] == '"'
            && bytes[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
        {
            return i + 1 + hashes;
        }
        i += 1;
    }
    bytes.len()
}

/// A character literal, or one place for a lifetime's quote.
fn char_end(bytes: &[char], at: usize) -> usize {
    match (bytes.get(at + 1), bytes.get(at + 2)) {
        (Some('\\'), _) => {
            let close = bytes[at + 3..].iter().position(|c| *c == '\'').map(|n| at + 3 + n + 1);
            close.unwrap_or(bytes.len())
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// Lines of `code` (from 0) that belong to an item after `#[cfg(test)]`.
pub fn test_lines(code: &str) -> Vec<bool> {
    let lines: Vec<&str> = code.split('\n').collect();
    let mut test = vec![false; lines.len()];
    let mut n = 0;
    while n < lines.len() {
        if !lines[n].trim_start().starts_with("#[cfg(test)]") {
            n += 1;
            continue;
        }
        let end = item_end(&lines, n);
        test[n..=end].fill(true);
        n = end + 1;
    }
    test
}

/// Last line of the item that begins at line `from`: its closing brace or its semicolon.
pub fn item_end(lines: &[&str], from: usize) -> usize {
    let mut depth = 0i32;
    for (n, line) in lines.iter().enumerate().skip(from) {
        for c in line.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return n,
                '}' => depth -= 1,
                ';' if depth == 0 => return n,
                _ => {}
            }
        }
    }
    lines.len() - 1
}

/// Modules declared as `mod name;`, and whether each stands under `#[cfg(test)]`.
pub fn modules(code: &str) -> Vec<(String, bool)> {
    let test = test_lines(code);
    let mut found = Vec::new();
    for (n, line) in code.split('\n').enumerate() {
        let line = line.trim();
        let rest = line.rsplit_once("mod ").map(|(before, rest)| (before, rest.trim()));
        if let Some((before, rest)) = rest
            && let Some(name) = rest.strip_suffix(';')
            && (before.is_empty() || before.ends_with("pub ") || before.ends_with(") "))
        {
            found.push((name.to_owned(), test[n]));
        }
    }
    found
}

#[test]
fn literals_and_comments_are_not_code() {
    let text = "let a = \"{\"; // }\nlet b = r#\"\"{\"#; /* { /* } */ */ let c = '{'; let d: &'a str = '\\'';";
    let code = code(text);
    assert_eq!(code.matches(['{', '}']).count(), 0, "{code}");
    assert!(code.contains("&'a str") && code.contains("let b =") && code.lines().count() == 2);
}

#[test]
fn test_items_are_found() {
    let code = code(
        "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod laws;\n",
    );
    assert_eq!(test_lines(&code), [false, true, true, true, true, false, true, true, false]);
    assert_eq!(modules(&code), [("laws".to_owned(), true)]);
}
