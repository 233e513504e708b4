//! The few words of MITRE ATT&CK that a drill needs: the form of a technique id, and names of tactics.
//!
//! The catalogue itself is not here; it grows twice a year, and an id of the right form is taken as it stands.

/// Whether a text has the form of a technique or sub-technique id: `T1566`, `T1566.001`.
pub fn is_technique(text: &str) -> bool {
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let Some(rest) = text.strip_prefix('T') else { return false };
    match rest.split_once('.') {
        None => digits(rest, 4),
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
    }
}

/// Whether a text has the form in which tactics are written: lower case, words joined by dashes.
pub fn is_tactic(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= TACTIC_BYTES_MAX
        && text.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// Longest technique id.
pub const TECHNIQUE_BYTES_MAX: usize = 9;
/// Longest name of a tactic; the longest of ATT&CK's has 27.
pub const TACTIC_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_the_published_form_are_techniques() {
        assert!(["T1566", "T1566.001", "T0886"].iter().all(|t| is_technique(t)));
        for bad in [
            "",
            "T",
            "T156",
            "T15666",
            "t1566",
            "T1566.1",
            "T1566.0011",
            "T1566.",
            "T1566.001 ",
            "T١٥٦٦",
        ] {
            assert!(!is_technique(bad), "{bad}");
        }
    }

    #[test]
    fn tactics_are_words_joined_by_dashes() {
        assert!(["impact", "initial-access", "command-and-control"].iter().all(|t| is_tactic(t)));
        assert!(["", "Impact", "initial access", "-x", "a--b"].iter().all(|t| !is_tactic(t)));
    }
}
