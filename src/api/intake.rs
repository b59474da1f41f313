//! What every way of reporting events comes to: who, did what, and what became of it.
//!
//! In: events as a dialect has read them, each an [`Item`] or the reason why not. Out: one [`Entry`]
//! an event, in order. No event costs another one its place. Events are learned some at a time, so
//! that a long request holds up nobody else on its thread.

use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::refusal::{ONLY_CLAIMED, Refusal};
use crate::identity::Identity;
use crate::observe::{Act, Fate, Outcome, Rehearsal, Report};
use crate::spool::Refused;
use crate::trust::Spoken;
use crate::types::event::Row;
use crate::types::event::column::RawJson;
use crate::types::ids::{SessionId, UserId};
use crate::types::interaction::Interaction;
use crate::types::voice::Voice as HowFar;

/// Events that are learned before others on this thread get their turn.
const AT_A_TIME: usize = 64;

/// One event.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) user: Option<UserId>,
    pub(super) session: Option<SessionId>,
    /// What was done; the same event may say that somebody clicked and for how long they stayed.
    pub(super) acts: Vec<Interaction>,
    /// Where the product stood, 0-based, as the sender saw it.
    pub(super) position: Option<u32>,
    /// The event as it was sent, for the event log.
    pub(super) raw: Option<RawJson>,
}

/// One event as a dialect has read it.
#[derive(Debug)]
pub(super) enum Read {
    Item(Item),
    /// Well said, and nothing to learn: why.
    Ignored(&'static str),
    Refused(Refusal),
}

/// Who reports.
pub(super) struct Asker<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) spoken: &'a Spoken,
}

/// What became of one event.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "EventOutcome")]
pub(super) struct Entry {
    /// Its place among the events, 0-based.
    pub(super) item: usize,
    /// `double`: nothing of it was new; `not_learned`: `reason` says why; `ignored`: well said, and
    /// says nothing of a single product; `refused`: `error` says why.
    #[schemars(extend("enum" = STATUSES))]
    pub(super) status: &'static str,
    /// Acts that said something new; one event may say two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) learned: Option<usize>,
    /// Why it was not learned, or says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    #[serde(flatten)]
    pub(super) refusal: Option<Refusal>,
    /// What it would say, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) acts: Option<Vec<Shown>>,
}

const STATUSES: [&str; 5] = ["learned", "double", "not_learned", "ignored", "refused"];

/// One act of a rehearsal.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "RehearsedAct")]
pub(super) struct Shown {
    /// What was done.
    r#type: &'static str,
    /// What would become of it.
    status: &'static str,
    /// The list that explains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<Place>,
    /// What it says.
    signals: Vec<Told>,
}

/// The list that explains an act.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "ExplainingList")]
struct Place {
    /// The search's name.
    query: String,
    /// Where the product stood, 0-based.
    position: usize,
    /// Where the sender says that it stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported_position: Option<u32>,
}

/// One signal of a rehearsal.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "RehearsedSignal")]
struct Told {
    /// Its key in `signal_weights` of the rules.
    kind: &'static str,
    /// The product's name; nothing where no reply has described it yet.
    product: Option<Box<str>>,
    /// It is of a product above the one that was picked.
    passed_over: bool,
    /// What it adds to the product and to each facet.
    weight: f32,
    /// The facets, each as `axis:name`.
    facets: Vec<String>,
}

impl Entry {
    fn of(item: usize, status: &'static str) -> Self {
        Self { item, status, learned: None, reason: None, refusal: None, acts: None }
    }

    fn refused(item: usize, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::of(item, "refused") }
    }

    /// True unless it was refused.
    pub(super) fn is_accepted(&self) -> bool {
        self.refusal.is_none()
    }

    /// Acts that said something new.
    pub(super) fn learned(&self) -> usize {
        self.learned.unwrap_or(0)
    }
}

/// Learns events; with `debug` only says what would become of them. Where there is an event log, they
/// are on its disk when this returns.
///
/// # Errors
/// The event log takes nothing: then nothing was learned, or what was is written when it can be.
pub(super) async fn take(
    api: &Api,
    asker: &Asker<'_>,
    events: Vec<Read>,
    debug: bool,
) -> Result<Vec<Entry>, Refused> {
    let log = api.log.as_ref().filter(|_| !debug);
    log.map_or(Ok(()), |log| log.ready())?;
    let mut rows = Vec::new();
    let mut entries = Vec::with_capacity(events.len());
    let mut events = events.into_iter();
    let proven = asker.spoken.names_somebody() || api.border.is_api_client(asker.headers);
    let how_far = api.observer.voice(asker.headers, None, proven);
    let mut voice = Voice { api, asker, last: None, voice: how_far };
    loop {
        let some: Vec<Read> = events.by_ref().take(AT_A_TIME).collect();
        if some.is_empty() {
            break;
        }
        rows.extend(take_some(&mut voice, some, debug, &mut entries));
        tokio::task::yield_now().await;
    }
    // Also without a row: what is told twice was told before, and that is to be on the disk.
    if let Some(log) = log.filter(|_| entries.iter().any(Entry::is_accepted)) {
        log.accept(rows).await?;
    }
    Ok(entries)
}

