//! Patterns with `*` and `?`.

/// A pattern that must fit all of a text.
pub(super) struct Glob {
    tokens: Vec<Token>,
    /// A pattern of a path that has no `/` is about the last part of it.
    name_only: bool,
    /// A pattern of all in a directory is about the directory too.
    below: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Anything; `true` where it may go over `/`.
    Any(bool),
    /// `**/`: any number of whole parts of a path.
    Parts,
    One,
    Char(char),
}

/// Longer texts are no names; whether a pattern fits them is not worked out.
const TEXT_CHARS_MAX: usize = 65_536;

impl Glob {
    pub(super) fn new(pattern: &str, path: bool) -> Glob {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some(c) = rest.chars().next() {
            let (token, length) = match c {
                '*' if path && rest.starts_with("**/") => (Token::Parts, 3),
                '*' if path && rest.starts_with("**") => (Token::Any(true), 2),
                '*' => (Token::Any(!path), 1),
                '?' => (Token::One, 1),
                c => (Token::Char(c), c.len_utf8()),
            };
            if tokens.last() != Some(&token) || !matches!(token, Token::Any(_) | Token::Parts) {
                tokens.push(token);
            }
            rest = &rest[length..];
        }
        Glob {
            tokens,
            name_only: path && !pattern.contains('/'),
            below: path && pattern.ends_with("/**"),
        }
    }

    /// Whether it fits; none where the text is too long to tell.
    pub(super) fn fits(&self, text: &str) -> Option<bool> {
        let text = match self.name_only {
            true => text.trim_end_matches('/').rsplit('/').next().unwrap_or(text),
            false => text,
        };
        if text.len() > TEXT_CHARS_MAX {
            return None;
        }
        let end = (self.below && !text.ends_with('/')).then_some('/');
        // Which tokens may come next, for each place of the text: never more work than text times pattern.
        let mut next = vec![false; self.tokens.len() + 1];
        next[0] = true;
        self.skip(&mut next);
        let mut before = '/';
        for c in text.chars().chain(end) {
            let mut after = vec![false; self.tokens.len() + 1];
            for (at, token) in self.tokens.iter().enumerate().filter(|(at, _)| next[*at]) {
                match token {
                    Token::Any(over) if *over || c != '/' => after[at] = true,
                    // Parts end with their slash; what follows it is what may come then.
                    Token::Parts => after[at] = true,
                    Token::One if c != '/' => after[at + 1] = true,
                    Token::Char(wanted) if *wanted == c => after[at + 1] = true,
                    _ => {}
                }
            }
            before = c;
            next = after;
            self.skip_after(&mut next, before);
        }
        let _ = before;
        Some(next[self.tokens.len()])
    }

    /// Tokens that may stand for nothing.
    fn skip(&self, next: &mut [bool]) {
        self.skip_after(next, '/');
    }

    fn skip_after(&self, next: &mut [bool], before: char) {
        for (at, token) in self.tokens.iter().enumerate() {
            let nothing = match token {
                Token::Any(_) => true,
                Token::Parts => before == '/',
                _ => false,
            };
            if next[at] && nothing {
                next[at + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_all_of_a_text() {
        let fits = |pattern: &str, text: &str| Glob::new(pattern, true).fits(text).unwrap();
        assert!(
            fits(".env", "/a/b/.env")
                && fits(".env", ".env")
                && !fits(".env", "x.env")
                && !fits(".env", ".envx")
        );
        assert!(fits("*.pem", "a/b.pem") && !fits("*.pem", "a.pem/b"));
        assert!(
            fits("src/*.rs", "src/a.rs")
                && !fits("src/*.rs", "src/a/b.rs")
                && fits("src/**", "src/a/b.rs")
        );
        assert!(
            fits("**/.ssh/**", ".ssh/id")
                && fits("**/.ssh/**", "/h/me/.ssh/id")
                && !fits("**/.ssh/**", "/h/x.ssh/id")
        );
        assert!(
            fits("**/.ssh/**", "/h/me/.ssh")
                && fits("**/.ssh/**", ".ssh/")
                && !fits("**/.ssh/**", "/h/me/.sshx")
                && !fits("src/*.rs", "src/a.rs/")
        );
        let line = |pattern: &str, text: &str| Glob::new(pattern, false).fits(text).unwrap();
        assert!(
            line("git push *--force*", "git push a/b --force") && !line("git push", "git push x")
        );
        assert!(line("a?c", "abc") && !line("a?c", "ac") && line("*", "") && !line("?", ""));
        let slow = Glob::new(&"*a".repeat(200), false);
        assert!(
            slow.fits(&"b".repeat(10_000)) == Some(false),
            "no pattern takes more than text times pattern"
        );
    }
}
