//! `make demo`: from nothing to the main job on real parts, as a readable timeline. Exit status 0 means that every expectation held.
//!
//! `KEEP=1` in the environment leaves everything running after the scenes, until Ctrl-C.

mod scenes;
mod stage;
mod timeline;

use std::process::ExitCode;

use anyhow::Context as _;
use control_plane::Supervised;
use tokio::signal::unix::{Signal, SignalKind, signal};

use scenes::Scenes;
use stage::{Ended, Stage};
use timeline::Timeline;

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let timeline = Timeline::begin();
    let ended = runtime
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(demo(&timeline)));
    match ended {
        Ok(End::Held) => ExitCode::SUCCESS,
        Ok(End::Interrupted) => {
            timeline::say("\nInterrupted; everything is taken down.");
            ExitCode::from(INTERRUPTED)
        }
        Ok(End::Failed) => ExitCode::FAILURE,
        Err(error) => {
            timeline.failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy)]
enum End {
    Held,
    /// Told already.
    Failed,
    Interrupted,
}

/// Ctrl-C and SIGTERM.
struct Interrupts([Signal; 2]);

impl Interrupts {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

async fn demo(timeline: &Timeline) -> anyhow::Result<End> {
    let mut interrupts = Interrupts::listen()?;
    timeline::say(
        "Real: etcd, kube-apiserver, kubectl, the operator. Simulated: the Live API (it checks every signature) and its clock.",
    );
    timeline.scene("0. From nothing");
    timeline.step("starting a Kubernetes API server (the first time it is built from source, some 7 minutes on 2 cores)");
    let supervisor = support::binary("control-plane");
    let plane = tokio::select! {
        plane = Supervised::start(&supervisor, None) => plane?,
        () = interrupts.next() => return Ok(End::Interrupted),
    };
    let ended = on(&plane, timeline, &mut interrupts).await;
    plane.stop().await;
    ended
}

async fn on(
    plane: &Supervised,
    timeline: &Timeline,
    interrupts: &mut Interrupts,
) -> anyhow::Result<End> {
    timeline.step(&format!("server up: {}", plane.ready().server));
    let mut stage = tokio::select! {
        stage = Stage::set(plane, timeline) => stage?,
        () = interrupts.next() => return Ok(End::Interrupted),
    };
    let scenes = Scenes::new(&stage, timeline);
    let played = tokio::select! {
        played = scenes.play() => played,
        () = interrupts.next() => {
            stage.strike().await?;
            return Ok(End::Interrupted);
        }
    };
    let end = match played {
        Ok(()) => {
            timeline.success();
            End::Held
        }
        Err(error) => {
            timeline.failure(&format!("{error:#}"));
            timeline::say("The operator's last log lines:");
            timeline.quote(&stage::tail(&stage.operator_log));
            End::Failed
        }
    };
    let kept = if std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0") {
        keep(&mut stage, timeline, interrupts).await
    } else {
        Ok(())
    };
    stage.strike().await?;
    kept.map(|()| end)
}

/// Leaves everything running, and says how to use it.
async fn keep(
    stage: &mut Stage,
    timeline: &Timeline,
    interrupts: &mut Interrupts,
) -> anyhow::Result<()> {
    let plane = stage.plane();
    let kubectl = if plane.kubectl.parent().is_some_and(is_on_path) {
        "kubectl".to_owned()
    } else {
        plane.kubectl.display().to_string()
    };
    let (admin, operator) = (&stage.addresses.admin, &stage.operator_port);
    timeline.scene("Everything is left running until Ctrl-C. In another terminal:");
    timeline::say(&format!(
        "  export KUBECONFIG={kubeconfig}

  # a task, an object for it, and the object's end
  curl -X PUT {admin}/apps/app-01/tasks/final-46 -H 'content-type: application/json' -d '{{}}'
  {kubectl} apply -f - <<END
apiVersion: mixedstream.io/v1alpha1
kind: MixedStreamTask
metadata: {{name: final-46, finalizers: [mixedstream.io/stop-task]}}
spec: {{appId: app-01, taskId: final-46}}
END
  {kubectl} get mst -o wide
  {kubectl} delete mst final-46

  # the simulator: a task's state, who called what, errors on order (docs/simulator.md)
  curl {admin}/apps/app-01/tasks/final-46
  curl '{admin}/calls?taskId=final-46'
  curl {admin}/faults -H 'content-type: application/json' -d '{{\"action\": \"StopLiveMPUTask\", \"kind\": \"reset\", \"times\": 2}}'

  # the operator; one that you end, by whatever signal, is followed by another
  curl http://{operator}/metrics
  tail -f {log}
  kill -KILL {pid}",
        kubeconfig = plane.kubeconfig.display(),
        log = stage.operator_log.display(),
        pid = stage.operator_id(),
    ));
    loop {
        let how = tokio::select! {
            () = interrupts.next() => return Ok(()),
            ended = stage.ended() => match ended {
                Ended::Simulator(how) => anyhow::bail!("the simulator ended: {how}"),
                Ended::Operator(how) => how,
            },
        };
        timeline.step(&format!(
            "the operator ended ({how}): another is started, as a Deployment would"
        ));
        tokio::select! {
            () = interrupts.next() => return Ok(()),
            replaced = stage.replace_operator(timeline) => replaced?,
        }
    }
}

fn is_on_path(folder: &std::path::Path) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|entry| entry == folder))
}
