//! What holds for any order of searches: nobody is made up, nobody is mistaken for another, nothing
//! grows without end.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::types::clock::Timestamp;
use crate::types::ids::UserId;

const WINDOW_US: u64 = 2_000_000;

/// A clock that a test moves.
#[derive(Debug, Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic_us(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Stage {
    joins: Arc<Joins>,
    clock: Arc<Hand>,
}

impl Stage {
    fn new(entries_max: usize) -> Self {
        let clock = Arc::<Hand>::default();
        let window = Duration::from_micros(WINDOW_US);
        let settings = Join { window, entries_max, by_query: true, ..Join::default() };
        Self { joins: Arc::new(Joins::new(&settings, clock.clone())), clock }
    }

    fn pass(&self, us: u64) {
        self.clock.0.fetch_add(us, Ordering::Relaxed);
    }

    fn announce(&self, trace: u128, words: Words<'_>, user: &str) -> Announced {
        self.announce_as(trace, words, &shopper(user))
    }

    fn announce_as(&self, trace: u128, words: Words<'_>, identity: &Identity) -> Announced {
        let trace = (trace != 0).then_some(TraceId(trace));
        self.joins.announce(&Front { trace, words, identity, learned: true })
    }

    fn who(&self, trace: u128, words: &str) -> String {
        word(self.joins.who((trace != 0).then_some(TraceId(trace)), Some(words)))
    }
}

/// Empty = nobody who is named.
fn shopper(user: &str) -> Identity {
    Identity { user: UserId::parse(user), ..Identity::default() }
}

fn word(who: Who) -> String {
    match who {
        Who::Nobody => "nobody".into(),
        Who::Ambiguous { opted_out: false } => "two".into(),
        Who::Ambiguous { opted_out: true } => "two, opted out".into(),
        Who::One(joined) if joined.identity.opted_out => "opted out".into(),
        Who::One(joined) => {
            let user = joined.identity.user.as_ref().map_or("anonymous", UserId::as_str);
            format!("{user} by {:?}", joined.how)
        }
    }
}

#[test]
fn a_trace_finds_its_shopper_and_words_find_the_only_one_who_searches_for_them() {
    let stage = Stage::new(10);
    let _ann = stage.announce(1, Words::Known("  Oat   MILK"), "ann");
    assert_eq!(stage.who(1, "anything"), "ann by Trace");
    assert_eq!(stage.who(0, "oat milk"), "ann by Query");
    assert_eq!(stage.who(9, "oat milk"), "ann by Query", "a trace of the shop's own");
    assert_eq!(stage.who(0, "oatmilk"), "nobody");
    let _bob = stage.announce(2, Words::Known("oat milk"), "bob");
    assert_eq!(stage.who(0, "oat milk"), "two");
    assert_eq!(
        (stage.who(1, ""), stage.who(2, "")),
        ("ann by Trace".into(), "bob by Trace".into())
    );
}

#[test]
fn somebody_who_is_not_named_makes_words_ambiguous_too() {
    let stage = Stage::new(10);
    let _nobody = stage.announce(1, Words::Known("kale"), "");
    assert_eq!(stage.who(0, "kale"), "anonymous by Query");
    let _ann = stage.announce(2, Words::Known("kale"), "ann");
    assert_eq!(stage.who(0, "kale"), "two");
}

#[test]
fn a_search_that_ended_holds_its_words_for_the_window_and_no_longer() {
    let stage = Stage::new(10);
    drop(stage.announce(1, Words::Known("kale"), "ann"));
    let bob = stage.announce(2, Words::Known("kale"), "bob");
    stage.pass(WINDOW_US - 1);
    assert_eq!(stage.who(0, "kale"), "two");
    assert_eq!(stage.who(1, ""), "ann by Trace");
    stage.pass(1);
    assert_eq!(stage.who(0, "kale"), "bob by Query");
    assert_eq!(stage.who(1, ""), "nobody");
    stage.pass(100 * WINDOW_US);
    assert_eq!(stage.who(0, "kale"), "bob by Query", "in flight, however long");
    drop(bob);
    stage.pass(WINDOW_US);
    assert_eq!(stage.who(0, "kale"), "nobody");
}

#[test]
fn a_trace_of_two_shoppers_is_nobodys_and_their_words_do_not_help() {
    let stage = Stage::new(10);
    let _ann = stage.announce(1, Words::Known("kale"), "ann");
    let _bob = stage.announce(1, Words::Known("milk"), "bob");
    assert_eq!(stage.who(1, "kale"), "two");
    assert_eq!(stage.who(0, "kale"), "ann by Query");
}

#[test]
fn one_who_opted_out_is_joined_without_a_name() {
    let stage = Stage::new(10);
    let identity = Identity { opted_out: true, ..shopper("ann") };
    let _ann = stage.announce_as(1, Words::Known("kale"), &identity);
    let Who::One(joined) = stage.joins.who(Some(TraceId(1)), None) else { panic!("nobody") };
    assert_eq!(joined.identity, Identity { opted_out: true, ..Identity::default() });
    let _bob = stage.announce(2, Words::Known("kale"), "bob");
    assert_eq!(stage.who(0, "kale"), "two, opted out");
}

#[test]
fn words_that_could_not_be_read_may_be_any() {
    let stage = Stage::new(10);
    let _ann = stage.announce(1, Words::Known("kale"), "ann");
    let unread = stage.announce(2, Words::Unknown, "bob");
    assert_eq!(stage.who(0, "kale"), "two");
    assert_eq!(
        (stage.who(1, ""), stage.who(2, "")),
        ("ann by Trace".into(), "bob by Trace".into())
    );
    drop(unread);
    stage.pass(WINDOW_US);
    assert_eq!(stage.who(0, "kale"), "ann by Query");
}

