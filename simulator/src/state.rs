//! All state behind one lock, and what a call does to it, step by step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Map;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::accounts::Directory;
use crate::actions::{self, Action, Scene};
use crate::claim::Request;
use crate::clock::{Clock, Millis, Moment};
use crate::faults::{Fault, Faults};
use crate::gateway::{self, Caller};
use crate::log::{Call, CallLog, Entry};
use crate::metadata::Metadata;
use crate::nonces::Nonces;
use crate::quota::Quotas;
use crate::reply::{Format, Refusal, Reply};
use crate::seed::Seed;
use crate::sign::Params;
use crate::sts;
use crate::switches::{CountAt, Excess, Switches};
use crate::world::World;

/// Everything.
#[derive(Debug)]
pub struct State {
    /// Time.
    pub clock: Clock,
    /// Accounts.
    pub directory: Directory,
    /// Channels and tasks.
    pub world: World,
    /// Switches.
    pub switches: Switches,
    /// Ordered faults.
    pub faults: Faults,
    /// The call log.
    pub log: CallLog,
    /// The machine's metadata server.
    pub metadata: Metadata,
    nonces: Nonces,
    quotas: Quotas,
    seed: Seed,
    /// Up to where the history of tasks has been brought into the call log.
    noted: usize,
}

/// The state as it is shared between connections.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    /// Rings whenever a call has ended.
    pub ended: Notify,
}

impl Shared {
    /// Shares a state.
    pub fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            ended: Notify::new(),
        })
    }

    /// The state. Held for microseconds, and never across an await.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call needs on its way.
#[derive(Debug)]
pub struct Ticket {
    /// Its place in the log.
    pub entry: Entry,
    /// Its request id.
    pub request_id: String,
    /// How it wants its answer.
    pub format: Format,
    /// General latency, in milliseconds.
    pub latency: u64,
    /// How far it got on arrival.
    pub verdict: Verdict,
}

/// How far a call got on arrival.
#[derive(Debug)]
pub enum Verdict {
    /// Not past the gateway.
    Refused(Refusal),
    /// Over quota.
    Excess,
    /// It is worked on.
    Work(Work),
}

/// A call that is worked on.
#[derive(Debug)]
pub struct Work {
    /// Who calls what.
    pub caller: Caller,
    /// When the quota counts it; arrival: it is counted.
    pub count_at: CountAt,
    /// The fault that fires.
    pub fault: Option<Fault>,
}

impl State {
    /// A state with this seed in it.
    pub fn new(seed: Seed) -> Self {
        let mut state = Self {
            clock: Clock::new(),
            directory: Directory::default(),
            world: World::default(),
            switches: Switches::default(),
            faults: Faults::default(),
            log: CallLog::default(),
            metadata: Metadata::default(),
            nonces: Nonces::default(),
            quotas: Quotas::default(),
            seed: Seed::default(),
            noted: 0,
        };
        state.plant(seed.clone());
        state.seed = seed;
        state
    }

    /// As after the start.
    pub fn reset(&mut self) {
        let seed = self.seed.clone();
        self.clock.reset();
        self.directory = Directory::default();
        self.world = World::default();
        self.switches = Switches::default();
        self.faults = Faults::default();
        self.nonces = Nonces::default();
        self.quotas = Quotas::default();
        self.log.reset();
        self.metadata = Metadata::default();
        self.noted = 0;
        self.plant(seed);
    }

    /// Adds or replaces accounts and channels.
    pub fn plant(&mut self, seed: Seed) {
        let now = self.now();
        for account in seed.accounts {
            self.directory.put(account);
        }
        for channel in seed.channels {
            let (app, id) = (&channel.app_id, &channel.channel_id);
            self.world
                .set_users(now, &self.switches, app, id, channel.users, channel.viewers);
        }
    }

    /// Now; whatever was due has happened.
    pub fn now(&mut self) -> Moment {
        let now = self.clock.now();
        self.world.advance(now, false, &self.switches);
        self.note_effects();
        now
    }

    /// Brings the effects of calls into the log; a late one comes when it has happened.
    fn note_effects(&mut self) {
        let history = self.world.history();
        for change in &history[self.noted..] {
            if let Some(call) = change.call {
                self.log.effect(call, change.monotonic_us);
            }
        }
        self.noted = history.len();
    }

    /// Moves simulated time.
    pub fn advance(&mut self, by: Millis) {
        self.now();
        self.clock.advance(by);
        let now = self.clock.now();
        self.world.advance(now, true, &self.switches);
        self.note_effects();
    }

