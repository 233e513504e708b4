//! Values that are secret by their name: assignments, flags, headers, addresses with a password.

use super::{Mark, Rule};

/// How much a name says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// People choose it, so it may look like any word: `password`.
    Chosen,
    /// Machines make it: `api_key`, `token`.
    Made,
    /// The name means other things too: `auth`, `pass`. Only a value that looks made counts.
    Weak,
}

const CHOSEN: Rule = Rule::Name(Strength::Chosen);
const MADE: Rule = Rule::Name(Strength::Made);
const WEAK: Rule = Rule::Name(Strength::Weak);

/// Ends of names, and what stands before a value otherwise.
pub(super) const MARKS: &[Mark] = &[
    ("password", "assigned", CHOSEN),
    ("passwd", "assigned", CHOSEN),
    ("passphrase", "assigned", CHOSEN),
    ("passcode", "assigned", CHOSEN),
    ("pwd", "assigned", WEAK),
    ("pass", "assigned", WEAK),
    ("secret", "assigned", MADE),
    ("token", "assigned", MADE),
    ("api_key", "assigned", MADE),
    ("apikey", "assigned", MADE),
    ("api-key", "assigned", MADE),
    ("access_key", "assigned", MADE),
    ("accesskey", "assigned", MADE),
    ("access-key", "assigned", MADE),
    ("secret_key", "assigned", MADE),
    ("secretkey", "assigned", MADE),
    ("secret-key", "assigned", MADE),
    ("private_key", "assigned", MADE),
    ("privatekey", "assigned", MADE),
    ("private-key", "assigned", MADE),
    ("account_key", "assigned", MADE),
    ("accountkey", "assigned", MADE),
    ("encryption_key", "assigned", MADE),
    ("signing_key", "assigned", MADE),
    ("master_key", "assigned", MADE),
    ("auth_key", "assigned", MADE),
    ("authkey", "assigned", MADE),
    ("credential", "assigned", WEAK),
    ("credentials", "assigned", WEAK),
    ("auth", "assigned", WEAK),
    ("cookie", "cookie", WEAK),
    ("authorization", "authorization", Rule::Before(authorization)),
    ("bearer ", "bearer", Rule::Before(bearer)),
    ("://", "address_password", Rule::Before(address)),
    (" -u ", "login_password", Rule::Before(login)),
    (" -u", "login_password", Rule::Before(mysql_is_near)),
    ("--user ", "login_password", Rule::Before(login)),
    ("sshpass ", "login_password", Rule::Before(sshpass)),
    ("mysql ", "login_password", Rule::Before(mysql)),
    ("mysqldump ", "login_password", Rule::Before(mysql)),
    ("mysqladmin ", "login_password", Rule::Before(mysql)),
    ("mariadb ", "login_password", Rule::Before(mysql)),
    ("docker login", "login_password", Rule::Before(docker_login)),
    ("podman login", "login_password", Rule::Before(docker_login)),
    ("redis-cli ", "login_password", Rule::Before(redis)),
    ("pass:", "login_password", Rule::Before(openssl)),
    ("x-amz-signature=", "signed_address", Rule::Before(word)),
    ("x-goog-signature=", "signed_address", Rule::Before(word)),
    ("&sig=", "signed_address", Rule::Before(word)),
    ("?sig=", "signed_address", Rule::Before(word)),
];

/// How far white space is skipped; more is another thing.
const SPACES_MAX: usize = 8;
/// Longest value that is looked at. A longer one without white space is hidden as it is.
pub(super) const VALUE_MAX: usize = 1_024;
/// Longest name, before the word that makes it one.
const NAME_MAX: usize = 128;
/// Longest end of a name, after that word.
const TAIL_MAX: usize = 16;
/// How far a line is searched for the flag of a password.
const LINE_MAX: usize = 512;

