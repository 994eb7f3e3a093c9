//! What is answered: the service's JSON (or XML, where the caller asks for none), and refusals with their codes.

use serde_json::{Map, Value, json};

use crate::actions::Action;

/// The host that the service names in its errors (dossier 1.2).
const HOST: &str = "live.aliyuncs.com";

/// Why a call is refused: what becomes an error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Machine-readable code.
    pub code: String,
    /// Text for people.
    pub message: String,
    /// The action that the account's policy denies, on such refusals.
    pub denied: Option<Action>,
    /// Milliseconds for the header `x-acs-retry-after`.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with these three.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            denied: None,
            retry_after: None,
        }
    }

    /// `InvalidParam`, message template `%s.` (dossier 2.1).
    pub fn invalid_param(what: impl std::fmt::Display) -> Self {
        Self::new(400, "InvalidParam", format!("{what}."))
    }

    /// `MissingParam` (dossier 2.1).
    pub fn missing_param(name: &str) -> Self {
        Self::new(
            400,
            "MissingParam",
            format!("{name} is missing, please check and try again later."),
        )
    }

    /// `InvalidAppId` (dossier 2.1).
    pub fn invalid_app(app: &str) -> Self {
        Self::new(
            400,
            "InvalidAppId",
            format!("AppId {app} is invalid, please check and try again later."),
        )
    }

    /// `InternalError` (dossier 2.1).
    pub fn internal() -> Self {
        Self::new(500, "InternalError", "InternalError")
    }

    /// The gateway's code for a common parameter that is absent (dossier 7.1).
    pub fn gateway_missing(name: &str) -> Self {
        Self::new(
            400,
            "MissingParameter",
            format!(
                "The input parameter {name} that is mandatory for processing this request is not supplied."
            ),
        )
    }
}

/// One HTTP answer, not yet on the wire.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The code in the body, where there is one: for the log.
    pub code: Option<String>,
    /// Headers besides date, length, type and request id.
    pub headers: Vec<(String, String)>,
    /// Content type.
    pub content_type: String,
    /// Body.
    pub body: Vec<u8>,
}

/// The form in which the caller wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, in upper or lower case.
    Json,
    /// What the gateway sends to those who do not say (dossier 5.1).
    Xml,
}

impl Format {
    /// From the header `Accept`.
    pub fn accepted(header: Option<&String>) -> Self {
        if header.is_some_and(|value| value.to_ascii_lowercase().contains("application/json")) {
            Self::Json
        } else {
            Self::Xml
        }
    }

    /// From the parameter `Format`.
    pub fn of(parameter: Option<&String>) -> Self {
        if parameter.is_some_and(|value| value.eq_ignore_ascii_case("json")) {
            Self::Json
        } else {
            Self::Xml
        }
    }
}

impl Reply {
    /// HTTP 200 with these members and the request id.
    pub fn success(
        format: Format,
        request_id: &str,
        action: Option<Action>,
        mut members: Map<String, Value>,
    ) -> Self {
        members.insert("RequestId".to_owned(), json!(request_id));
        let root = action.map_or_else(
            || "Response".to_owned(),
            |action| format!("{}Response", action.name()),
        );
        Self::of(format, 200, None, &root, members)
    }

    /// The documented error body (dossier 1.2).
    pub fn refusal(format: Format, request_id: &str, refusal: &Refusal) -> Self {
        let mut members = Map::new();
        members.insert("RequestId".to_owned(), json!(request_id));
        members.insert("HostId".to_owned(), json!(HOST));
        members.insert("Code".to_owned(), json!(refusal.code));
        members.insert("Message".to_owned(), json!(refusal.message));
        members.insert(
            "Recommend".to_owned(),
            json!(format!(
                "https://api.alibabacloud.com/troubleshoot?q={}&product=live",
                refusal.code
            )),
        );
        if let Some(action) = refusal.denied {
            members.insert(
                "AccessDeniedDetail".to_owned(),
                json!({
                    "AuthAction": format!("{}:{}", action.product(), action.name()),
                    "AuthPrincipalType": "SubUser",
                    "NoPermissionType": "ImplicitDeny",
                    "PolicyType": "AccountLevelIdentityBasedPolicy",
                }),
            );
        }
        let mut reply = Self::of(
            format,
            refusal.status,
            Some(refusal.code.clone()),
            "Error",
            members,
        );
        if let Some(millis) = refusal.retry_after {
            reply
                .headers
                .push(("x-acs-retry-after".to_owned(), millis.to_string()));
        }
        reply
    }

    fn of(
        format: Format,
        status: u16,
        code: Option<String>,
        root: &str,
        members: Map<String, Value>,
    ) -> Self {
        let members = Value::Object(members);
        let (content_type, body) = match format {
            Format::Json => ("application/json;charset=utf-8", members.to_string()),
            Format::Xml => {
                let mut body = String::from("<?xml version='1.0' encoding='UTF-8'?>");
                xml(&mut body, root, &members);
                ("text/xml;charset=utf-8", body)
            }
        };
        Self {
            status,
            code,
            headers: Vec::new(),
            content_type: content_type.to_owned(),
            body: body.into_bytes(),
        }
    }
}

/// Writes a value as the gateway's XML does: members as elements, an array as its repeated element.
fn xml(out: &mut String, name: &str, value: &Value) {
    if let Value::Array(items) = value {
        for item in items {
            xml(out, name, item);
        }
        return;
    }
    out.push('<');
    out.push_str(name);
    out.push('>');
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| xml(out, name, value)),
        Value::String(text) => {
            out.push_str(
                &text
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;"),
            );
        }
        Value::Null | Value::Array(_) => {}
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_format_the_answer_is_xml() {
        let refusal = Refusal::invalid_param("a < b");
        let reply = Reply::refusal(Format::of(None), "ID", &refusal);
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(body.contains("<Code>InvalidParam</Code>"), "{body}");
        assert!(body.contains("<Message>a &lt; b.</Message>"), "{body}");
        assert_eq!(reply.content_type, "text/xml;charset=utf-8");
    }

    #[test]
    fn a_denial_names_the_action() {
        let refusal = Refusal {
            denied: Some(Action::Stop),
            ..Refusal::new(403, "Forbidden", "no")
        };
        let reply = Reply::refusal(Format::Json, "ID", &refusal);
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        assert_eq!(
            body["AccessDeniedDetail"]["AuthAction"],
            "live:StopLiveMPUTask"
        );
        assert_eq!(body["HostId"], HOST);
    }
}
