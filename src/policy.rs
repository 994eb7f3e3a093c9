//! The application policy: which namespaces may name which applications and tasks of the operator's own account. Without it, whoever may
//! create an object anywhere could have any task of the account stopped.

use crate::names::{is_id, is_namespace};
use serde::{Deserialize, Deserializer};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncReadExt, sync::watch};

/// What stands for any name.
const ANY: &str = "*";
/// The longest file that is read, in bytes: far more than a policy needs, and no more memory than a mistaken path may cost.
const LONGEST_FILE: u64 = 1 << 20;

/// Who may name what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `None`: everybody may name everything.
    rules: Option<Vec<Rule>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    namespaces: Names,
    app_ids: Names,
    task_id_prefix: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    Any,
    These(BTreeSet<String>),
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenRule {
    namespaces: Vec<String>,
    app_ids: Vec<String>,
    #[serde(default, deserialize_with = "given")]
    task_id_prefix: Option<String>,
}

/// A prefix without a value is a mistake: taken for absent, it would allow every task.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

/// A text that is no policy, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It has not the form of a policy.
    #[error(
        "{0}; write it like `rules: [{{namespaces: [team-a], appIds: [app-01], taskIdPrefix: a-}}]`, with \"*\" in quotes for any"
    )]
    Form(String),
    /// A rule that no object could meet, or that would not mean what it seems to.
    #[error("rule {number}: {problem}")]
    Rule {
        /// Which rule, counted from 1.
        number: usize,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}

impl Policy {
    /// Everybody may name everything: the policy of one tenant.
    #[must_use]
    pub const fn everything() -> Self {
        Self { rules: None }
    }

    /// Reads a policy, written in YAML. One without rules allows nothing.
    ///
    /// # Errors
    /// Where it has another form, an unknown field, or a rule with a name that nothing can have; says where, and what to do.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let written: Written = serde_saphyr::from_str(text)
            .map_err(|error| PolicyError::Form(error.without_snippet().to_string()))?;
        let rules = (1..).zip(written.rules).map(|(number, rule)| {
            Rule::new(rule).map_err(|problem| PolicyError::Rule { number, problem })
        });
        Ok(Self {
            rules: Some(rules.collect::<Result<_, _>>()?),
        })
    }

    /// Whether an object of this namespace may name this application and this task; without one the id is made from the object's own uid, which
    /// can be nobody else's, so that no prefix limits it.
    #[must_use]
    pub fn allows(&self, namespace: &str, app_id: &str, task_id: Option<&str>) -> bool {
        let Some(rules) = &self.rules else {
            return true;
        };
        rules.iter().any(|rule| {
            rule.namespaces.contain(namespace)
                && rule.app_ids.contain(app_id)
                && rule
                    .task_id_prefix
                    .as_deref()
                    .zip(task_id)
                    .is_none_or(|(prefix, task_id)| task_id.starts_with(prefix))
        })
    }
}

impl Rule {
    fn new(written: WrittenRule) -> Result<Self, String> {
        let namespaces = Names::new("namespaces", written.namespaces, is_namespace)?;
        let app_ids = Names::new("appIds", written.app_ids, |id| is_id(id, 64))?;
        if let Some(prefix) = &written.task_id_prefix
            && !is_id(prefix, 55)
        {
            return Err(format!(
                "taskIdPrefix: no task id begins with {prefix:?}; give 1 to 55 letters, digits, underscores and hyphens, or leave it out \
                 where every task may be named"
            ));
        }
        Ok(Self {
            namespaces,
            app_ids,
            task_id_prefix: written.task_id_prefix,
        })
    }
}

impl Names {
    fn new(
        field: &str,
        written: Vec<String>,
        can_be_named: impl Fn(&str) -> bool,
    ) -> Result<Self, String> {
        if written.is_empty() {
            return Err(format!(
                "{field} is empty, so that the rule allows nothing; list at least one name, or \"*\" for any"
            ));
        }
        if let Some(bad) = written
            .iter()
            .find(|name| *name != ANY && !can_be_named(name))
        {
            return Err(format!(
                "{field}: nothing can be called {bad:?}; give whole names, or \"*\" alone for any"
            ));
        }
        if written.iter().any(|name| name == ANY) {
            return Ok(Self::Any);
        }
        Ok(Self::These(written.into_iter().collect()))
    }

    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(names) => names.contains(name),
        }
    }
}

