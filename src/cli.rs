//! The command line: every flag with its environment variable, turned into plain values.

use crate::{
    live::{Endpoint, Origin, QuotaShare, Signature, sts_endpoint},
    names::{is_id, is_namespace},
    task::{retry::Paces, watch::Scope},
    telemetry::LogFormat,
};
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// Provably stops mixed-stream relay tasks of ApsaraVideo Live when their objects are deleted.
#[derive(Debug, Parser)]
#[command(name = "mixed-stream-operator", version)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator against the cluster of the kubeconfig (KUBECONFIG, ~/.kube/config, or the cluster that it runs in)
    ///
    /// Credentials come from the environment, by the first of these that is there: a key (`ALIBABA_CLOUD_ACCESS_KEY_ID`,
    /// `ALIBABA_CLOUD_ACCESS_KEY_SECRET` and, for a temporary one, `ALIBABA_CLOUD_SECURITY_TOKEN`); a role by the pod's own token, RRSA
    /// (`ALIBABA_CLOUD_ROLE_ARN`, `ALIBABA_CLOUD_OIDC_PROVIDER_ARN`, `ALIBABA_CLOUD_OIDC_TOKEN_FILE` and, optionally,
    /// `ALIBABA_CLOUD_ROLE_SESSION_NAME`); the RAM role of the machine, by its name (`ALIBABA_CLOUD_ECS_METADATA`). `ALIBABA_CLOUD_STS_ENDPOINT`
    /// says where STS is, if not at <https://sts.aliyuncs.com>.
    Run(Box<RunFlags>),
    /// Print the `CustomResourceDefinition`
    Crd,
    /// Print the page of reasons, in Markdown: what each reason in a condition means, and which answer of the service leads to it
    Reasons,
}

/// The flags of `run`. Durations are written like 500ms, 10s or 2m.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// Where the Live API is
    #[arg(
        long,
        env = "MSO_LIVE_ENDPOINT",
        default_value = "https://live.aliyuncs.com"
    )]
    live_endpoint: String,

    /// Allow an http:// endpoint, of the Live API or of STS; for a simulator on the same machine only, since requests are then readable on the way
    #[arg(long, env = "MSO_ALLOW_HTTP")]
    allow_http: bool,

    /// How requests are signed: v1 (HMAC-SHA1) or v3 (ACS3-HMAC-SHA256, as the vendor's newer clients do)
    #[arg(long, env = "MSO_SIGNATURE", value_enum, default_value = "v1")]
    signature: Signature,

    /// The namespaces to watch, separated by commas; all where empty
    #[arg(long, env = "MSO_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,

    /// A YAML file that says which namespaces may name which applications and tasks; read again when it changes. All may name all without it
    ///
    /// It is written like `rules: [{namespaces: [team-a], appIds: [app-01], taskIdPrefix: a-}]`. A quoted star stands for any namespace or
    /// application, the prefix may be left out, and one matching rule is enough.
    #[arg(long, env = "MSO_APP_POLICY", value_name = "FILE")]
    app_policy: Option<PathBuf>,

    /// What the id of a task begins with where its object names none: `<prefix>-<uid>`; 1 to 18 letters, digits, underscores and hyphens
    #[arg(long, env = "MSO_TASK_ID_PREFIX", default_value = "mso", value_parser = task_id_prefix)]
    task_id_prefix: String,

    /// The part of each of the account's quotas that is used at most, above 0 and at most 1; for accounts that several clusters use
    ///
    /// Rounded down to whole calls a second, but at least one.
    #[arg(long, env = "MSO_QUOTA_SHARE", default_value = "1.0", value_parser = QuotaShare::from_str)]
    quota_share: QuotaShare,

    /// Send the calls to the service through the proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name; without this they are not looked at
    #[arg(long, env = "MSO_PROXY_FROM_ENVIRONMENT")]
    proxy_from_environment: bool,

    /// Where /livez, /readyz and /metrics are served
    #[arg(long, env = "MSO_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,

    /// The form of the logs; text on a terminal, json elsewhere, where not given
    #[arg(long, env = "MSO_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,

    /// What is logged, for example `info` or `mixed_stream_operator=debug`
    ///
    /// What the Kubernetes client says of failed connections is left out: the operator says it itself, and not at every attempt.
    #[arg(
        long,
        env = "MSO_LOG_FILTER",
        default_value = "info,kube_client=off,kube_runtime=off"
    )]
    log_filter: String,

    /// The longest that one call may take, to the service or to the API server; at least 100ms
    #[arg(long, env = "MSO_CALL_DEADLINE", default_value = "10s", value_parser = at_least::<100>)]
    call_deadline: Duration,

    /// The first wait after a failure that may pass by itself (throttling, server errors); it doubles; at least 100ms
    #[arg(long, env = "MSO_BACKOFF_MIN", default_value = "1s", value_parser = at_least::<100>)]
    backoff_min: Duration,

    /// Where that doubling ends; at least 100ms
    #[arg(long, env = "MSO_BACKOFF_MAX", default_value = "60s", value_parser = at_least::<100>)]
    backoff_max: Duration,

    /// The shortest wait after a refusal (denied, bad credentials, rejected); at least 100ms
    #[arg(long, env = "MSO_SLOW_BACKOFF_MIN", default_value = "2m", value_parser = at_least::<100>)]
    slow_backoff_min: Duration,

    /// The longest wait after a refusal; at least 100ms
    #[arg(long, env = "MSO_SLOW_BACKOFF_MAX", default_value = "5m", value_parser = at_least::<100>)]
    slow_backoff_max: Duration,

    /// Between two readings of a channel; at least 500ms. Where readings are to prove that a channel stays empty, 10s at most are used
    #[arg(long, env = "MSO_CHANNEL_POLL", default_value = "10s", value_parser = at_least::<500>)]
    channel_poll: Duration,

    /// How much longer than the service needs a channel must have been empty before a task is taken for stopped; at least 1s
    #[arg(long, env = "MSO_IDLE_MARGIN", default_value = "30s", value_parser = at_least::<1000>)]
    idle_margin: Duration,

    /// How long a Start or Stop whose outcome is unknown may still be on its way, so that nothing counts against it yet; at least 1s
    #[arg(long, env = "MSO_SETTLE_TIME", default_value = "60s", value_parser = at_least::<1000>)]
    settle_time: Duration,

    /// Between two readings of an application's list of tasks; at least 1s
    #[arg(long, env = "MSO_SWEEP_PERIOD", default_value = "30s", value_parser = at_least::<1000>)]
    sweep_period: Duration,

    /// Between two readings of a Secret that is in use; at least 1s
    #[arg(long, env = "MSO_SECRET_REFRESH", default_value = "1m", value_parser = at_least::<1000>)]
    secret_refresh: Duration,

    /// A watch of the API server that is silent for longer is dead and begun anew; at least 1s
    #[arg(long, env = "MSO_WATCH_SILENCE", default_value = "75s", value_parser = at_least::<1000>)]
    watch_silence: Duration,
}

