//! Which texts can be names, for flags and files that the API server does not check.

/// Whether a namespace can be called so (a DNS label, RFC 1123).
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 63
        && name.chars().all(|c| is_word(c) || c == '-')
        && name.starts_with(is_word)
        && name.ends_with(is_word)
}

/// Whether this can be an id of the service, or its beginning: 1 to `longest` of `A-Za-z0-9_-` (vendor page: `StopLiveMPUTask`).
#[must_use]
pub fn is_id(id: &str, longest: usize) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=longest).contains(&id.len()) && id.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_dns_labels() {
        let longest = "a".repeat(63);
        for good in ["a", "team-a", "0-9", longest.as_str()] {
            assert!(is_namespace(good), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in ["", "-a", "a-", "Team", "a_b", "a.b", "é", &too_long] {
            assert!(!is_namespace(bad), "{bad}");
        }
    }

    #[test]
    fn ids_are_bounded_and_of_few_characters() {
        for good in ["a", "_-", "App_01-x"] {
            assert!(is_id(good, 8), "{good}");
        }
        for bad in ["", "123456789", "a b", "a.b", "é", "*"] {
            assert!(!is_id(bad, 8), "{bad}");
        }
    }
}
