//! What a service account's token says. Its signature is not checked: the simulator knows no cluster's keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The claims that count.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    /// Who signed it.
    pub issuer: String,
    /// For whom it is.
    pub audiences: Vec<String>,
    /// Whose it is.
    pub subject: String,
    /// When it ends, in UNIX seconds.
    pub expires: i64,
}

/// No token.
#[derive(Debug, thiserror::Error)]
#[error("The token is not a signed JSON Web Token.")]
pub struct TokenError;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Token {
    /// Reads a token: header, claims and signature, in base64 and with dots between them. It is read as it is: a line break is no part of one.
    pub fn read(text: &str) -> Result<Self, TokenError> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(TokenError);
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError);
        if decode(header)?.is_empty() || decode(signature)?.is_empty() {
            return Err(TokenError);
        }
        let Claims { iss, aud, sub, exp } =
            serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError)?;
        Ok(Self {
            issuer: iss,
            audiences: match aud {
                Audience::One(audience) => vec![audience],
                Audience::Several(audiences) => audiences,
            },
            subject: sub,
            expires: exp,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part("{}"), part(claims), part("signature"))
    }

    #[test]
    fn what_a_token_says() {
        let one = token(r#"{"iss": "i", "aud": "a", "sub": "s", "exp": 7, "iat": 1}"#);
        let read = Token::read(&one).unwrap();
        assert_eq!(
            (read.issuer.as_str(), read.subject.as_str(), read.expires),
            ("i", "s", 7)
        );
        assert_eq!(read.audiences, ["a"]);
        let several = token(r#"{"iss": "i", "aud": ["a", "b"], "sub": "s", "exp": 7}"#);
        assert_eq!(Token::read(&several).unwrap().audiences, ["a", "b"]);
        let unsigned = one.rsplit_once('.').map(|(rest, _)| format!("{rest}."));
        let without_subject = token(r#"{"iss": "i", "aud": "a", "exp": 7}"#);
        for bad in [
            String::new(),
            "word".to_owned(),
            format!("{one}\n"),
            format!("{one}.x"),
            unsigned.unwrap(),
            without_subject,
        ] {
            assert!(Token::read(&bad).is_err(), "{bad}");
        }
    }
}
