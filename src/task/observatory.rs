//! What the bulk reads of each application show, and when the next read is due. Passive: the controller starts the reads and brings their results.
//!
//! There is no status call in this API (dossier 3.6), so that tasks and channels are observed in pages for a whole application, never one by one.

mod interest;
mod schedule;

pub(super) use interest::{is_open, is_running, is_taken_for_stopped, waits_for_channel};

use interest::interest;
use schedule::{Board, Verdict};

use super::{
    retry::{Cause, Moment, Paces, Trouble, Waits},
    seen::{Channel, Fault, Seen},
    store::Store,
    trail::READING_GAP,
    view::{Key, View},
};
use crate::live::{Action, AppId, Class, Failure};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// Reads at a time, over all applications.
const READS: usize = 8;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The task list, `ListRtcMPUTaskDetail`.
    Tasks,
    /// The live channels, `ListRTCLiveRooms`.
    Channels,
}

impl What {
    /// The action that reads it.
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::Tasks => Action::ListRtcMpuTaskDetail,
            Self::Channels => Action::ListRtcLiveRooms,
        }
    }
}

/// One read to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    /// Of which application.
    pub app: AppId,
    /// Of what.
    pub what: What,
    /// Deletions wait for it.
    pub urgent: bool,
}

/// So many failures in a row are not worth a word.
const PASSING: u32 = 3;

/// A complete read, or why there is none.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub read: Read,
    /// When it began, since the process started.
    pub begun: Duration,
    /// The ids that it showed, or what failed.
    pub result: Result<HashSet<String>, Box<Failure>>,
}

/// Everything that is observed.
#[derive(Debug, Default)]
pub struct Observatory {
    apps: HashMap<String, App>,
    reading: usize,
}

#[derive(Debug)]
struct App {
    id: AppId,
    tasks: Board,
    channels: Board,
    /// The last two complete reads of the list: when each began, and the ids of the tasks.
    lists: [Option<(Duration, HashSet<String>)>; 2],
    /// Why the list cannot be read: the account's policy does not grant it, or it has failed for longer than the settle time.
    list_lost: Option<Fault>,
    /// The last complete read of the channels.
    live: Option<(Duration, HashSet<String>)>,
    history: HashMap<String, Channel>,
    /// Why the channels could not be read at the last try.
    trouble: Option<Fault>,
    waits: Waits,
    /// Objects that wait for the next read of the channels. One that has begun already comes too early for them.
    asked: HashSet<Key>,
    /// Objects that asked before the read of the channels that is under way.
    answering: HashSet<Key>,
    /// Deletions that wait for their turn to ask the list.
    crowd: HashSet<Key>,
    /// A running relay's channel was away at the last read: whether it comes back is watched closely.
    is_away: bool,
}

impl App {
    fn new(id: AppId) -> Self {
        Self {
            id,
            tasks: Board::default(),
            channels: Board::default(),
            lists: [None, None],
            list_lost: None,
            live: None,
            history: HashMap::new(),
            trouble: None,
            waits: Waits::default(),
            asked: HashSet::new(),
            answering: HashSet::new(),
            crowd: HashSet::new(),
            is_away: false,
        }
    }
}

impl Observatory {
    /// What is known of the object.
    #[must_use]
    pub fn seen(&self, view: &View) -> Seen {
        let Ok(ids) = &view.ids else {
            return Seen::default();
        };
        let Some(app) = self.apps.get(ids.app.as_str()) else {
            return Seen::default();
        };
        let misses = |read: &Option<(Duration, HashSet<String>)>| {
            let (begun, listed) = read.as_ref()?;
            (!listed.contains(ids.task.as_str())).then_some(*begun)
        };
        let before = misses(&app.lists[0]);
        let absent = before.zip(misses(&app.lists[1]));
        let last = app.lists[1].as_ref().map(|(begun, _)| *begun);
        let back = last.filter(|_| before.is_some() && absent.is_none());
        let channel = view.channel.as_ref().map(|channel| {
            let channel = channel.as_str();
            app.history.get(channel).cloned().unwrap_or_else(|| {
                let mut new = Channel::default();
                if let Some((begun, live)) = &app.live {
                    new.take(*begun, live.contains(channel), READING_GAP);
                }
                new
            })
        });
        Seen {
            absent,
            back,
            list_lost: app.list_lost.clone(),
            channel: channel.unwrap_or_default(),
            channels_fail: app.trouble.clone(),
        }
    }