    /// A request arrives: it is logged and checked, and meets its fault.
    pub fn arrive(&mut self, request: &Request, remote_port: u16) -> Ticket {
        let now = self.now();
        let request_id = Uuid::new_v4().to_string().to_uppercase();
        let mut call = Call {
            simulated_millis: now.simulated,
            arrival_us: now.monotonic,
            remote_port,
            request_id: request_id.clone(),
            ..Call::default()
        };
        call.describe(request);
        let known = self.directory.key(request.claim().key_id);
        call.account = known.map(|known| known.account.to_string()).or_else(|| {
            let params = request.params.as_ref();
            params.and_then(sts::account_of).map(str::to_owned)
        });
        let format = request.format();
        let latency = u64::from(self.switches.latency_millis);
        let checked = gateway::check(request, &self.directory, &mut self.nonces, now.simulated);
        let verdict = match checked {
            Err(rejection) => {
                call.violation = rejection.violation;
                Verdict::Refused(rejection.refusal)
            }
            Ok(caller) => {
                call.authenticated = true;
                let count_at = self.switches.count_at;
                if count_at == CountAt::Arrival && !self.admit(&caller, now) {
                    call.over_quota = true;
                    Verdict::Excess
                } else {
                    let (app, task) = (call.app_id.as_deref(), call.task_id.as_deref());
                    let (id, fault) = self.faults.take(caller.action, app, task).unzip();
                    call.fault = id;
                    Verdict::Work(Work {
                        caller,
                        count_at,
                        fault,
                    })
                }
            }
        };
        let entry = self.log.open(call);
        Ticket {
            entry,
            request_id,
            format,
            latency,
            verdict,
        }
    }

    /// Counts a call that was not counted on arrival. False: it is over quota.
    pub fn count(&mut self, entry: Entry, caller: &Caller) -> bool {
        let now = self.now();
        let admitted = self.admit(caller, now);
        if !admitted {
            self.log.write(entry, |call| call.over_quota = true);
        }
        admitted
    }

    fn admit(&mut self, caller: &Caller, now: Moment) -> bool {
        let limit = self
            .directory
            .account(&caller.account)
            // That there is no such account is for the action to say.
            .map_or(usize::MAX, |account| account.limit(caller.action));
        self.quotas
            .admit(&caller.account, caller.action, limit, now.monotonic)
    }

    /// How excess is answered, and with which words where it is.
    pub fn excess(&self) -> (Excess, Refusal) {
        let status = match self.switches.excess {
            Excess::Throttling400 | Excess::Close | Excess::Drop => 400,
            Excess::Throttling429 => 429,
            Excess::Throttling503 => 503,
        };
        let message = "Request was denied due to user flow control.";
        let mut refusal = Refusal::new(status, "Throttling.User", message);
        refusal.retry_after = self.switches.excess_retry_after_millis;
        (self.switches.excess, refusal)
    }

    /// Performs the action of a call, and says what the usual answer to it is.
    pub fn perform(
        &mut self,
        entry: Entry,
        request_id: &str,
        format: Format,
        caller: &Caller,
        params: &Params,
        stop_after: Option<Millis>,
    ) -> Reply {
        let now = self.now();
        let action = caller.action;
        let call = self.log.seq(entry);
        let done = self.permit(caller).and_then(|()| {
            match action {
                Action::AssumeRole => {
                    let lifetime = self.switches.triple_seconds;
                    return sts::assume_role(&mut self.directory, params, lifetime, now.simulated);
                }
                Action::Identity => {
                    let (account, key_id) = (&caller.account, &caller.key_id);
                    return Ok(sts::caller_identity(&self.directory, account, key_id));
                }
                Action::Start
                | Action::Update
                | Action::Stop
                | Action::List
                | Action::Users
                | Action::Rooms => {}
            }
            let account = self.directory.account(&caller.account);
            let resolve = |name: &str| {
                let account = account?;
                let app = Directory::app(account, name);
                self.directory.owns(account, app).then(|| app.to_owned())
            };
            let mut scene = Scene {
                world: &mut self.world,
                switches: &self.switches,
                now,
                call,
                stop_after,
            };
            actions::perform(action, params, resolve, &mut scene)
        });
        self.note_effects();
        match done {
            Ok(members) => Reply::success(format, request_id, Some(action), members),
            Err(refusal) => Reply::refusal(format, request_id, &refusal),
        }
    }

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        if caller.action == Action::AssumeRole {
            return Ok(());
        }
        let Some(account) = self.directory.account(&caller.account) else {
            return Err(Refusal::new(
                404,
                "InvalidAccessKeyId.NotFound",
                "Specified access key is not found.",
            ));
        };
        if !account.service_enabled && caller.action != Action::Identity {
            let message = "Your account has not enabled the Live service";
            return Err(Refusal::new(403, "OperationDenied", message));
        }
        if account.denied.contains(&caller.action) {
            let message = format!(
                "no permission for {}:{}, please check and try again later.",
                caller.action.product(),
                caller.action.name()
            );
            let mut refusal = Refusal::new(403, &account.denial_code, message);
            refusal.denied = Some(caller.action);
            return Err(refusal);
        }
        Ok(())
    }

    /// What a success of nothing looks like: for faults that answer without having done anything.
    pub fn hollow_success(request_id: &str, format: Format) -> Reply {
        Reply::success(format, request_id, None, Map::new())
    }
}