/// The value that is assigned to a name that ends at `end`.
pub(super) fn look(
    bytes: &[u8],
    start: usize,
    end: usize,
    strength: Strength,
) -> Option<(usize, usize)> {
    let end = name_end(bytes, end)?;
    let least = start.saturating_sub(NAME_MAX);
    let before = bytes[least..start].iter().rposition(|b| !is_name(*b));
    let first = before.map_or(least, |at| least + at + 1);
    super::spend(end - first);
    let flag = bytes[first..].starts_with(b"--") || bytes[first..].starts_with(b"-");
    let tag = first > 0 && bytes[first - 1] == b'<';
    let (at, how) = separator(bytes, end, flag, tag)?;
    let (from, to, quoted) = value(bytes, at, how);
    if is_too_long(from, to, quoted) {
        return Some((from, to));
    }
    let held = Held { value: &bytes[from..to], after: bytes.get(to).copied(), quoted, how };
    let shouted = bytes[first..end].iter().all(|b| !b.is_ascii_lowercase());
    held.is_secret(strength, shouted, &bytes[start..end]).then_some((from, to))
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

/// Where the name ends; none where the word goes on to mean something else, as in `token_count`.
fn name_end(bytes: &[u8], end: usize) -> Option<usize> {
    const TAILS: &[&[u8]] = &[
        b"",
        b"_value",
        b"value",
        b"_base64",
        b"_b64",
        b"_hex",
        b"_prod",
        b"_production",
        b"_dev",
        b"_test",
        b"_staging",
        b"_live",
        b"_new",
        b"_old",
        b"_id",
        b"_string",
        b"_str",
    ];
    let tail = bytes[end..].iter().take(TAIL_MAX + 1).take_while(|b| is_name(**b)).count();
    if tail > TAIL_MAX {
        return None;
    }
    let rest = bytes[end..end + tail].to_ascii_lowercase();
    let rest = rest.strip_suffix(b".").unwrap_or(&rest);
    let digits = rest.iter().all(|b| b.is_ascii_digit() || *b == b'_');
    (digits || TAILS.contains(&rest)).then_some(end + rest.len())
}

/// How a name and its value are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joined {
    /// `NAME=value`, nothing between: a shell, an environment, a query.
    Tight,
    /// `name = value`: code, or a file of settings.
    Loose,
    /// `name: value`.
    Colon,
    /// `--name value`.
    Flag,
    /// `<name>value</name>`.
    Tag,
}

/// Where the value begins after the separator.
fn separator(bytes: &[u8], end: usize, flag: bool, tag: bool) -> Option<(usize, Joined)> {
    let spaces = |at: usize| {
        bytes[at..].iter().take(SPACES_MAX).take_while(|b| matches!(b, b' ' | b'\t')).count()
    };
    let mut at = end;
    if tag && bytes.get(at) == Some(&b'>') {
        return Some((at + 1, Joined::Tag));
    }
    while matches!(bytes.get(at), Some(b'"' | b'\'' | b'\\' | b']' | b'`')) && at < end + 4 {
        at += 1;
    }
    let before = spaces(at);
    at += before;
    let (sign, next) = (*bytes.get(at)?, bytes.get(at + 1).copied());
    match (sign, next) {
        (b'=', Some(b'=' | b'~')) | (b':', Some(b':')) => None,
        (b'=', Some(b'>')) | (b':', Some(b'=')) => Some((at + 2 + spaces(at + 2), Joined::Loose)),
        (b'=', _) => {
            let after = spaces(at + 1);
            let how = if before + after == 0 { Joined::Tight } else { Joined::Loose };
            Some((at + 1 + after, how))
        }
        (b':', _) => Some((at + 1 + spaces(at + 1), Joined::Colon)),
        _ if flag && before > 0 && sign != b'-' => Some((at, Joined::Flag)),
        _ => None,
    }
}

