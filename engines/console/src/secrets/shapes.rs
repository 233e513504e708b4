//! Tokens of known shape: a literal they begin with, then so many characters of a set.

use super::{Mark, Rule};

/// What follows a literal.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// At least so many characters of the set; with a digit, where words could follow the literal too.
    Run { least: usize, set: fn(u8) -> bool, digit: bool },
    /// Exactly so many.
    Exactly(usize, fn(u8) -> bool),
    /// Three parts of base64url, divided by points.
    Jwt,
    /// A block up to its `-----END`.
    Pem,
}

fn alnum(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

fn upper(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

fn hex(b: u8) -> bool {
    b.is_ascii_hexdigit()
}

fn url(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

fn dotted(b: u8) -> bool {
    url(b) || b == b'.'
}

fn path(b: u8) -> bool {
    url(b) || b == b'/'
}

const fn run(least: usize, set: fn(u8) -> bool) -> Rule {
    Rule::Shape(Shape::Run { least, set, digit: false })
}

const fn mixed(least: usize, set: fn(u8) -> bool) -> Rule {
    Rule::Shape(Shape::Run { least, set, digit: true })
}

const fn exactly(count: usize, set: fn(u8) -> bool) -> Rule {
    Rule::Shape(Shape::Exactly(count, set))
}

/// Literals, in the spelling they have; other spellings are no match.
pub(super) const MARKS: &[Mark] = &[
    ("AKIA", "aws_key_id", exactly(16, upper)),
    ("ASIA", "aws_key_id", exactly(16, upper)),
    ("ABIA", "aws_key_id", exactly(16, upper)),
    ("ACCA", "aws_key_id", exactly(16, upper)),
    ("ghp_", "github_token", run(30, alnum)),
    ("gho_", "github_token", run(30, alnum)),
    ("ghu_", "github_token", run(30, alnum)),
    ("ghs_", "github_token", run(30, alnum)),
    ("ghr_", "github_token", run(30, alnum)),
    ("github_pat_", "github_token", run(22, url)),
    ("glpat-", "gitlab_token", run(16, dotted)),
    ("gldt-", "gitlab_token", run(16, url)),
    ("glrt-", "gitlab_token", run(16, url)),
    ("glptt-", "gitlab_token", run(16, url)),
    ("glcbt-", "gitlab_token", run(16, url)),
    ("xoxb-", "slack_token", mixed(10, url)),
    ("xoxa-", "slack_token", mixed(10, url)),
    ("xoxp-", "slack_token", mixed(10, url)),
    ("xoxr-", "slack_token", mixed(10, url)),
    ("xoxs-", "slack_token", mixed(10, url)),
    ("xoxe-", "slack_token", mixed(10, url)),
    ("xoxe.", "slack_token", mixed(10, dotted)),
    ("xapp-", "slack_token", mixed(10, url)),
    ("hooks.slack.com/services/", "slack_webhook", run(20, path)),
    ("discord.com/api/webhooks/", "discord_webhook", run(20, path)),
    ("sk_live_", "stripe_key", run(10, alnum)),
    ("rk_live_", "stripe_key", run(10, alnum)),
    ("sk_test_", "stripe_key", run(10, alnum)),
    ("rk_test_", "stripe_key", run(10, alnum)),
    ("whsec_", "stripe_key", run(16, alnum)),
    ("AIza", "google_key", run(30, url)),
    ("ya29.", "google_token", run(20, dotted)),
    ("GOCSPX-", "google_secret", run(20, url)),
    ("sk-ant-", "anthropic_key", run(16, url)),
    ("sk-proj-", "openai_key", mixed(16, url)),
    ("sk-", "api_key", mixed(20, url)),
    ("npm_", "npm_token", mixed(30, alnum)),
    ("pypi-AgE", "pypi_token", run(16, url)),
    ("pypi-", "pypi_token", mixed(32, url)),
    ("SG.", "sendgrid_key", mixed(32, dotted)),
    ("dop_v1_", "digitalocean_token", run(32, hex)),
    ("shpat_", "shopify_token", run(32, hex)),
    ("hf_", "huggingface_token", mixed(30, alnum)),
    ("dckr_pat_", "docker_token", run(16, url)),
    ("tskey-", "tailscale_key", mixed(16, url)),
    ("hvs.", "vault_token", mixed(20, url)),
    ("AGE-SECRET-KEY-1", "age_key", run(20, upper)),
    ("eyJ", "jwt", Rule::Shape(Shape::Jwt)),
    ("-----BEGIN ", "private_key", Rule::Shape(Shape::Pem)),
];

/// What following a literal came to.
pub(super) struct Seen {
    /// First and last byte of the secret.
    pub found: Option<(usize, usize)>,
    /// Up to where the same literal cannot begin anything more than this one did.
    pub to: usize,
}

/// The secret that begins at `start` with the literal, if its shape is right.
pub(super) fn look(bytes: &[u8], start: usize, literal: &'static str, shape: Shape) -> Seen {
    let after = start + literal.len();
    if bytes[start..after] != *literal.as_bytes() || inside_a_word(bytes, start) {
        return Seen { found: None, to: 0 };
    }
    let rest = &bytes[after..];
    let (length, seen) = match shape {
        Shape::Run { least, set, digit } => {
            let length = run_of(rest, set);
            let random = !digit || looks_random(&rest[..length]);
            ((length >= least && random).then_some(length), length)
        }
        Shape::Exactly(wanted, set) => {
            let length = run_of(&rest[..rest.len().min(wanted + 1)], set);
            ((length == wanted).then_some(wanted), 0)
        }
        Shape::Jwt => jwt(rest),
        Shape::Pem => {
            let length = pem(rest);
            (length, length.unwrap_or(0))
        }
    };
    Seen { found: length.map(|length| (start, after + length)), to: after + seen }
}

/// How many of the first bytes are of a set.
fn run_of(bytes: &[u8], set: fn(u8) -> bool) -> usize {
    let length = bytes.iter().take_while(|b| set(**b)).count();
    super::spend(length);
    length
}

/// Words divided by `-` have no digits next to letters, tokens do.
fn looks_random(token: &[u8]) -> bool {
    let digits = token.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = token.iter().filter(|b| b.is_ascii_alphabetic()).count();
    digits >= 2 && letters + digits >= 8
}

/// Whether the character before makes the literal the middle of a word or of base64.
fn inside_a_word(bytes: &[u8], start: usize) -> bool {
    match start.checked_sub(1).map(|before| bytes[before]) {
        // The n of an escaped line end, as text inside JSON has it, is no letter of a word.
        Some(b'n' | b't' | b'r') => start < 2 || bytes[start - 2] != b'\\',
        Some(before) => before.is_ascii_alphanumeric(),
        None => false,
    }
}

/// Its length, and how much of it the same literal need not be followed in again.
fn jwt(rest: &[u8]) -> (Option<usize>, usize) {
    let part = |from: usize| run_of(&rest[from..], url);
    let head = part(0);
    if head < 7 || rest.get(head) != Some(&b'.') {
        return (None, head);
    }
    let body = part(head + 1);
    let mut end = head + 1 + body;
    if body < 4 || rest.get(end) != Some(&b'.') {
        return (None, head);
    }
    // Encrypted ones have five parts.
    while rest.get(end) == Some(&b'.') {
        end += 1 + part(end + 1);
    }
    (Some(end), end)
}

/// A block that holds a private key, to its end or to the end of the text.
fn pem(rest: &[u8]) -> Option<usize> {
    const LABEL_MAX: usize = 64;
    let label_end = rest.iter().take(LABEL_MAX).position(|b| *b == b'-')?;
    let label = &rest[..label_end];
    if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
        return None;
    }
    let end = find(rest, b"-----END ");
    super::spend(end.unwrap_or(rest.len()));
    let Some(end) = end else { return Some(rest.len()) };
    let close =
        rest[end..].iter().take(LABEL_MAX + 16).position(|b| matches!(b, b'\n' | b'\\' | b'"'));
    let tail = &rest[end + 9..];
    let dashes = find(&tail[..tail.len().min(LABEL_MAX + 16)], b"-----").map(|at| end + 9 + at + 5);
    Some(dashes.or(close.map(|at| end + at)).unwrap_or(rest.len()))
}

/// First place of some bytes.
pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
