//! What would give a secret away, and the search for it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use support::relay::STREAM_KEY;

use super::{OTHER_SECRET, SECRET, TOKEN};
use crate::scene::APP;

pub fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}

pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let hex = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (byte, tail) = match hex {
            Some(decoded) if *byte == b'%' => (decoded, &tail[2..]),
            Some(_) | None => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).unwrap()
}

/// The texts that would give a secret away: plain, in part, percent-encoded up to three times, in base64 wherever it may begin, in
/// hexadecimal, and as JSON and Rust write it.
fn forms(secret: &str) -> Vec<String> {
    let half = secret.len() / 2;
    let mut forms = vec![
        secret.to_owned(),
        secret[..half].to_owned(),
        secret[half..].to_owned(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        secret.replace('/', "\\/"),
        format!("{:?}", secret.as_bytes()).replace(['[', ']'], ""),
    ];
    let mut encoded = secret.to_owned();
    for _ in 0..3 {
        encoded = percent(&encoded);
        forms.push(encoded.clone());
        forms.push(encoded.to_lowercase());
    }
    for (before, skipped) in [(0, 0), (1, 2), (2, 3)] {
        let text = STANDARD_NO_PAD.encode(format!("{}{secret}", "x".repeat(before)));
        // What the neighbours share in is left out.
        forms.push(text[skipped..text.len() - 1].to_owned());
    }
    let hex = secret.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    forms.push(hex.to_uppercase());
    forms.push(hex);
    forms
}

/// The forms of secrets that a text contains, each with what stands around it.
pub fn leaks(secrets: &[String], text: &str) -> Vec<String> {
    let forms = secrets.iter().flat_map(|secret| forms(secret));
    forms
        .filter_map(|form| {
            let at = text.find(&form)?;
            let start = text.floor_char_boundary(at.saturating_sub(200));
            let end = text.ceil_char_boundary((at + 200).min(text.len()));
            Some(format!("{form} in …{}…", &text[start..end]))
        })
        .collect()
}

#[test]
fn the_scan_finds_what_is_there() {
    let secrets = [SECRET, OTHER_SECRET, TOKEN, STREAM_KEY].map(str::to_owned);
    for secret in &secrets {
        for form in forms(secret) {
            let text = format!("{{\"message\":\"before{form}after\",\"app\":\"{APP}\"}}");
            assert_ne!(leaks(&secrets, &text), Vec::<String>::new(), "{form}");
        }
        for before in 0..6 {
            let text = STANDARD.encode(format!("{}{secret}&x=y", "k".repeat(before)));
            assert_ne!(leaks(&secrets, &text), Vec::<String>::new(), "{text}");
        }
    }
    assert_eq!(
        leaks(&secrets, "AccessKeyId=testid&Signature=[redacted]"),
        Vec::<String>::new()
    );
}