/// The value: what its quotes hold, or up to white space and punctuation.
fn value(bytes: &[u8], at: usize, how: Joined) -> (usize, usize, bool) {
    let mut from = at;
    // b"…", f"…", r"…" and quotes inside JSON text.
    if matches!(bytes.get(from), Some(b'b' | b'f' | b'r' | b'u'))
        && matches!(bytes.get(from + 1), Some(b'"' | b'\''))
    {
        from += 1;
    }
    let escaped =
        bytes.get(from) == Some(&b'\\') && matches!(bytes.get(from + 1), Some(b'"' | b'\''));
    from += usize::from(escaped);
    if let Some(quote @ (b'"' | b'\'' | b'`')) = bytes.get(from).copied() {
        from += 1;
        let mut to = from;
        while to < bytes.len() && bytes[to] != quote && bytes[to] != b'\n' {
            // An escaped quote belongs to the value, unless the opening one was escaped too.
            to += if bytes[to] == b'\\' && !escaped && to + 1 < bytes.len() { 2 } else { 1 };
        }
        super::spend(to - from);
        let to = if escaped && to > from && bytes[to - 1] == b'\\' { to - 1 } else { to };
        return (from, to.min(bytes.len()), true);
    }
    let ends = |b: u8| match how {
        Joined::Tag => b == b'<',
        Joined::Flag | Joined::Tight => {
            b.is_ascii_whitespace()
                || matches!(b, b'"' | b'\'' | b'`' | b';' | b'&' | b'|' | b'<' | b'>' | b',' | b')')
        }
        Joined::Loose | Joined::Colon => {
            b.is_ascii_whitespace()
                || matches!(b, b'"' | b'\'' | b'`' | b';' | b',' | b')' | b'}' | b']')
        }
    };
    // A line end that is spelled out, as in text inside JSON.
    let spelled =
        |to: usize| bytes[to] == b'\\' && matches!(bytes.get(to + 1), Some(b'n' | b'r' | b't'));
    let mut to = from;
    while to < bytes.len() && !ends(bytes[to]) && !spelled(to) {
        to += 1;
    }
    super::spend(to - from);
    (from, to, false)
}

/// Whether a value is hidden without being looked at: names stand in it again and again, and each would look at all
/// of it. What quotes hold ends at the next quote, so no two of those lie in one another.
fn is_too_long(from: usize, to: usize, quoted: bool) -> bool {
    !quoted && to - from > VALUE_MAX
}

/// A value and how it stands there.
struct Held<'a> {
    value: &'a [u8],
    after: Option<u8>,
    quoted: bool,
    how: Joined,
}

impl Held<'_> {
    fn is_secret(&self, strength: Strength, shouted: bool, name: &[u8]) -> bool {
        if self.value.len() < 3 || self.stands_for_one() || self.value.eq_ignore_ascii_case(name) {
            return false;
        }
        let made = self.looks_made();
        let spaced = self.value.iter().any(u8::is_ascii_whitespace);
        match strength {
            Strength::Weak => made && !spaced && self.value.len() >= 8,
            _ if self.quoted => {
                if spaced {
                    return strength == Strength::Chosen && self.value.len() <= 128;
                }
                strength == Strength::Chosen || made || self.value.len() >= 16 || self.has_odd()
            }
            _ => match self.how {
                Joined::Tight | Joined::Flag => shouted || made || !self.is_code(),
                Joined::Tag => true,
                Joined::Loose | Joined::Colon => {
                    !self.is_code() && (made || strength == Strength::Chosen && !self.is_word())
                }
            },
        }
    }

    /// Whether it names where the secret is, or that there is none.
    fn stands_for_one(&self) -> bool {
        let value = self.value;
        let lead: [&[u8]; 13] = [
            b"$",
            b"%",
            b"<",
            b"{",
            b"[redacted:",
            b"process.env",
            b"os.environ",
            b"env.",
            b"ENV[",
            b"std::env",
            b"@",
            b"**",
            b"xxx",
        ];
        let whole: [&[u8]; 12] = [
            b"none",
            b"null",
            b"nil",
            b"true",
            b"false",
            b"undefined",
            b"string",
            b"optional",
            b"required",
            b"changeme",
            b"example",
            b"...",
        ];
        lead.iter().any(|l| value.len() >= l.len() && value[..l.len()].eq_ignore_ascii_case(l))
            || whole.iter().any(|w| value.eq_ignore_ascii_case(w))
            || value.starts_with("…".as_bytes())
            || value.iter().all(|b| matches!(b, b'*' | b'.' | b'x' | b'X' | b'-' | b'_'))
            // A path says where, not what.
            || value.starts_with(b"/") && value.iter().filter(|b| **b == b'/').count() >= 2
            || value.starts_with(b"./") || value.starts_with(b"~/")
    }

    /// Letters and digits in one, as machines make tokens.
    fn looks_made(&self) -> bool {
        let count = |is: fn(&u8) -> bool| self.value.iter().filter(|b| is(b)).count();
        let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
        let calls = self.value.iter().any(|b| matches!(b, b'(' | b'{'));
        digits >= 1 && letters >= 1 && self.value.len() >= 6 && !calls
    }

    fn has_odd(&self) -> bool {
        self.value.iter().any(|b| matches!(b, b'!' | b'@' | b'#' | b'^' | b'*' | b'+'))
    }

    /// A type, a name or a call of a programming language.
    fn is_code(&self) -> bool {
        let closes = matches!(self.after, Some(b')' | b',' | b';' | b'}' | b']' | b'<'));
        let signs = self.value.iter().any(|b| matches!(b, b'(' | b'[' | b'{' | b'<' | b'&'))
            || super::shapes::find(self.value, b"::").is_some();
        let name = self.value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.'));
        signs || name && (closes || self.value.iter().any(|b| matches!(b, b'_' | b'.')))
    }

    fn is_word(&self) -> bool {
        self.value.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-')
    }
}

