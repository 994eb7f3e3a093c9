//! Plain parameters and their limits (dossier 3).

use crate::reply::Refusal;
use crate::sign::Params;

/// A parameter; an empty one counts as absent.
pub fn optional<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

/// A parameter that has to be there.
pub fn required<'a>(params: &'a Params, name: &str) -> Result<&'a str, Refusal> {
    optional(params, name).ok_or_else(|| Refusal::missing_param(name))
}

fn is_id(value: &str, max: usize) -> bool {
    value.len() <= max
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn id<'a>(params: &'a Params, name: &str, max: usize) -> Result<&'a str, Refusal> {
    let value = required(params, name)?;
    if is_id(value, max) {
        Ok(value)
    } else {
        Err(Refusal::invalid_param(format_args!(
            "{name} is invalid: at most {max} letters, digits, underscores and hyphens"
        )))
    }
}

/// `AppId`, at most 64.
pub fn app(params: &Params) -> Result<&str, Refusal> {
    let value = required(params, "AppId")?;
    if is_id(value, 64) {
        Ok(value)
    } else {
        Err(Refusal::invalid_app("given"))
    }
}

/// `TaskId`, at most 55.
pub fn task(params: &Params) -> Result<&str, Refusal> {
    id(params, "TaskId", 55)
}

/// `ChannelId`, at most 64.
pub fn channel(params: &Params) -> Result<&str, Refusal> {
    id(params, "ChannelId", 64)
}

/// A decimal number within bounds, digits alone.
pub fn number(params: &Params, name: &str, min: u32, max: u32) -> Result<u32, Refusal> {
    decimal(required(params, name)?)
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| {
            Refusal::invalid_param(format_args!("{name} must be a number from {min} to {max}"))
        })
}

/// Digits alone, without sign or blank.
pub fn decimal(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// One of some words.
pub fn word<'a>(
    params: &'a Params,
    name: &str,
    words: &[&str],
) -> Result<Option<&'a str>, Refusal> {
    match optional(params, name) {
        Some(value) if !words.contains(&value) => Err(Refusal::invalid_param(format_args!(
            "{name} must be one of {}",
            words.join(", ")
        ))),
        other => Ok(other),
    }
}