/// Takes some of the events; gives the rows that tell of them.
fn take_some(
    voice: &mut Voice<'_>,
    events: Vec<Read>,
    debug: bool,
    entries: &mut Vec<Entry>,
) -> Vec<Row> {
    let mut raws = Vec::new();
    let (first, mut reports, mut reported) = (entries.len(), Vec::new(), Vec::new());
    let (mut refused, mut ignored) = (0, 0);
    for (number, event) in events.into_iter().enumerate() {
        let number = first + number;
        entries.push(match event {
            Read::Refused(refusal) => Entry::refused(number, refusal),
            Read::Ignored(reason) => {
                ignored += 1;
                Entry { reason: Some(reason), ..Entry::of(number, "ignored") }
            }
            Read::Item(item) => match voice.identity(item.user, item.session) {
                Err(refusal) => Entry::refused(number, refusal),
                Ok(identity) => {
                    reported.push((number, item.position));
                    raws.push(item.raw);
                    reports.push(Report { identity, interactions: item.acts });
                    Entry::of(number, "learned")
                }
            },
        });
        refused += usize::from(entries.last().is_some_and(|entry| !entry.is_accepted()));
    }
    let observer = &voice.api.observer;
    if debug {
        for ((number, position), rehearsal) in reported.into_iter().zip(observer.rehearse(reports))
        {
            if let Some(entry) = entries.get_mut(number) {
                rehearsed(entry, rehearsal, position);
            }
        }
        return Vec::new();
    }
    observer.unused(refused, ignored);
    let (outcomes, rows) = observer.recorded(reports);
    for ((number, _), outcome) in reported.into_iter().zip(outcomes) {
        if let Some(entry) = entries.get_mut(number) {
            settle(entry, &outcome);
        }
    }
    let raw = |number: usize| raws.get(number).cloned().flatten();
    rows.into_iter().map(|(number, row)| row.as_sent(raw(number))).collect()
}

fn settle(entry: &mut Entry, outcome: &Outcome) {
    entry.learned = Some(outcome.learned());
    match outcome {
        Outcome::Heard(_) if outcome.learned() > 0 => {}
        Outcome::Heard(fates) => {
            let fate = fates.first().copied().unwrap_or(Fate::Double);
            match fate {
                Fate::Erased | Fate::OptedOut | Fate::Crawler | Fate::Silent(_) => {
                    (entry.status, entry.reason) = ("not_learned", Some(fate.reason()));
                }
                _ => entry.status = "double",
            }
        }
        Outcome::OptedOut => (entry.status, entry.reason) = ("not_learned", Some("opted_out")),
        Outcome::NoSubject => (entry.status, entry.reason) = ("not_learned", Some("no_subject")),
    }
}

fn rehearsed(entry: &mut Entry, rehearsal: Rehearsal, position: Option<u32>) {
    let acts = match rehearsal {
        Rehearsal::Heard(acts) => acts,
        Rehearsal::OptedOut => return settle(entry, &Outcome::OptedOut),
        Rehearsal::NoSubject => return settle(entry, &Outcome::NoSubject),
    };
    let fates = acts.iter().map(|act| act.fate).collect();
    settle(entry, &Outcome::Heard(fates));
    entry.acts = Some(acts.into_iter().map(|act| shown(act, position)).collect());
}

fn shown(act: Act, reported_position: Option<u32>) -> Shown {
    let list = act.joined.map(|joined| Place {
        query: joined.list.to_string(),
        position: joined.position,
        reported_position,
    });
    let signals = act.says.into_iter().map(|said| Told {
        kind: said.kind.path(),
        product: said.name,
        passed_over: !said.is_own,
        weight: said.weight,
        facets: said.facets.iter().map(|(axis, name)| format!("{}:{name}", axis.name())).collect(),
    });
    let status = act.fate.reason();
    Shown { r#type: act.kind.name(), status, list, signals: signals.collect() }
}

/// Whom a body names, or whom a trusted peer vouches for. Whether the asker may speak for the user is
/// not asked here.
pub(super) fn named(
    api: &Api,
    (user, session): (Option<UserId>, Option<SessionId>),
    Asker { headers, spoken }: &Asker<'_>,
    voice: HowFar,
) -> Identity {
    let somebody = |word: &str| !api.observer.means_nobody(word);
    let named = Identity {
        user: user.filter(|user| somebody(user.as_str())),
        session: session.filter(|session| somebody(session.as_str())),
        opted_out: headers.get("sec-gpc").is_some_and(|value| value == "1"),
        voice,
    };
    named.vouched(spoken.user.as_ref(), spoken.session.as_ref())
}

/// Whom the asker may speak for; the last user is remembered, as one request often has one.
struct Voice<'a> {
    api: &'a Api,
    asker: &'a Asker<'a>,
    last: Option<(UserId, bool)>,
    voice: HowFar,
}

impl Voice<'_> {
    /// Whom an event teaches. A user who is only claimed is nobody: the visit is taught alone.
    fn identity(
        &mut self,
        user: Option<UserId>,
        session: Option<SessionId>,
    ) -> Result<Identity, Refusal> {
        let named = named(self.api, (user, session), self.asker, self.voice);
        if named.subject().is_none() {
            return Err(Refusal::new("no_subject", "user_id", "nothing", NO_SUBJECT));
        }
        match &named.user {
            Some(user) if !self.speaks_for(user) => match &named.session {
                None => Err(Refusal::new(ONLY_CLAIMED, "user_id", "a claim", CLAIMED)),
                Some(_) => Ok(Identity { user: None, ..named }),
            },
            _ => Ok(named),
        }
    }

    fn speaks_for(&mut self, user: &UserId) -> bool {
        if let Some((_, speaks)) = self.last.as_ref().filter(|(last, _)| last == user) {
            return *speaks;
        }
        let speaks = self.api.border.speaks_for(user, self.asker.headers, self.asker.spoken);
        self.last = Some((user.clone(), speaks));
        speaks
    }
}

const NO_SUBJECT: &str = "user_id or session_id, 1 to 256 bytes without control characters";
const CLAIMED: &str = "a user for whom a trusted peer or an API token vouches, or a session_id";