/// `Authorization: Bearer …`, in a header, in JSON or in code.
fn authorization(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    let (at, _) = separator(bytes, end, false, false)?;
    let (from, to, quoted) = value(bytes, at, Joined::Flag);
    let mut from = from;
    let mut to = to;
    let known: [&[u8]; 8] = [
        b"bearer",
        b"basic",
        b"token",
        b"digest",
        b"apikey",
        b"negotiate",
        b"key",
        b"aws4-hmac-sha256",
    ];
    if is_too_long(from, to, quoted) {
        return Some((from, to));
    }
    let first = bytes[from..]
        .iter()
        .take(VALUE_MAX)
        .take_while(|b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\''))
        .count();
    if known.iter().any(|k| bytes[from..from + first].eq_ignore_ascii_case(k)) {
        from += first;
        from += bytes[from..].iter().take(SPACES_MAX).take_while(|b| **b == b' ').count();
        if !quoted {
            to = from + rest_of_line(&bytes[from..]);
        }
        if is_too_long(from, to, quoted) {
            return Some((from, to));
        }
    }
    let held = Held { value: &bytes[from..to.max(from)], after: None, quoted, how: Joined::Flag };
    (held.value.len() >= 4 && !held.stands_for_one() && !held.is_code() && !held.is_word())
        .then_some((from, to))
        .or((held.value.len() >= 8 && held.looks_made()).then_some((from, to)))
}

fn rest_of_line(bytes: &[u8]) -> usize {
    let ends = |b: &&u8| !matches!(b, b'\n' | b'\r' | b'"' | b'\'' | b'\\');
    let length = bytes.iter().take_while(ends).count();
    super::spend(length);
    length
}

/// A token after the word alone.
fn bearer(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    let set = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
    let length = bytes[end..].iter().take_while(|b| set(b)).count();
    let held =
        Held { value: &bytes[end..end + length], after: None, quoted: false, how: Joined::Flag };
    (length >= 12 && held.looks_made()).then_some((end, end + length))
}

/// The password of an address, or a token that stands there alone.
fn address(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    const AUTHORITY_MAX: usize = 512;
    let rest = &bytes[end..bytes.len().min(end + AUTHORITY_MAX)];
    let stop =
        |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\');
    let whole = &rest[..rest.iter().position(stop).unwrap_or(rest.len())];
    // Passwords may hold a slash although they should not: up to the last @ before the query.
    let head = &whole[..whole.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(whole.len())];
    let host = head.iter().position(|b| *b == b'/').unwrap_or(head.len());
    let at = head[..host].iter().rposition(|b| *b == b'@').or_else(|| {
        // What follows the colon of an address without a password is a port.
        let colon = head[..host].iter().position(|b| *b == b':')?;
        let port = head[colon + 1..host].iter().all(u8::is_ascii_digit);
        head.iter().rposition(|b| *b == b'@').filter(|_| !port)
    })?;
    let (from, to) = match head[..at].iter().position(|b| *b == b':') {
        Some(_) if head.starts_with(b"[redacted:") => return None,
        Some(colon) => (colon + 1, at),
        None if at >= 20 => (0, at),
        None => return None,
    };
    let held = Held { value: &head[from..to], after: None, quoted: false, how: Joined::Tight };
    (!held.value.is_empty() && !held.stands_for_one()).then_some((end + from, end + to))
}