/// Plain values for `run`.
#[derive(Debug)]
pub struct Settings {
    /// Where the Live API is.
    pub endpoint: Endpoint,
    /// How requests are signed.
    pub signature: Signature,
    /// Where STS is.
    pub sts_endpoint: Endpoint,
    /// Where the operator's own credentials come from.
    pub credentials: Origin,
    /// The namespaces to watch.
    pub scope: Scope,
    /// The file with the application policy; `None`: every namespace may name everything.
    pub app_policy: Option<PathBuf>,
    /// What the ids of tasks begin with whose objects name none.
    pub task_id_prefix: String,
    /// The part of each of the account's quotas that is used at most.
    pub quota_share: QuotaShare,
    /// Calls go through the proxy that the environment names.
    pub proxy_from_environment: bool,
    /// Where probes and metrics are served.
    pub listen: SocketAddr,
    /// The form of the logs.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_filter: String,
    /// Every pace.
    pub paces: Paces,
}

impl RunFlags {
    /// Checks the flags and reads the credentials through `environment`.
    ///
    /// # Errors
    /// One sentence that names the flag or the variable and says what to do.
    pub fn settings(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, String> {
        let paces = Paces {
            call_deadline: self.call_deadline,
            backoff_min: self.backoff_min,
            backoff_max: self.backoff_max,
            slow_backoff_min: self.slow_backoff_min,
            slow_backoff_max: self.slow_backoff_max,
            channel_poll: self.channel_poll,
            idle_margin: self.idle_margin,
            settle_time: self.settle_time,
            sweep_period: self.sweep_period,
            secret_refresh: self.secret_refresh,
            watch_silence: self.watch_silence,
        };
        in_order(
            "--backoff-min",
            paces.backoff_min,
            "--backoff-max",
            paces.backoff_max,
        )?;
        in_order(
            "--slow-backoff-min",
            paces.slow_backoff_min,
            "--slow-backoff-max",
            paces.slow_backoff_max,
        )?;
        let mut namespaces: Vec<String> = self
            .namespaces
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
        namespaces.sort();
        namespaces.dedup();
        if let Some(bad) = namespaces.iter().find(|name| !is_namespace(name)) {
            return Err(format!(
                "--namespaces: {bad:?} cannot be the name of a namespace; give names separated by commas"
            ));
        }
        Ok(Settings {
            endpoint: Endpoint::parse(&self.live_endpoint, self.allow_http)
                .map_err(|error| format!("--live-endpoint: {error}"))?,
            signature: self.signature,
            sts_endpoint: sts_endpoint(&environment, self.allow_http)
                .map_err(|error| error.to_string())?,
            credentials: Origin::from_environment(environment)
                .map_err(|error| error.to_string())?,
            scope: if namespaces.is_empty() {
                Scope::All
            } else {
                Scope::Namespaces(namespaces)
            },
            app_policy: self.app_policy,
            task_id_prefix: self.task_id_prefix,
            quota_share: self.quota_share,
            proxy_from_environment: self.proxy_from_environment,
            listen: self.listen,
            log_format: self.log_format.unwrap_or_else(LogFormat::fitting),
            log_filter: self.log_filter,
            paces,
        })
    }
}

fn in_order(low_name: &str, low: Duration, high_name: &str, high: Duration) -> Result<(), String> {
    if low > high {
        return Err(format!(
            "{low_name} ({low:?}) is longer than {high_name} ({high:?}); make it the shorter one"
        ));
    }
    Ok(())
}

/// A hyphen and a uid follow, and a task id is at most 55 characters long (vendor page: `StopLiveMPUTask`).
fn task_id_prefix(text: &str) -> Result<String, String> {
    if is_id(text, 18) {
        Ok(text.to_owned())
    } else {
        Err("give 1 to 18 letters, digits, underscores and hyphens".to_owned())
    }
}

/// Parses a duration of at least so many milliseconds.
fn at_least<const MILLISECONDS: u64>(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    let bound = Duration::from_millis(MILLISECONDS);
    if duration < bound {
        return Err(format!(
            "it is shorter than the least that is allowed, {bound:?}"
        ));
    }
    Ok(duration)
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let unclear = || format!("{text:?} is not a duration; write it like 500ms, 10s, 2m or 1h");
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(unclear)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| unclear())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(unclear()),
    };
    // A year is longer than any pace; far longer ones would overflow the clock.
    let duration = number
        .checked_mul(milliseconds)
        .map(Duration::from_millis)
        .ok_or_else(unclear)?;
    if duration > Duration::from_hours(24 * 365) {
        return Err(format!("{text} is more than a year"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test stops at the first surprise"
    )]

    use super::*;
    use clap::CommandFactory;

    fn settings(flags: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let line = ["mixed-stream-operator", "run"].iter().chain(flags);
        let line = CommandLine::try_parse_from(line).map_err(|error| error.to_string())?;
        let Command::Run(flags) = line.command else {
            panic!("not run")
        };
        let lookup = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        flags.settings(lookup)
    }

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        let command = CommandLine::command();
        let run = command.find_subcommand("run").unwrap();
        for flag in run.get_arguments().filter(|flag| flag.get_id() != "help") {
            let name = format!(
                "MSO_{}",
                flag.get_long().unwrap().to_uppercase().replace('-', "_")
            );
            assert_eq!(flag.get_env().unwrap(), name.as_str());
        }
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = settings(&[], &[]).unwrap();
        assert_eq!(settings.paces, Paces::default());
        assert_eq!(settings.scope, Scope::All);
        assert_eq!(settings.signature, Signature::V1);
        assert!(matches!(settings.credentials, Origin::Nowhere));
        assert_eq!(
            settings.sts_endpoint.to_string(),
            "https://sts.aliyuncs.com"
        );
        assert!(settings.app_policy.is_none());
        assert_eq!(settings.quota_share, QuotaShare::WHOLE);
        assert!(!settings.proxy_from_environment);
        assert_eq!(settings.task_id_prefix, "mso");
    }

    #[test]
    fn every_flag_for_a_pace_sets_its_own() {
        let flags = [
            "--call-deadline=11s",
            "--backoff-min=12s",
            "--backoff-max=13s",
            "--slow-backoff-min=14s",
            "--slow-backoff-max=15s",
            "--channel-poll=16s",
            "--idle-margin=17s",
            "--settle-time=18s",
            "--sweep-period=19s",
            "--secret-refresh=20s",
            "--watch-silence=21s",
        ];
        let paces = Paces {
            call_deadline: Duration::from_secs(11),
            backoff_min: Duration::from_secs(12),
            backoff_max: Duration::from_secs(13),
            slow_backoff_min: Duration::from_secs(14),
            slow_backoff_max: Duration::from_secs(15),
            channel_poll: Duration::from_secs(16),
            idle_margin: Duration::from_secs(17),
            settle_time: Duration::from_secs(18),
            sweep_period: Duration::from_secs(19),
            secret_refresh: Duration::from_secs(20),
            watch_silence: Duration::from_secs(21),
        };
        assert_eq!(settings(&flags, &[]).unwrap().paces, paces);
    }

    #[test]
    fn with_the_longest_prefix_a_uid_still_makes_a_task_id() {
        let longest = "eighteen_chars-018";
        let settings = settings(&["--task-id-prefix", longest], &[]).unwrap();
        assert_eq!(settings.task_id_prefix, longest);
        let uid = uuid::Uuid::nil();
        assert_eq!(format!("{longest}-{uid}").len(), 55);
    }

    #[test]
    fn the_signature_is_chosen() {
        for (name, expected) in [("v1", Signature::V1), ("v3", Signature::V3)] {
            let settings = settings(&["--signature", name], &[]).unwrap();
            assert_eq!(settings.signature, expected);
        }
    }

    #[test]
    fn the_application_policy_is_a_file() {
        let settings = settings(&["--app-policy", "/etc/policy.yaml"], &[]).unwrap();
        assert_eq!(
            settings.app_policy.as_deref(),
            Some(std::path::Path::new("/etc/policy.yaml"))
        );
    }

    #[test]
    fn bad_flags_are_answered_with_what_to_do() {
        for (flags, words) in [
            (&["--call-deadline", "99ms"][..], "--call-deadline"),
            (&["--call-deadline", "99ms"], "100ms"),
            (&["--channel-poll", "499ms"], "500ms"),
            (&["--idle-margin", "999ms"], "1s"),
            (&["--settle-time", "999ms"], "1s"),
            (&["--sweep-period", "999ms"], "1s"),
            (&["--secret-refresh", "999ms"], "1s"),
            (&["--task-id-prefix", "a b"], "1 to 18 letters"),
            (&["--task-id-prefix", "nineteen-characters"], "1 to 18"),
            (&["--task-id-prefix", ""], "--task-id-prefix"),
            (&["--quota-share", "0"], "above 0 and at most 1"),
            (&["--quota-share", "1.01"], "above 0 and at most 1"),
            (&["--quota-share=-0.5"], "--quota-share"),
            (&["--backoff-min", "10"], "500ms, 10s, 2m"),
            (&["--backoff-min=-1s"], "--backoff-min"),
            (&["--backoff-min", "2m"], "--backoff-max"),
            (&["--slow-backoff-max", "1s"], "--slow-backoff-min"),
            (&["--backoff-max", "99999999999999999h"], "500ms, 10s"),
            (&["--namespaces", "Team_A"], "--namespaces"),
            (&["--listen", "here"], "--listen"),
            (&["--log-format", "xml"], "json"),
            (&["--signature", "v2"], "v3"),
            (
                &["--live-endpoint", "http://live.example.com"],
                "--allow-http",
            ),
            (&["--live-endpoint", "live.example.com"], "--live-endpoint"),
            (&["--unknown"], "--unknown"),
        ] {
            let error = settings(flags, &[]).unwrap_err();
            assert!(error.contains(words), "{flags:?}: {error}");
        }
    }

    #[test]
    fn namespaces_are_a_set() {
        let settings = settings(&["--namespaces", "b,a,,b"], &[]).unwrap();
        assert_eq!(
            settings.scope,
            Scope::Namespaces(vec!["a".to_owned(), "b".to_owned()])
        );
    }

    #[test]
    fn half_given_credentials_are_an_error_that_names_what_is_missing() {
        let error = settings(&[], &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")]).unwrap_err();
        assert!(error.contains("ALIBABA_CLOUD_ACCESS_KEY_SECRET"), "{error}");
        let error = settings(&[], &[("ALIBABA_CLOUD_ROLE_ARN", "arn")]).unwrap_err();
        assert!(error.contains("ALIBABA_CLOUD_OIDC_PROVIDER_ARN"), "{error}");
    }

    #[test]
    fn plain_http_to_sts_needs_leave_too() {
        let variable = [("ALIBABA_CLOUD_STS_ENDPOINT", "http://127.0.0.1:1")];
        let error = settings(&[], &variable).unwrap_err();
        assert!(
            error.contains("ALIBABA_CLOUD_STS_ENDPOINT") && error.contains("--allow-http"),
            "{error}"
        );
        let settings = settings(&["--allow-http"], &variable).unwrap();
        assert_eq!(settings.sts_endpoint.to_string(), "http://127.0.0.1:1");
    }
}