#[test]
fn what_finds_no_room_is_never_taken_for_another() {
    let stage = Stage::new(1);
    let ann = stage.announce(1, Words::Known("kale"), "ann");
    let bob = stage.announce(1, Words::Known("kale"), "bob");
    assert_eq!((stage.who(1, ""), stage.who(0, "kale")), ("two".into(), "two".into()));
    drop(bob);
    stage.pass(WINDOW_US - 1);
    assert_eq!(stage.who(0, "kale"), "two");
    stage.pass(1);
    assert_eq!(stage.who(0, "kale"), "ann by Query");
    drop(ann);
    stage.pass(WINDOW_US);
    let _cid = stage.announce(3, Words::Known("kale"), "cid");
    assert_eq!(stage.who(0, "kale"), "cid by Query");
}

#[test]
fn the_front_hears_that_its_list_was_moved_behind_it() {
    let stage = Stage::new(10);
    let (ann, bob) =
        (stage.announce(1, Words::Known("kale"), "ann"), stage.announce(2, Words::None, "bob"));
    let Who::One(joined) = stage.joins.who(None, Some("kale")) else { panic!("nobody") };
    assert!(joined.learned);
    joined.mark_moved();
    assert!(ann.was_moved() && !bob.was_moved());
}

#[test]
fn another_process_search_is_found_by_its_trace_alone() {
    let stage = Stage::new(10);
    let _ann = stage.announce(1, Words::Known("kale"), "ann");
    assert_eq!(stage.who(0, "kale"), "ann by Query");
    stage.joins.hear(&Told { trace: TraceId(7), identity: shopper("bob") });
    assert_eq!(stage.who(7, "kale"), "bob by Trace");
    // Bob's words may be Ann's, and we have not been told them.
    assert_eq!(stage.who(0, "kale"), "two");
    stage.joins.hear(&Told { trace: TraceId(7), identity: shopper("cid") });
    assert_eq!(stage.who(7, "kale"), "two");
    stage.pass(TOLD_US);
    assert_eq!((stage.who(7, ""), stage.who(0, "kale")), ("nobody".into(), "ann by Query".into()));
}

/// One step of a story: who, with which trace and words; `false` = the oldest search ends.
type Step = (bool, u8, u8, u8, u32);

fn step() -> impl Strategy<Value = Step> {
    (prop::bool::weighted(0.7), 0..4_u8, 0..5_u8, 0..4_u8, 0..1_500_000_u32)
}

proptest! {
    #[test]
    fn nobody_is_made_up_or_mistaken_and_nothing_grows(
        steps in prop::collection::vec(step(), 1..80),
        entries_max in 1..40_usize,
    ) {
        holds_for(&steps, entries_max)?;
    }
}

/// One search, as the judge keeps it.
struct Kept {
    user: u8,
    trace: u8,
    words: u8,
    guard: Option<Announced>,
    ended_us: u64,
}

const USERS: [&str; 4] = ["", "ann", "bob", "cid"];

/// Who all have searches that fit, each once.
fn fitting(all: &[Kept], now_us: u64, fits: impl Fn(&Kept) -> bool) -> Vec<u8> {
    let live = all.iter().filter(|one| one.guard.is_some() || now_us < one.ended_us + WINDOW_US);
    let mut users: Vec<u8> = live.filter(|one| fits(one)).map(|one| one.user).collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// Whoever is found is the only one who fits; with room for all, whoever is alone is found.
fn is_right(who: Who, users: &[u8], room: bool) -> Result<(), TestCaseError> {
    match who {
        Who::One(joined) => {
            let only: Vec<_> =
                users.iter().map(|user| shopper(USERS[usize::from(*user)])).collect();
            prop_assert_eq!(only, vec![joined.identity]);
        }
        Who::Nobody | Who::Ambiguous { .. } => prop_assert!(!room || users.len() != 1),
    }
    Ok(())
}

/// The judge keeps every search with its times and looks at all of them.
fn holds_for(steps: &[Step], entries_max: usize) -> Result<(), TestCaseError> {
    let stage = Stage::new(entries_max);
    let mut all: Vec<Kept> = Vec::new();
    for (begins, user, trace, words, pause_us) in steps.iter().copied() {
        stage.pass(u64::from(pause_us));
        let now_us = stage.clock.monotonic_us();
        if begins {
            let text = words.to_string();
            let user_name = USERS[usize::from(user)];
            let guard = stage.announce(u128::from(trace), Words::Known(&text), user_name);
            all.push(Kept { user, trace, words, guard: Some(guard), ended_us: u64::MAX });
        } else if let Some(oldest) = all.iter_mut().find(|one| one.guard.is_some()) {
            oldest.guard = None;
            oldest.ended_us = now_us;
        }
        prop_assert!(stage.joins.entries() <= entries_max);
        let room = all.len() <= entries_max;
        for key in 0..5_u8 {
            if key > 0 {
                let trace = Some(TraceId(u128::from(key)));
                let users = fitting(&all, now_us, |one| one.trace == key);
                is_right(stage.joins.who(trace, None), &users, room)?;
            }
            let users = fitting(&all, now_us, |one| one.words == key);
            is_right(stage.joins.who(None, Some(&key.to_string())), &users, room)?;
        }
    }
    drop(all);
    stage.pass(WINDOW_US);
    drop(stage.announce(7, Words::Known("last"), "ann"));
    stage.pass(WINDOW_US);
    drop(stage.announce(8, Words::Known("very last"), "ann"));
    prop_assert!(stage.joins.entries() <= 2);
    Ok(())
}