/// `curl -u user:password`; other programs give a user and a group there.
fn login(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let line = &bytes[start.saturating_sub(LINE_MAX)..start];
    let programs: [&[u8]; 4] = [b"curl", b"wget", b"http", b"ftp"];
    if !programs.iter().any(|p| super::shapes::find(line, p).is_some()) {
        return None;
    }
    let (from, to, _) = value(bytes, end, Joined::Flag);
    if is_too_long(from, to, false) {
        return Some((from, to));
    }
    let colon = bytes[from..to].iter().position(|b| *b == b':')?;
    let held =
        Held { value: &bytes[from + colon + 1..to], after: None, quoted: false, how: Joined::Flag };
    (!held.value.is_empty() && !held.stands_for_one()).then_some((from + colon + 1, to))
}

/// `curl -uuser:password`.
fn mysql_is_near(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    bytes.get(end).filter(|b| b.is_ascii_alphanumeric()).and_then(|_| login(bytes, start, end))
}

/// `mysql -uroot -psecret`: the password stands right behind the flag.
fn mysql(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    behind_flag(bytes, end, b" -p", false)
}

/// `docker login -u me -p secret`.
fn docker_login(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    behind_flag(bytes, end, b" -p", true)
}

/// `redis-cli -h host -a secret`.
fn redis(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    behind_flag(bytes, end, b" -a", true).or_else(|| behind_flag(bytes, end, b" --pass", true))
}

/// `sshpass -v -p secret`, with or without the space.
fn sshpass(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    behind_flag(bytes, end, b" -p", true)
}

/// What stands behind the first such flag of a program that ends at `end`, on its line.
fn behind_flag(bytes: &[u8], end: usize, flag: &[u8], apart: bool) -> Option<(usize, usize)> {
    // The space before the flag may belong to the literal.
    let from = if bytes[..end].ends_with(b" ") { end - 1 } else { end };
    let line = &bytes[from..bytes.len().min(from + LINE_MAX)];
    let line = &line
        [..line.iter().position(|b| matches!(b, b'\n' | b'|' | b';' | b'<')).unwrap_or(line.len())];
    super::spend(line.len());
    let mut at = from + super::shapes::find(line, flag)? + flag.len();
    if apart && matches!(bytes.get(at), Some(b' ' | b'=')) {
        at += 1;
    }
    let (from, to, quoted) = value(bytes, at, Joined::Flag);
    let held = Held { value: &bytes[from..to], after: None, quoted, how: Joined::Flag };
    (is_too_long(from, to, quoted) || held.value.len() >= 2 && !held.stands_for_one())
        .then_some((from, to))
}

/// `openssl … -passin pass:secret`.
fn openssl(bytes: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let line = &bytes[start.saturating_sub(LINE_MAX)..start];
    super::spend(line.len());
    super::shapes::find(line, b"openssl")?;
    let quoted = start.checked_sub(1).map(|at| bytes[at]).filter(|b| matches!(b, b'"' | b'\''));
    let Some(quote) = quoted else { return word(bytes, start, end) };
    let length = bytes[end..].iter().take(VALUE_MAX).take_while(|b| **b != quote).count();
    (length >= 3 && bytes[end] != b'$').then_some((end, end + length))
}

/// The word that follows.
fn word(bytes: &[u8], _start: usize, end: usize) -> Option<(usize, usize)> {
    let at = end + bytes[end..].iter().take(1).take_while(|b| **b == b' ').count();
    let (from, to, quoted) = value(bytes, at, Joined::Flag);
    let held = Held { value: &bytes[from..to], after: None, quoted, how: Joined::Flag };
    (is_too_long(from, to, quoted) || held.value.len() >= 3 && !held.stands_for_one())
        .then_some((from, to))
}