    /// An application has a relay: it is observed from now on.
    pub fn observe(&mut self, app: &AppId) {
        self.app(app);
    }

    fn app(&mut self, app: &AppId) -> &mut App {
        self.apps
            .entry(app.as_str().to_owned())
            .or_insert_with(|| App::new(app.clone()))
    }

    /// An object wants the channels to be read from now on; it is named when they are.
    pub fn ask(&mut self, app: &AppId, key: Key) {
        self.app(app).asked.insert(key);
    }

    /// A deletion waits for its turn to ask the list. When there are many, they share a read; each is named after it.
    pub fn join_crowd(&mut self, app: &AppId, key: Key) {
        self.app(app).crowd.insert(key);
    }

    /// The reads that begin now.
    pub fn due(&mut self, store: &Store, paces: &Paces, now: Moment) -> Vec<Read> {
        let mut due = Vec::new();
        let mut idle = Vec::new();
        for (name, app) in &mut self.apps {
            for what in [What::Channels, What::Tasks] {
                if self.reading + due.len() >= READS {
                    break;
                }
                match app.judge(what, || interest(store, name, now.wall), paces, now.mono) {
                    Verdict::Now => {
                        let urgent = what == What::Tasks && app.is_crowded();
                        match what {
                            What::Channels => app.answering = std::mem::take(&mut app.asked),
                            What::Tasks => {}
                        }
                        let board = app.board(what);
                        board.is_reading = true;
                        board.check = Duration::ZERO;
                        due.push(Read {
                            app: app.id.clone(),
                            what,
                            urgent,
                        });
                    }
                    Verdict::At(at) => {
                        app.board(what).check = at.min(now.mono + paces.sweep_period);
                    }
                    Verdict::AfterThis => {}
                }
            }
            if app.is_idle(now.mono) && store.relays(name).next().is_none() {
                idle.push(name.clone());
            }
        }
        for name in idle {
            self.apps.remove(&name);
        }
        self.reading += due.len();
        due
    }

    /// When [`Observatory::due`] is to be asked again, as far as is known now.
    #[must_use]
    pub fn next_at(&self, now: Duration) -> Option<Duration> {
        if self.reading >= READS {
            return None;
        }
        let next = self.apps.values().flat_map(|app| {
            let is_asked = [app.is_crowded(), !app.asked.is_empty()];
            let boards = [(&app.tasks, What::Tasks), (&app.channels, What::Channels)];
            boards
                .into_iter()
                .zip(is_asked)
                .filter_map(move |((board, what), is_asked)| {
                    if board.is_reading {
                        None
                    } else if is_asked {
                        Some(app.waits.due(what.action(), 0).max(now))
                    } else {
                        Some(board.check)
                    }
                })
        });
        next.min()
    }

