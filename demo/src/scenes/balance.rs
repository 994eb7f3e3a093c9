//! What must hold over the whole run.

use support::simulator::TaskState;

use super::{Scenes, relay::STREAM_KEY};

impl Scenes<'_> {
    pub(super) async fn balance(&self) -> anyhow::Result<()> {
        let line = self.timeline;
        line.scene("The balance");
        let usages = self.stage.admin.quota().await?;
        let is_clean = usages.iter().all(|usage| {
            usage.over_quota + usage.signature_failures + usage.nonce_reuses + usage.date_violations
                == 0
        });
        line.expect(
            is_clean,
            "every signature, nonce and date was good, and no call was over quota",
            || format!("the simulator counted {usages:?}"),
        )?;
        let metrics = self.stage.get("/metrics").await?;
        for (evidence, count) in [("stop_accepted", 4), ("not_listed", 1)] {
            let wanted = format!("mixed_stream_releases_total{{evidence=\"{evidence}\"}} {count}");
            line.expect(
                metrics.lines().any(|line| line == wanted),
                &format!("the operator's metrics say {wanted}"),
                || {
                    format!(
                        "they say\n{}",
                        lines_with(&metrics, "mixed_stream_releases_total")
                    )
                },
            )?;
        }
        let log = std::fs::read_to_string(&self.stage.operator_log)?;
        line.expect(
            !log.contains("testsecret") && !log.contains(STREAM_KEY),
            "neither the account's secret nor an output's key is in the operator's log",
            || "it is".to_owned(),
        )?;
        let tasks = self.stage.admin.tasks().await?;
        let left = self
            .stage
            .objects
            .list(&kube::api::ListParams::default())
            .await?
            .items
            .len();
        let running = tasks
            .iter()
            .filter(|task| task.state == TaskState::Running)
            .count();
        line.expect(
            left + running == 0,
            "no object is left, and no task runs",
            || format!("{left} objects are left, and {running} tasks run"),
        )
    }
}

fn lines_with<'a>(text: &'a str, needle: &str) -> String {
    let lines: Vec<&'a str> = text.lines().filter(|line| line.contains(needle)).collect();
    lines.join("\n")
}