/// The policy that is in force now. Clones show the same one.
#[derive(Clone, Debug)]
pub struct PolicyInForce {
    current: Arc<watch::Sender<Policy>>,
}

impl PolicyInForce {
    /// Begins with this policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            current: Arc::new(watch::Sender::new(policy)),
        }
    }

    /// Whether an object of this namespace may name this application and this task now, as [`Policy::allows`] has it.
    #[must_use]
    pub fn allows(&self, namespace: &str, app_id: &str, task_id: Option<&str>) -> bool {
        self.current.borrow().allows(namespace, app_id, task_id)
    }

    /// Tells of each change from now on. It never closes while a clone of this lives.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Policy> {
        self.current.subscribe()
    }

    /// Whether that changed anything.
    fn replace(&self, policy: Policy) -> bool {
        self.current.send_if_modified(|current| {
            let differs = *current != policy;
            *current = policy;
            differs
        })
    }
}

/// What a look at the file gave: its text, or why there is none.
type Reading = Result<String, String>;

/// What a look at the file meant.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// What was known already, or what has to be seen once more.
    Nothing,
    /// Another policy is in force now.
    Changed,
    /// What is in force is what the file says again, or still.
    Sound,
    /// The file is no policy now: the one in force stays.
    Broken(String),
}

/// The file that a policy comes from, looked at again and again: Kubernetes changes a mounted file by swapping a link somewhere above it.
#[derive(Debug)]
pub struct PolicyFile {
    path: PathBuf,
    in_force: PolicyInForce,
    /// The reading that was judged last.
    judged: Reading,
    /// The latest reading.
    latest: Reading,
}

impl PolicyFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it cannot be read or is no policy: names the file, the place, and what to do.
    pub async fn open(path: PathBuf) -> Result<Self, String> {
        let reading = read(&path).await;
        let text = reading.clone().map_err(|why| {
            format!(
                "{} {why}; give the path of a readable YAML file with rules, or leave the flag out where there is one tenant only",
                path.display()
            )
        })?;
        let policy =
            Policy::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self {
            path,
            in_force: PolicyInForce::new(policy),
            judged: reading.clone(),
            latest: reading,
        })
    }

    /// The policy, which changes with the file while it is followed.
    #[must_use]
    pub fn in_force(&self) -> PolicyInForce {
        self.in_force.clone()
    }

    /// Looks at the file at this pace, for ever. A policy that cannot be read or understood is told once, and leaves the last good one in force.
    pub async fn follow(mut self, pace: Duration) {
        loop {
            tokio::time::sleep(pace).await;
            let reading = read(&self.path).await;
            let found = self.found(reading);
            let file = self.path.display();
            match found {
                Found::Nothing => {}
                Found::Changed => tracing::info!(%file, "the application policy has changed"),
                Found::Sound => tracing::info!(%file, "the application policy is the one in force"),
                Found::Broken(why) => tracing::warn!(
                    %file,
                    "--app-policy: the changed file is not used, and the policy before it stays in force: {why}"
                ),
            }
        }
    }

    /// Judges a reading once it has been the same twice: the beginning of a file that is being written may be a policy too, and allow more than the whole.
    fn found(&mut self, reading: Reading) -> Found {
        let is_settled = reading == self.latest;
        self.latest = reading;
        if !is_settled || self.latest == self.judged {
            return Found::Nothing;
        }
        self.judged = self.latest.clone();
        let policy = match &self.judged {
            Ok(text) => Policy::parse(text).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        match policy {
            Ok(policy) => {
                if self.in_force.replace(policy) {
                    Found::Changed
                } else {
                    Found::Sound
                }
            }
            Err(why) => Found::Broken(why),
        }
    }
}

async fn read(path: &Path) -> Reading {
    let bytes = async {
        let mut bytes = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(LONGEST_FILE + 1).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = bytes
        .await
        .map_err(|error| format!("cannot be read ({error})"))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(format!("is longer than {LONGEST_FILE} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
