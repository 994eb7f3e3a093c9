//! What may be shown of a text that somebody else wrote.
//!
//! The service echoes what it was sent (dossier 1.2), so its words may hold ingest URLs, signatures and tokens, plain or percent-encoded.

use std::{borrow::Cow, cmp::Reverse};

/// The longest text that is shown, in characters.
pub const LONGEST: usize = 300;

const HIDDEN: &str = "[redacted]";

/// How often a text is percent-decoded in search of what must not be shown; the signature encodes twice.
const LEVELS: usize = 5;

/// Words with one of these in them are not shown.
const TELLING: [&str; 2] = ["auth_key", "credential="];

/// Names whose values stand in the same word, behind an equals sign, a colon or a quotation mark: of V1 in the query, of V3 in headers. The names
/// alone are in the service's own codes.
const NAMES: [&str; 9] = [
    "signature",
    "signaturenonce",
    "signature-nonce",
    "accesskeyid",
    "accesskeysecret",
    "securitytoken",
    "security-token",
    "secret",
    "token",
];

/// Words whose next word is not shown when they end in a colon or an equals sign.
const NAMING: [&str; 8] = [
    "signature",
    "auth_key",
    "accesskeysecret",
    "secret",
    "securitytoken",
    "token",
    "signature-nonce",
    "authorization",
];

/// `text` on one line of at most [`LONGEST`] characters, without the `secrets`, without anything of a URL but scheme and host, and without what
/// looks like a signature or a key, also where it is percent-encoded or escaped as in JSON.
#[must_use]
pub fn shown(text: &str, secrets: &[&str]) -> String {
    let mut text = Cow::Borrowed(text);
    let mut longest_first: Vec<&str> = secrets.to_vec();
    // One can be a part of another.
    longest_first.sort_by_key(|secret| Reverse(secret.len()));
    for secret in longest_first
        .into_iter()
        .filter(|secret| !secret.is_empty())
    {
        if text.contains(secret) {
            text = Cow::Owned(text.replace(secret, HIDDEN));
        }
    }
    let mut line = String::new();
    let mut hide_next = false;
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        if std::mem::replace(&mut hide_next, names_a_secret(word)) {
            line.push_str(HIDDEN);
        } else {
            line.push_str(&shown_word(word, secrets));
        }
    }
    shortened(line)
}

/// Shorter parts of a URL are ordinary words.
const SHORTEST_PART: usize = 6;

/// The parts of an ingest URL that must not be shown even where they stand alone: the whole, its path and query, and each piece of these that is
/// too long to be an ordinary word. The longer come first.
#[must_use]
pub fn telling_parts(url: &str) -> Vec<&str> {
    let mut parts = vec![url];
    if let Some((authority, rest)) = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
    {
        parts.push(rest);
        parts.extend(rest.split(['?', '#']));
        parts.extend(rest.split(['/', '?', '#', '&', '=']));
        parts.extend(authority.rsplit_once('@').map(|(who, _)| who));
    }
    parts.retain(|part| part.len() >= SHORTEST_PART);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

fn names_a_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let name = word.trim_end_matches(['"', '\'']);
    name.strip_suffix([':', '='])
        .map(|name| name.trim_end_matches(['"', '\'']))
        .is_some_and(|name| NAMING.iter().any(|naming| name.ends_with(naming)))
}

fn shown_word<'a>(word: &'a str, secrets: &[&str]) -> Cow<'a, str> {
    let mut decoded = Cow::Borrowed(word);
    for _ in 0..LEVELS {
        if secrets
            .iter()
            .any(|secret| !secret.is_empty() && decoded.contains(secret))
        {
            return Cow::Borrowed(HIDDEN);
        }
        let next = percent_decoded(&unescaped(&decoded));
        if next == decoded {
            break;
        }
        decoded = Cow::Owned(next);
    }
    if let Some((before, after)) = decoded.split_once("://") {
        return Cow::Owned(scheme_and_host(before, after));
    }
    let lower = decoded.to_ascii_lowercase();
    if TELLING.iter().any(|telling| lower.contains(telling)) || has_a_value(&lower) {
        return Cow::Borrowed(HIDDEN);
    }
    Cow::Borrowed(word)
}

/// Whether a word, in lower case, has one of the names with a value behind it.
fn has_a_value(word: &str) -> bool {
    NAMES.iter().any(|name| {
        word.match_indices(name).any(|(at, _)| {
            let mut rest = word[at + name.len()..].chars();
            matches!(rest.next(), Some('=' | ':' | '"' | '\'')) && rest.next().is_some()
        })
    })
}

fn scheme_and_host(before: &str, after: &str) -> String {
    let scheme = before
        .rsplit(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    let authority = after
        .split(['/', '?', '#', '\\'])
        .next()
        .unwrap_or_default();
    let from_host = &after[authority.rfind('@').map_or(0, |at| at + 1)..];
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    let end = from_host.find(|c| !legal(c)).unwrap_or(from_host.len());
    let host = from_host[..end].trim_end_matches(['.', ':']);
    let rest = &from_host[host.len()..];
    let rest = if rest
        .chars()
        .all(|c| matches!(c, '.' | ':' | ',' | ';' | ')'))
    {
        rest
    } else {
        "/…"
    };
    format!("{scheme}://{host}{rest}")
}

/// Without the escapes of JSON that can stand in a URL: `\/` and `\u003a`.
fn unescaped(text: &str) -> Cow<'_, str> {
    let Some((before, mut rest)) = text.split_once('\\') else {
        return Cow::Borrowed(text);
    };
    let mut out = before.to_owned();
    loop {
        let code = rest
            .strip_prefix('u')
            .and_then(|rest| rest.get(..4))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .and_then(char::from_u32);
        if let Some(character) = code {
            out.push(character);
            rest = &rest[5..];
        }
        let Some((before, after)) = rest.split_once('\\') else {
            out.push_str(rest);
            return Cow::Owned(out);
        };
        out.push_str(before);
        rest = after;
    }
}

