//! Outputs: which task pushes where, and which addresses are cooling down.

use std::collections::HashMap;

use super::TaskKey;
use crate::clock::Millis;

/// How long an address rests after its task ended (dossier 3.1).
const COOL_DOWN: Millis = 10_000;

#[derive(Debug)]
enum Use {
    Busy(TaskKey),
    Cooling(Millis),
}

/// Why an output cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputError {
    /// Another task pushes there.
    InUse,
    /// Its last task ended less than ten seconds ago.
    CoolingDown,
}

/// All outputs that are not free.
#[derive(Debug, Default)]
pub struct Outputs {
    uses: HashMap<String, Use>,
}

/// What makes two addresses the same: scheme, host, port and path. The query is only a key.
pub fn identity(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else {
        return bare.to_owned();
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let host = host.strip_suffix(":1935").unwrap_or(&host);
    format!("{}://{host}/{path}", scheme.to_ascii_lowercase())
}

impl Outputs {
    /// Whether the task could use all of these.
    pub fn check(&self, task: &TaskKey, urls: &[String], now: Millis) -> Result<(), OutputError> {
        for url in urls {
            match self.uses.get(&identity(url)) {
                Some(Use::Busy(holder)) if holder != task => return Err(OutputError::InUse),
                Some(Use::Cooling(until)) if *until > now => return Err(OutputError::CoolingDown),
                Some(Use::Busy(_) | Use::Cooling(_)) | None => {}
            }
        }
        Ok(())
    }

    /// The task pushes there from now on.
    pub fn take(&mut self, task: &TaskKey, urls: &[String]) {
        for url in urls {
            self.uses.insert(identity(url), Use::Busy(task.clone()));
        }
    }

    /// The task pushes there no more. Answers when the addresses are free again.
    pub fn release(&mut self, task: &TaskKey, urls: &[String], now: Millis) -> Millis {
        let until = now.saturating_add(COOL_DOWN);
        for url in urls {
            if let Some(held) = self.uses.get_mut(&identity(url))
                && matches!(held, Use::Busy(holder) if holder == task)
            {
                *held = Use::Cooling(until);
            }
        }
        until
    }

    /// Forgets those that have cooled down.
    pub fn forget(&mut self, urls: &[String], now: Millis) {
        for url in urls {
            let identity = identity(url);
            if matches!(self.uses.get(&identity), Some(Use::Cooling(until)) if *until <= now) {
                self.uses.remove(&identity);
            }
        }
    }

    /// How many are not free.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.uses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_and_the_default_port_do_not_count() {
        let same = [
            "rtmp://Push.example.com/live/a?auth_key=1",
            "RTMP://push.example.com:1935/live/a#x",
        ];
        assert_eq!(identity(same[0]), identity(same[1]));
        assert_ne!(
            identity(same[0]),
            identity("rtmp://push.example.com/live/A")
        );
        assert_ne!(
            identity(same[0]),
            identity("rtmp://push.example.com:1936/live/a")
        );
    }
}
