//! Whether the service's words say that a task does not exist.
//!
//! Where the list is forbidden such a message releases an object, so every doubt is answered with "no": that costs a person's look, a wrong "yes"
//! a task that runs on. The ids that the service repeats are words too, chosen by a user: they can neither make a message speak of a task nor,
//! unless they are plain words, of anything else.

use super::actions::{AppId, TaskId};

/// Whether `message`, the service's own and unshortened, says that the task does not exist: some sentence speaks of a task and says `not exist`,
/// `not found` or `no such`, and nothing speaks of a channel, an application or a user. Case does not matter.
#[must_use]
pub fn says_task_is_gone(message: &str, app: &AppId, task: &TaskId) -> bool {
    let ids = [Id::new(app.as_str()), Id::new(task.as_str())];
    let speaks_of_others = tokens(message)
        .filter(|token| !ids.iter().any(|id| id.unmistakable && id.is(token)))
        .any(is_other_noun);
    !speaks_of_others
        && message
            .split(['.', ';', '!', '?', '\n', '\r'])
            .any(|sentence| says_so(sentence, &ids))
}

/// `message` with an ellipsis where it repeats one of `ids` that no word is spelled like: what a user chose must not read as the service's words.
#[must_use]
pub fn without_ids(message: &str, ids: &[&str]) -> String {
    let ids: Vec<Id> = ids
        .iter()
        .map(|id| Id::new(id))
        .filter(|id| id.unmistakable)
        .collect();
    message
        .split_inclusive(is_no_part_of_ids)
        .map(|piece| {
            let token = piece.trim_end_matches(is_no_part_of_ids);
            if ids.iter().any(|id| id.is(token)) {
                format!("…{}", &piece[token.len()..])
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

/// An id that the service may have repeated.
struct Id {
    lower: String,
    /// It has a digit, a hyphen or an underscore, and is not a parameter's name like `channel_id`: no word of a sentence is spelled like it.
    unmistakable: bool,
    /// It contains words that this module looks for, so that a repetition of it proves nothing.
    misleading: bool,
}

impl Id {
    fn new(id: &str) -> Self {
        let lower = id.to_ascii_lowercase();
        let is_word = lower
            .split(['-', '_'])
            .all(|part| PARAMETER_WORDS.contains(&part));
        let unmistakable = id.bytes().any(|byte| !byte.is_ascii_alphabetic()) && !is_word;
        let misleading = ["task", "not", "no", "exist", "found", "such"]
            .iter()
            .any(|word| lower.contains(word));
        Self {
            lower,
            unmistakable,
            misleading,
        }
    }

    fn is(&self, token: &str) -> bool {
        token.eq_ignore_ascii_case(&self.lower)
    }

    fn may_be_in(&self, token: &str) -> bool {
        self.misleading && token.to_ascii_lowercase().contains(&self.lower)
    }
}

fn says_so(sentence: &str, ids: &[Id]) -> bool {
    // An empty word stands where a token was left out, so that the words around it do not become neighbours.
    let words: Vec<String> = tokens(sentence)
        .flat_map(|token| {
            if ids.iter().any(|id| id.may_be_in(token)) {
                vec![String::new()]
            } else {
                words_of(token)
            }
        })
        .collect();
    let speaks_of_a_task = words.iter().any(|word| TASK.contains(&word.as_str()));
    let says_gone = words.windows(2).any(|pair| {
        let [first, second] = pair else { return false };
        GONE.contains(&(first.as_str(), second.as_str()))
    });
    speaks_of_a_task && says_gone
}

/// What names of parameters are made of.
const PARAMETER_WORDS: [&str; 9] = [
    "channel",
    "application",
    "app",
    "user",
    "room",
    "id",
    "ids",
    "name",
    "key",
];

const TASK: [&str; 6] = ["task", "tasks", "taskid", "taskids", "mputask", "mputasks"];

const GONE: [(&str, &str); 5] = [
    ("not", "exist"),
    ("not", "exists"),
    ("not", "existed"),
    ("not", "found"),
    ("no", "such"),
];

/// Runs of characters that ids are made of.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_no_part_of_ids)
        .filter(|token| !token.is_empty())
}

fn is_no_part_of_ids(c: char) -> bool {
    !(c.is_alphanumeric() || c == '_' || c == '-')
}

/// The words of a token that can be evidence: those of `TaskNotExist`, and `task_id` for itself; any other token that is not letters alone is a
/// name and no word.
fn words_of(token: &str) -> Vec<String> {
    if token.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return camel_words(token);
    }
    let lower = token.to_ascii_lowercase().replace('-', "_");
    vec![
        if ["task_id", "mpu_task", "mpu_task_id"].contains(&lower.as_str()) {
            "task".to_owned()
        } else {
            String::new()
        },
    ]
}

/// Whether some part of a token names a channel, an application or a user, or a synonym of these.
fn is_other_noun(token: &str) -> bool {
    let words = token
        .split(|c: char| !c.is_alphabetic())
        .flat_map(camel_words);
    let lower = token.to_lowercase();
    ["channel", "application", "user", "room", "participant"]
        .iter()
        .any(|noun| lower.contains(noun))
        || words.into_iter().any(|word| {
            ["app", "apps"].contains(&word.as_str())
                || ["appid", "appids", "appname", "appkey"]
                    .iter()
                    .any(|noun| word.ends_with(noun))
        })
}

/// `MPUTaskId` is `mpu`, `task`, `id`.
fn camel_words(token: &str) -> Vec<String> {
    let letters: Vec<char> = token.chars().collect();
    let mut words: Vec<String> = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_lower = at > 0 && letters[at - 1].is_lowercase();
        let before_lower = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let starts_word = letter.is_uppercase() && (after_lower || before_lower);
        match words.last_mut() {
            Some(word) if !starts_word => word.extend(letter.to_lowercase()),
            Some(_) | None => words.push(letter.to_lowercase().collect()),
        }
    }
    words
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