    /// Takes a read, and names the objects to look at.
    pub fn ended(
        &mut self,
        ended: Ended,
        store: &Store,
        paces: &Paces,
        (now, jitter): (Moment, f64),
    ) -> Vec<Key> {
        let Ended {
            read,
            begun,
            result,
        } = ended;
        self.reading -= 1;
        let Some(app) = self.apps.get_mut(read.app.as_str()) else {
            return Vec::new();
        };
        let action = read.what.action();
        let board = app.board(read.what);
        board.is_reading = false;
        board.begun = Some(begun);
        let relays = || store.relays(read.app.as_str());
        let mut look: Vec<Key> = match (read.what, result) {
            (What::Tasks, Ok(ids)) => {
                app.waits.clear(action);
                app.lists[0] = app.lists[1].take();
                let can_again = app.list_lost.take().is_some();
                let missed = |view: &View| {
                    let before = app.lists[0].as_ref();
                    before.is_some_and(|(_, ids)| !shows(ids, view))
                };
                let changed = relays()
                    .filter(|view| {
                        let is_there = is_running(view) || is_open(view);
                        let is_missing = is_there && !shows(&ids, view);
                        let is_back = is_taken_for_stopped(view) && shows(&ids, view);
                        (is_there && can_again) || is_missing || (is_back && missed(view))
                    })
                    .map(|view| view.key.clone())
                    .collect();
                app.lists[1] = Some((begun, ids));
                changed
            }
            (What::Channels, Ok(live)) => {
                app.waits.clear(action);
                app.trouble = None;
                app.take_channels(begun, live, relays(), now.wall)
            }
            (what, Err(failure)) => {
                let words = words(&failure);
                if what == What::Channels {
                    app.trouble = Some(Fault {
                        class: failure.class,
                        words: words.clone(),
                    });
                }
                let trouble = Trouble {
                    cause: Cause::Answer(failure.class),
                    words: &words,
                    retry_after: failure.retry_after,
                    not_before: Duration::ZERO,
                };
                app.waits.fail(action, &trouble, 0, paces, now, jitter);
                let lasts = app.waits.get(action).is_some_and(|wait| {
                    let lasts = Duration::try_from(now.wall.duration_since(wait.since));
                    wait.attempts > PASSING && lasts.is_ok_and(|lasts| lasts >= paces.settle_time)
                });
                let is_lost =
                    what == What::Tasks && (failure.class == Class::AccessDenied || lasts);
                let told = app.list_lost.as_ref().map(|fault| fault.class);
                let is_news = is_lost && told != Some(failure.class);
                if is_news {
                    app.list_lost = Some(Fault {
                        class: failure.class,
                        words: words.clone(),
                    });
                }
                relays()
                    .filter(|view| is_news && is_running(view))
                    .map(|view| view.key.clone())
                    .collect()
            }
        };
        look.extend(match read.what {
            What::Tasks => app.crowd.drain(),
            What::Channels => app.answering.drain(),
        });
        look
    }
}

impl App {
    fn take_channels<'a>(
        &mut self,
        begun: Duration,
        live: HashSet<String>,
        relays: impl Iterator<Item = &'a Arc<View>>,
        now: Timestamp,
    ) -> Vec<Key> {
        let mut look = Vec::new();
        let mut history = HashMap::new();
        self.is_away = false;
        for view in relays {
            let Some(channel) = &view.channel else {
                continue;
            };
            let channel = channel.as_str();
            let is_live = live.contains(channel);
            if !history.contains_key(channel) {
                let mut known = self.history.remove(channel).unwrap_or_default();
                known.take(begun, is_live, READING_GAP);
                history.insert(channel.to_owned(), known);
            }
            let is_running = is_running(view);
            let is_missing = self.lists[1]
                .as_ref()
                .is_some_and(|(_, ids)| !shows(ids, view));
            self.is_away |= is_running && !is_live;
            if waits_for_channel(view, now) || (is_running && (!is_live || is_missing)) {
                look.push(view.key.clone());
            }
        }
        self.history = history;
        self.live = Some((begun, live));
        look
    }
}

fn shows(ids: &HashSet<String>, view: &View) -> bool {
    view.ids
        .as_ref()
        .is_ok_and(|own| ids.contains(own.task.as_str()))
}

fn words(failure: &Failure) -> String {
    match &failure.code {
        Some(code) => format!("{code}: {}", failure.message),
        None => failure.message.clone(),
    }
}
