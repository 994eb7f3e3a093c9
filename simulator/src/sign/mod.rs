//! Signatures of both versions, and the percent-encoding that they share.

pub mod v1;
pub mod v3;

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The parameters of a call in the byte order of their names.
pub type Params = BTreeMap<String, String>;

/// Encodes all but the unreserved characters, upper-case, a blank as `%20` (dossier 5.1, step 2).
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Decodes one name or value. `+` is a blank: the vendor's newer SDK sends it so (dossier 6.3). None where it is not UTF-8 or not an encoding.
pub fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).ok()
}

/// Adds the pairs of a query or a form body. False where one cannot be decoded, or comes twice.
pub fn merge(params: &mut Params, encoded: &str) -> bool {
    encoded
        .split('&')
        .filter(|pair| !pair.is_empty())
        .all(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) => params.insert(name, value).is_none(),
                _ => false,
            }
        })
}

/// The canonical query (dossier 5.1, steps 2 and 3).
pub fn canonical<'a>(params: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let mut canonical = String::new();
    for (name, value) in params {
        if !canonical.is_empty() {
            canonical.push('&');
        }
        canonical.push_str(&encode(name));
        canonical.push('=');
        canonical.push_str(&encode(value));
    }
    canonical
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_blank_may_come_as_plus() {
        assert_eq!(decode("a+b%20c%2B").unwrap(), "a b c+");
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for bad in ["a=%zz", "a=%2", "a=%ff", "a=1&a=2", "%=1"] {
            assert!(!merge(&mut Params::new(), bad), "{bad}");
        }
        assert!(merge(&mut Params::new(), "a=&b&&c=d"));
    }

    proptest::proptest! {
        #[test]
        fn encoding_comes_back(text in "\\PC*") {
            proptest::prop_assert_eq!(decode(&encode(&text)), Some(text));
        }
    }
}