fn percent_decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)))
        {
            out.push(high * 16 + low);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn shortened(mut line: String) -> String {
    if let Some((cut, _)) = line.char_indices().nth(LONGEST)
        && let Some((cut, _)) = line[..cut].char_indices().next_back()
    {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [&str; 2] = ["s3cr3t/Key+1", "CAIS+abc/def=="];

    #[test]
    fn nasty_echoes() {
        let cases = [
            (
                "plain words stay, so do app-01 and final-42.",
                "plain words stay, so do app-01 and final-42.",
            ),
            ("two\nlines\r\n and\ta\u{0}null", "two lines and a null"),
            (
                "rtmp://push.example.com/live/KEY?auth_key=1-2-3 is in use",
                "rtmp://push.example.com/… is in use",
            ),
            (
                "rtmp%3A%2F%2Fpush.example.com%2Flive%2FKEY%3Fauth_key%3D1 is in use",
                "rtmp://push.example.com/… is in use",
            ),
            (
                "rtmp%253a%252f%252fpush.example.com%252flive%252fKEY is in use",
                "rtmp://push.example.com/… is in use",
            ),
            (
                "https://user:KEY@h.example:8443/KEY",
                "https://h.example:8443/…",
            ),
            ("https://user:KEY%40h.example/KEY", "https://h.example/…"),
            (
                r#"{"StreamURL":"rtmp://h/KEY","Other":"rtmp://i/KEY"}"#,
                "rtmp://h/…",
            ),
            ("HTTP://h#KEY", "HTTP://h/…"),
            (
                r#"{"StreamURL":"rtmp:\/\/push.example.com\/live\/KEY"}"#,
                "rtmp://push.example.com/…",
            ),
            (
                r"rtmp\u003A\u002f\u002fpush.example.com\u002flive\u002fKEY",
                "rtmp://push.example.com/…",
            ),
            (
                r"rtmp%3A%5C%2F%5C%2Fpush.example.com%5C%2FKEY",
                "rtmp://push.example.com/…",
            ),
            (r"a \ back\slash\u12 stays\", r"a \ back\slash\u12 stays\"),
            (
                "at https://h.example:8443: refused, see http://h.",
                "at https://h.example:8443: refused, see http://h.",
            ),
            ("rtmp://[::1]:1935/KEY", "rtmp://[::1]:1935/…"),
            ("live/s1?auth_key=KEY", "[redacted]"),
            ("live/s1%3Fauth%5Fkey%3DKEY", "[redacted]"),
            ("a=1&Signature=KEY&b=2 wrong", "[redacted] wrong"),
            ("Signature: KEY is wrong", "Signature: [redacted] is wrong"),
            ("\"auth_key\": \"KEY\"", "[redacted] [redacted]"),
            (
                "string to sign is:POST&%2F&AccessKeyId%3DKEY%26Action%3DStop",
                "string to sign [redacted]",
            ),
            ("x-acs-security-token:KEY", "[redacted]"),
            (
                "x-acs-security-token: KEY",
                "x-acs-security-token: [redacted]",
            ),
            ("x-acs-signature-nonce:KEY", "[redacted]"),
            (
                "Authorization: KEY Credential=KEY,SignedHeaders=host,Signature=KEY",
                "Authorization: [redacted] [redacted]",
            ),
            ("key s3cr3t/Key+1!", "key [redacted]!"),
            ("key s3cr3t%2FKey%2B1!", "key [redacted]"),
            ("key s3cr3t%252fKey%252b1!", "key [redacted]"),
            ("x=CAIS%2Babc%2Fdef%3D%3D", "[redacted]"),
        ];
        for (raw, expected) in cases {
            assert_eq!(shown(raw, &SECRETS), expected, "{raw}");
        }
    }

    /// They have names of secrets in them.
    #[test]
    fn the_services_own_codes_are_shown() {
        for answer in crate::live::documented::DOCUMENTED {
            assert_eq!(shown(answer.code, &SECRETS), answer.code);
        }
        let words = "Specified SecurityToken is expired.";
        assert_eq!(shown(words, &SECRETS), words);
    }

    #[test]
    fn a_secret_that_is_a_part_of_another_one_hides_no_less() {
        let words = "stream live/studio-8f3k2x is occupied";
        for secrets in [
            ["live/studio", "live/studio-8f3k2x"],
            ["live/studio-8f3k2x", "live/studio"],
        ] {
            assert_eq!(shown(words, &secrets), "stream [redacted] is occupied");
        }
    }

    #[test]
    fn the_parts_of_a_url_that_tell() {
        for (url, expected) in [
            ("rtmp://h/a", &["rtmp://h/a"][..]),
            (
                "rtmp://h.example/live/stream-key?auth_key=12345678&x=1",
                &[
                    "rtmp://h.example/live/stream-key?auth_key=12345678&x=1",
                    "live/stream-key?auth_key=12345678&x=1",
                    "auth_key=12345678&x=1",
                    "live/stream-key",
                    "stream-key",
                    "auth_key",
                    "12345678",
                ],
            ),
            (
                "rtmp://user:password@h/live",
                &["rtmp://user:password@h/live", "user:password"],
            ),
        ] {
            assert_eq!(telling_parts(url), expected);
        }
    }

    #[test]
    fn length_is_bounded_in_characters() {
        assert_eq!(shown(&"é".repeat(LONGEST), &[]).chars().count(), LONGEST);
        let long = shown(&"é".repeat(LONGEST + 1), &[]);
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.ends_with("é…"), "{long}");
    }
}
