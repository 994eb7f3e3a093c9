//! Where the service is: scheme, host and port from the operator's configuration, and nothing else.

use std::fmt;

/// The address of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: String,
}

/// An address that cannot be used; each message is one sentence that says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No absolute URL.
    #[error("the endpoint is not a URL; write it like https://live.aliyuncs.com")]
    NotAUrl,
    /// Plain HTTP without leave.
    #[error(
        "the endpoint uses http, which sends signed requests in the clear; use https, or allow it with --allow-http"
    )]
    PlainHttp,
    /// Neither https nor http.
    #[error("the endpoint's scheme must be https")]
    Scheme,
    /// A user or a password.
    #[error(
        "the endpoint must not contain a user or a password; credentials have variables of their own"
    )]
    UserInfo,
    /// A path, a query or a fragment.
    #[error("the endpoint must be scheme, host and port alone, without path, query or fragment")]
    MoreThanHost,
}

impl Endpoint {
    /// Reads an address such as `https://live.aliyuncs.com` or, with `allow_http`, `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When it is not scheme, host and optionally port, or plain HTTP without leave.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, EndpointError> {
        let url = reqwest::Url::parse(text).map_err(|_| EndpointError::NotAUrl)?;
        match url.scheme() {
            // `host:port` reads as a scheme and a path.
            _ if !text.contains("://") => return Err(EndpointError::NotAUrl),
            "https" => {}
            "http" if allow_http => {}
            "http" => return Err(EndpointError::PlainHttp),
            _ => return Err(EndpointError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::MoreThanHost);
        }
        if !url.has_host() {
            return Err(EndpointError::NotAUrl);
        }
        Ok(Self { base: url.into() })
    }

    /// The root path's URL, ending in `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.base
    }

    /// Host, and port where it is not the scheme's own: what stands in the header `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        let from = self.base.find("://").map_or(0, |at| at + 3);
        self.base[from..].trim_end_matches('/')
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, allow_http, expected) in [
            (
                "https://live.aliyuncs.com",
                false,
                Ok("https://live.aliyuncs.com"),
            ),
            (
                "https://live.aliyuncs.com/",
                true,
                Ok("https://live.aliyuncs.com"),
            ),
            (
                "HTTPS://Live.AliyunCS.com:443",
                false,
                Ok("https://live.aliyuncs.com"),
            ),
            ("https://h:8443", false, Ok("https://h:8443")),
            ("http://127.0.0.1:8080", true, Ok("http://127.0.0.1:8080")),
            ("http://[::1]:8080", true, Ok("http://[::1]:8080")),
            (
                "http://127.0.0.1:8080",
                false,
                Err(EndpointError::PlainHttp),
            ),
            ("ftp://h", true, Err(EndpointError::Scheme)),
            ("live.aliyuncs.com", false, Err(EndpointError::NotAUrl)),
            ("live.aliyuncs.com:443", false, Err(EndpointError::NotAUrl)),
            ("localhost:8080", true, Err(EndpointError::NotAUrl)),
            ("", false, Err(EndpointError::NotAUrl)),
            ("https://", false, Err(EndpointError::NotAUrl)),
            ("https://h:99999", false, Err(EndpointError::NotAUrl)),
            ("https://user@h", false, Err(EndpointError::UserInfo)),
            ("https://:pass@h", false, Err(EndpointError::UserInfo)),
            ("https://h/path", false, Err(EndpointError::MoreThanHost)),
            ("https://h/?", false, Err(EndpointError::MoreThanHost)),
            (
                "https://h?Action=x",
                false,
                Err(EndpointError::MoreThanHost),
            ),
            ("https://h#x", false, Err(EndpointError::MoreThanHost)),
        ] {
            let parsed = Endpoint::parse(text, allow_http).map(|endpoint| endpoint.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn the_host_as_its_header_has_it() {
        for (text, expected) in [
            ("https://Live.aliyuncs.com:443", "live.aliyuncs.com"),
            ("https://h:8443/", "h:8443"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:80", "[::1]"),
        ] {
            let endpoint = Endpoint::parse(text, true);
            let authority = endpoint.as_ref().map(Endpoint::authority);
            assert_eq!(authority, Ok(expected), "{text}");
        }
    }
}
