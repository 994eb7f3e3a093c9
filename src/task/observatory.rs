//! What the bulk reads of each application show, and when the next read is due. Passive: the controller starts the reads and brings their results.
//!
//! There is no status call in this API (dossier 3.6), so that tasks and channels are observed in pages for a whole application, never one by one;
//! for those with other credentials with theirs, since what one key may see is none of another one's business.

mod interest;
mod schedule;

pub(super) use interest::{is_open, is_running, is_taken_for_stopped, waits_for_channel};

use interest::interest;
use schedule::{Board, Verdict};

use super::{
    access::{Site, Source},
    retry::{Cause, Moment, Paces, Trouble, Waits},
    seen::{Channel, Fault, Seen},
    store::Store,
    trail::READING_GAP,
    view::{Key, View},
};
use crate::live::{Action, Class, Failure};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

/// Reads at a time with the operator's own credentials, over all applications.
const OWN_READS: usize = 8;
/// Reads at a time with the same others: where they take long they hold up nobody else's.
const OTHER_READS: usize = 2;

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
    /// Of which application, and with whose credentials.
    pub site: Site,
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
    apps: HashMap<Site, App>,
    reading: HashMap<Source, usize>,
    /// Counts the reads that have begun.
    turns: u64,
}

#[derive(Debug, Default)]
struct App {
    /// The number of its last read.
    turn: u64,
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
    /// What began before this moment was read with other credentials.
    changed: Option<Duration>,
    /// A running relay's channel was away at the last read: whether it comes back is watched closely.
    is_away: bool,
}

impl Observatory {
    /// What is known of the object.
    #[must_use]
    pub fn seen(&self, view: &View) -> Seen {
        let (Ok(ids), Some(site)) = (&view.ids, Site::of(view)) else {
            return Seen::default();
        };
        let Some(app) = self.apps.get(&site) else {
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
    pub fn observe(&mut self, site: Site) {
        self.app(site);
    }

    fn app(&mut self, site: Site) -> &mut App {
        self.apps.entry(site).or_default()
    }

    /// An object wants the channels to be read from now on; it is named when they are.
    pub fn ask(&mut self, site: Site, key: Key) {
        self.app(site).asked.insert(key);
    }

    /// A deletion waits for its turn to ask the list. When there are many, they share a read; each is named after it.
    pub fn join_crowd(&mut self, site: Site, key: Key) {
        self.app(site).crowd.insert(key);
    }

    /// There are other credentials from there, since before `now`: what was refused to the old ones says nothing of them, nor what was shown to them,
    /// since these may be of another account.
    pub fn other_credentials(&mut self, source: &Source, now: Duration) {
        let apps = self.apps.iter_mut();
        for (_, app) in apps.filter(|(site, _)| site.source == *source) {
            app.changed = Some(now);
            app.lists = [None, None];
            app.live = None;
            app.history.clear();
            let before = app.waits.clone();
            app.waits.other_credentials();
            for what in [What::Tasks, What::Channels] {
                if before.get(what.action()) != app.waits.get(what.action()) {
                    // As if it had never been tried.
                    let board = app.board(what);
                    (board.begun, board.check) = (None, Duration::ZERO);
                }
            }
        }
    }

    /// The reads that begin now.
    pub fn due(&mut self, store: &Store, paces: &Paces, now: Moment) -> Vec<Read> {
        let mut due = Vec::new();
        let mut idle = Vec::new();
        // Where more is due than may be read at a time, whoever was read last comes last.
        let mut apps: Vec<(&Site, &mut App)> = self.apps.iter_mut().collect();
        apps.sort_by_key(|(_, app)| app.turn);
        for (site, app) in apps {
            for what in [What::Channels, What::Tasks] {
                if is_full(&self.reading, &site.source) {
                    break;
                }
                match app.judge(what, || interest(store, site, now.wall), paces, now.mono) {
                    Verdict::Now => {
                        let urgent = what == What::Tasks && app.is_crowded();
                        match what {
                            What::Channels => app.answering = std::mem::take(&mut app.asked),
                            What::Tasks => {}
                        }
                        let board = app.board(what);
                        board.is_reading = true;
                        board.check = Duration::ZERO;
                        self.turns += 1;
                        app.turn = self.turns;
                        *self.reading.entry(site.source.clone()).or_default() += 1;
                        due.push(Read {
                            site: site.clone(),
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
            if app.is_idle(now.mono) && store.relays(site).next().is_none() {
                idle.push(site.clone());
            }
        }
        for site in idle {
            self.apps.remove(&site);
        }
        due
    }

    /// When [`Observatory::due`] is to be asked again, as far as is known now.
    #[must_use]
    pub fn next_at(&self, now: Duration) -> Option<Duration> {
        let free = self
            .apps
            .iter()
            .filter(|(site, _)| !is_full(&self.reading, &site.source));
        let next = free.flat_map(|(_, app)| {
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
        if let Some(reading) = self.reading.get_mut(&read.site.source) {
            *reading -= 1;
            if *reading == 0 {
                self.reading.remove(&read.site.source);
            }
        }
        let Some(app) = self.apps.get_mut(&read.site) else {
            return Vec::new();
        };
        let action = read.what.action();
        if app.changed >= Some(begun) && result.is_ok() {
            let board = app.board(read.what);
            (board.is_reading, board.begun, board.check) = (false, None, Duration::ZERO);
            // They are answered by the next one.
            if read.what == What::Channels {
                let asked = std::mem::take(&mut app.answering);
                app.asked.extend(asked);
            }
            return Vec::new();
        }
        let board = app.board(read.what);
        board.is_reading = false;
        board.begun = Some(begun);
        let relays = || store.relays(&read.site);
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

/// Nothing more is read with these credentials now.
fn is_full(reading: &HashMap<Source, usize>, source: &Source) -> bool {
    let most = match source {
        Source::Own => OWN_READS,
        Source::Secret(_) | Source::Unreadable => OTHER_READS,
    };
    reading.get(source).is_some_and(|reading| *reading >= most)
}
