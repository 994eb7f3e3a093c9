//! Which ingest URLs are one output. The query is only a key; the rest is a secret too, so that an output is known by a digest.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

/// The longest URL that the service takes, in characters (dossier 3.1).
pub const LONGEST_URL: usize = 2048;

/// The port of RTMP.
const PORT: u16 = 1935;

/// An output: SHA-256 over scheme, host, port and path of its URL, cut to 64 bits, in hexadecimal. Two URLs that differ in their query, in the
/// case of their host or in whether they name the usual port are one output.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputId(String);

/// A URL that cannot be an output. Shows nothing of it: what stands at the place of the host may be the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// Nothing.
    #[error("the address is empty; it must be like rtmp://host/path")]
    Empty,
    /// Another scheme, or none.
    #[error("the address must begin with rtmp://")]
    Scheme,
    /// More than [`LONGEST_URL`] characters.
    #[error("the address must have at most 2048 characters")]
    TooLong,
    /// A blank, a line break or another control character.
    #[error("the address must have no blank and no line break in it")]
    Blank,
    /// No host, or one with characters that no host has.
    #[error("the address must name a host: rtmp://host/path")]
    Host,
    /// A port that is none.
    #[error("the port of the address must be a number from 1 to 65535")]
    Port,
    /// Nothing after the host.
    #[error("the address must have a path after the host: rtmp://host/path")]
    Path,
}

impl OutputId {
    /// The output that `url` leads to.
    ///
    /// # Errors
    /// When the service could not push to it (dossier 3.1: RTMP only, at most 2048 characters).
    pub fn of(url: &str) -> Result<Self, OutputError> {
        if url.is_empty() {
            return Err(OutputError::Empty);
        }
        if url.chars().count() > LONGEST_URL {
            return Err(OutputError::TooLong);
        }
        if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(OutputError::Blank);
        }
        let (scheme, rest) = url.split_once("://").ok_or(OutputError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("rtmp") {
            return Err(OutputError::Scheme);
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = host_and_port(authority)?;
        if path.is_empty() {
            return Err(OutputError::Path);
        }
        Ok(Self(digest(&[&format!("rtmp://{host}:{port}/{path}")])))
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Each output once, in order.
#[must_use]
pub fn distinct(ids: impl IntoIterator<Item = OutputId>) -> Vec<OutputId> {
    let mut ids: Vec<_> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The host in lower case, and the port. Whoever is named before an `@` is left out: that is a key, too.
fn host_and_port(authority: &str) -> Result<(String, u16), OutputError> {
    let (_, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    // The colons of an IPv6 address stand in brackets.
    let end = place.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match place[end..].find(':') {
        Some(colon) => (&place[..end + colon], Some(&place[end + colon + 1..])),
        None => (place, None),
    };
    let legal =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let has_brackets = host.contains(['[', ']', ':']);
    if host.is_empty() || !host.chars().all(legal) || has_brackets != is_bracketed {
        return Err(OutputError::Host);
    }
    let host = host.to_ascii_lowercase();
    match port.map(str::parse) {
        None => Ok((host, PORT)),
        Some(Ok(port)) if port != 0 => Ok((host, port)),
        Some(_) => Err(OutputError::Port),
    }
}

/// SHA-256 over the parts one after the other, cut to 64 bits, in hexadecimal.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::with_capacity(16), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(url: &str) -> OutputId {
        OutputId::of(url).unwrap_or_else(|error| unreachable!("{url}: {error}"))
    }

    #[test]
    fn what_leads_to_one_place_is_one_output() {
        let one = id("rtmp://push.example.com/live/s1");
        for same in [
            "rtmp://push.example.com/live/s1?auth_key=1-0-0-abc",
            "rtmp://push.example.com:1935/live/s1",
            "rtmp://PUSH.Example.com/live/s1#part",
            "RTMP://push.example.com/live/s1?a=b/c",
            "rtmp://name:word@push.example.com/live/s1",
        ] {
            assert_eq!(id(same), one, "{same}");
        }
        for other in [
            "rtmp://push.example.com:1936/live/s1",
            "rtmp://push.example.com/live/S1",
            "rtmp://push.example.com/live/s1/",
            "rtmp://push.example.com/live/s2",
            "rtmp://push.example.org/live/s1",
        ] {
            assert_ne!(id(other), one, "{other}");
        }
        assert_eq!(id("rtmp://[::1]/a"), id("rtmp://[::1]:1935/a"));
    }

    #[test]
    fn the_digest_is_what_its_description_says() {
        // printf rtmp://h.example:1935/a | sha256sum | cut -c1-16
        assert_eq!(id("rtmp://h.example/a").as_str(), "c0f90326f665fbca");
    }

    #[test]
    fn what_cannot_be_an_output_is_told_without_it() {
        let long = format!("rtmp://h/{}", "k".repeat(LONGEST_URL - 9));
        assert!(OutputId::of(&long).is_ok());
        let too_long = format!("{long}k");
        for (url, expected) in [
            ("", OutputError::Empty),
            ("KEY", OutputError::Scheme),
            ("h.example/live/KEY", OutputError::Scheme),
            ("rtmps://h/KEY", OutputError::Scheme),
            ("https://h/KEY", OutputError::Scheme),
            ("rtmp:/h/KEY", OutputError::Scheme),
            (&too_long, OutputError::TooLong),
            ("rtmp://h/KEY\n", OutputError::Blank),
            ("rtmp://h/K EY", OutputError::Blank),
            ("rtmp://h/K\u{0}EY", OutputError::Blank),
            ("rtmp:///KEY", OutputError::Host),
            ("rtmp://?KEY", OutputError::Host),
            ("rtmp://:1935/KEY", OutputError::Host),
            ("rtmp://h%2FKEY/a", OutputError::Host),
            ("rtmp://h:KEY/a", OutputError::Port),
            ("rtmp://[KEY/a", OutputError::Host),
            ("rtmp://KEY]/a", OutputError::Host),
            ("rtmp://KEY", OutputError::Path),
            ("rtmp://KEY:word", OutputError::Port),
            ("rtmp://H:0/KEY", OutputError::Port),
            ("rtmp://h:65536/KEY", OutputError::Port),
            ("rtmp://h:/KEY", OutputError::Port),
            ("rtmp://h", OutputError::Path),
            ("rtmp://u:KEY@h/", OutputError::Path),
            ("rtmp://h?KEY", OutputError::Path),
        ] {
            let told = OutputId::of(url).err();
            assert_eq!(told.as_ref(), Some(&expected), "{url}");
            let shown = format!("{expected} {expected:?}");
            assert!(!shown.contains("KEY"), "{shown}");
        }
    }
}
