//! Several pointers followed at once, in one pass over the text.
//!
//! In: pointers, each with marks (bits whose meaning the caller knows), and a cursor. Out: calls of
//! a [`Visit`] for every value that a pointer leads to. Keys that no pointer names are skipped,
//! but checked. A key that a pointer passes through and that is there twice is reported; below a
//! `*` every key counts. At most 64 names may branch off in one place; the callers' bounds are far
//! below. Recursion is as deep as the longest pointer, and never deeper than the cursor allows.

use std::borrow::Cow;

use super::doubt::Doubt;
use super::json::Json;
use super::pointer::Pointer;
use super::scan::{Quoted, Scan};
use super::text::unescape;
use super::token;

/// A place that pointers pass through or lead to.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    marks: u64,
    children: Vec<Child>,
    any: Option<Box<Node>>,
    /// Which children a key may be, by [`slot`].
    slots: [u64; SLOTS],
}

#[derive(Clone, Debug)]
struct Child {
    name: Box<str>,
    index: Option<usize>,
    node: Node,
}

const SLOTS: usize = 32;

/// How the object passed last was written, as a guess at the next one: the hits of a list are alike.
/// What stands between two values (a comma, a key, a colon) and is there byte for byte again was
/// checked and looked up before.
#[derive(Debug, Default)]
pub(super) struct Shape<'n, 'a> {
    members: Vec<Member<'n, 'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Member<'n, 'a> {
    /// From the end of the value before, or from the opening brace, to the value.
    lead: &'a str,
    key: Quoted<'a>,
    /// Where the key leads, with a bit that tells it from its siblings.
    below: Option<(u64, &'n Node)>,
}

/// Keys guessed at in one object.
const GUESSES_MAX: usize = 64;

/// What is told about the values on the way.
pub(super) trait Visit<'a> {
    /// An array or object that is marked starts at the cursor, and no pointer goes on below it if
    /// it is a leaf; true when the visitor has passed it itself.
    fn enter(&mut self, _marks: u64, _leaf: bool, _scan: &mut Scan<'a>) -> Result<bool, Doubt> {
        Ok(false)
    }

    /// A marked value was passed.
    fn take(&mut self, marks: u64, value: Json<'a>);

    /// The same for the commonest values; false when it is left to [`Visit::take`].
    fn word(&mut self, _marks: u64, _value: Json<'a>) -> bool {
        false
    }

    /// A marked leaf of an object that is guessed at was passed, mapped keys so far being `seen`; what
    /// follows the object, where its rest is known from before.
    #[inline(always)]
    fn known(&mut self, _marks: u64, _seen: u64, _scan: &Scan<'a>) -> Option<&'a [u8]> {
        None
    }

    /// The place that is told to [`Visit::known`].
    fn pivot(&self) -> u64 {
        0
    }

    /// A key that matters is there twice.
    fn twice(&mut self) -> Result<(), Doubt> {
        Err(Doubt::DuplicateKey)
    }

    /// A pointer goes down through this key or index …
    fn down(&mut self, _step: Step<'a>) {}

    /// … and up again.
    fn up(&mut self) {}
}

/// One step of a concrete path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Key(Quoted<'a>),
    Index(usize),
}

impl Node {
    /// The trie of one pointer.
    pub(super) fn of(pointer: &Pointer, marks: u64) -> Self {
        let mut node = Self::default();
        node.add(&pointer.0, marks);
        node
    }

    /// Adds a pointer. Whatever `*` leads to is also reached through every name beside it, so that
    /// each key has one way to go.
    pub(super) fn add(&mut self, path: &[String], marks: u64) {
        let Some((segment, rest)) = path.split_first() else {
            self.marks |= marks;
            return;
        };
        if segment == Pointer::ANY {
            self.any.get_or_insert_default().add(rest, marks);
            for child in &mut self.children {
                child.node.add(rest, marks);
            }
            return;
        }
        if let Some(child) = self.children.iter_mut().find(|child| *child.name == **segment) {
            child.node.add(rest, marks);
            return;
        }
        let mut node = self.any.as_deref().cloned().unwrap_or_default();
        node.add(rest, marks);
        self.slots[slot(segment)] |= bit(self.children.len());
        let index = index(segment);
        self.children.push(Child { name: segment.as_str().into(), index, node });
    }

    fn branches(&self) -> bool {
        !self.children.is_empty() || self.any.is_some()
    }

    /// Is a value that starts with `byte` marked here, and neither entered nor gone through?
    #[inline(always)]
    fn is_plain_leaf(&self, byte: u8) -> bool {
        self.marks != 0 && byte != b'[' && byte != b'{'
    }

    /// The place below `key`, with a bit that tells it from its siblings (0 for `*`).
    #[inline(always)]
    fn below_key(&self, key: Quoted<'_>) -> Option<(u64, &Self)> {
        if key.escaped { self.below_escaped(key) } else { self.below_text(key.text) }
    }

    #[cold]
    fn below_escaped(&self, key: Quoted<'_>) -> Option<(u64, &Self)> {
        match unescape(key.text) {
            Ok(text) => self.below_text(&text),
            Err(_) => self.below_any(),
        }
    }

    #[inline(always)]
    fn below_text(&self, key: &str) -> Option<(u64, &Self)> {
        let mut left = self.slots[slot(key)];
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            match self.children.get(at) {
                Some(child) if *child.name == *key => return Some((bit(at), &child.node)),
                _ => left &= left - 1,
            }
        }
        self.below_any()
    }

    #[inline(always)]
    fn below_any(&self) -> Option<(u64, &Self)> {
        self.any.as_deref().map(|node| (0, node))
    }

    fn below_index(&self, index: usize) -> Option<&Self> {
        let child = self.children.iter().find(|child| child.index == Some(index));
        child.map(|child| &child.node).or(self.any.as_deref())
    }
}

/// A cheap hash of a key: most keys that nobody asked for end here.
#[inline(always)]
fn slot(key: &str) -> usize {
    let (first, last) = match key.as_bytes() {
        [] => (0, 0),
        [only] => (*only, *only),
        [first, .., last] => (*first, *last),
    };
    (key.len() + 7 * usize::from(first) + 31 * usize::from(last)) % SLOTS
}

#[inline(always)]
fn bit(at: usize) -> u64 {
    u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or(0)
}

/// A segment as array index: digits without leading zeros (RFC 6901 §4).
fn index(segment: &str) -> Option<usize> {
    let plain = segment == "0" || !segment.starts_with(['0', '+']);
    if plain { segment.parse().ok() } else { None }
}

/// Passes the value at the cursor and tells `visit` what the pointers of `node` lead to.
pub(super) fn walk<'a>(
    scan: &mut Scan<'a>,
    node: &Node,
    visit: &mut impl Visit<'a>,
) -> Result<(), Doubt> {
    let start = scan.at();
    if node.marks == 0 || !visit.enter(node.marks, !node.branches(), scan)? {
        match scan.peek() {
            b'{' if node.branches() => object(scan, node, visit)?,
            b'[' if node.branches() => array(scan, node, visit)?,
            _ => scan.skip()?,
        }
    }
    if node.marks != 0 {
        visit.take(node.marks, Json::passed(scan, start)?);
    }
    Ok(())
}

/// Passes an object at the cursor, guessing that it is written like the one before; any other value
/// as [`walk`] does.
pub(super) fn walk_alike<'n, 'a>(
    scan: &mut Scan<'a>,
    node: &'n Node,
    visit: &mut impl Visit<'a>,
    shape: &mut Shape<'n, 'a>,
) -> Result<(), Doubt> {
    if node.marks != 0 || scan.peek() != b'{' || !node.branches() || node.any.is_some() {
        return walk(scan, node, visit);
    }
    let mut seen = 0;
    let Some(mut index) = guessed(scan, &shape.members, &mut seen, visit)? else { return Ok(()) };
    if index > 0 && scan.closes(b'}') {
        return Ok(());
    }
    while let Some(member) = member(scan, node, index == 0)? {
        match shape.members.get_mut(index) {
            Some(known) => *known = member,
            None if index < GUESSES_MAX => shape.members.push(member),
            None => {}
        }
        index += 1;
        value(scan, &member, &mut seen, visit)?;
        if let Some((_, below)) = member.below
            && let Some(behind) = visit.known(below.marks, seen, scan)
        {
            scan.go_on(behind);
            scan.rise();
            return Ok(());
        }
    }
    Ok(())
}

/// Passes the leading members that are written as in `known`; answers how many these are, or `None`
/// when the rest of the object was known too.
fn guessed<'a>(
    scan: &mut Scan<'a>,
    known: &[Member<'_, 'a>],
    seen: &mut u64,
    visit: &mut impl Visit<'a>,
) -> Result<Option<usize>, Doubt> {
    let pivot = visit.pivot();
    let mut rest = scan.rest();
    for (index, member) in known.iter().enumerate() {
        let Some(behind) = token::behind(rest, member.lead.as_bytes()) else {
            scan.go_on(rest);
            return Ok(Some(index));
        };
        rest = behind;
        if index == 0 {
            scan.deepen()?;
        }
        let Some((behind, plain)) = token::leaf(rest) else {
            // an array, an object, or something odd
            scan.go_on(rest);
            scan.settle();
            value(scan, member, seen, visit)?;
            rest = scan.rest();
            continue;
        };
        if let Some((bit, below)) = member.below
            && below.marks != 0
        {
            if *seen & bit != 0 {
                visit.twice()?;
            }
            *seen |= bit;
            let value = Json::leaf(scan, rest, behind, plain)?;
            if !visit.word(below.marks, value) {
                visit.take(below.marks, value);
            }
            if below.marks & pivot != 0 {
                scan.go_on(behind);
                if let Some(behind) = visit.known(below.marks, *seen, scan) {
                    scan.go_on(behind);
                    scan.rise();
                    return Ok(None);
                }
            }
        }
        rest = behind;
    }
    scan.go_on(rest);
    Ok(Some(known.len()))
}

/// Passes the opening brace or the comma, the key and the colon of a member; `None` at the end.
fn member<'n, 'a>(
    scan: &mut Scan<'a>,
    node: &'n Node,
    is_first: bool,
) -> Result<Option<Member<'n, 'a>>, Doubt> {
    let start = scan.at();
    if !if is_first { scan.open(b'}')? } else { scan.more(b'}')? } {
        return Ok(None);
    }
    let key = scan.key()?;
    Ok(Some(Member { lead: scan.since(start)?, key, below: node.below_key(key) }))
}

/// Passes a member's value.
fn value<'a>(
    scan: &mut Scan<'a>,
    member: &Member<'_, 'a>,
    seen: &mut u64,
    visit: &mut impl Visit<'a>,
) -> Result<(), Doubt> {
    let Some((bit, below)) = member.below else { return scan.skip() };
    if *seen & bit != 0 {
        visit.twice()?;
    }
    *seen |= bit;
    if below.is_plain_leaf(scan.peek()) {
        let start = scan.at();
        scan.skip()?;
        visit.take(below.marks, Json::passed(scan, start)?);
    } else {
        visit.down(Step::Key(member.key));
        walk(scan, below, visit)?;
        visit.up();
    }
    Ok(())
}

fn object<'a>(scan: &mut Scan<'a>, node: &Node, visit: &mut impl Visit<'a>) -> Result<(), Doubt> {
    let mut seen = 0;
    let mut keys = Vec::new();
    let mut is_first = true;
    while let Some(member) = member(scan, node, is_first)? {
        is_first = false;
        if node.any.is_some() {
            let key = member.key.text;
            keys.push(unescape(key).unwrap_or(Cow::Borrowed(key)));
        }
        value(scan, &member, &mut seen, visit)?;
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair.first() == pair.last()) {
        visit.twice()?;
    }
    Ok(())
}

fn array<'a>(scan: &mut Scan<'a>, node: &Node, visit: &mut impl Visit<'a>) -> Result<(), Doubt> {
    let mut index = 0;
    let mut more = scan.open(b']')?;
    while more {
        match node.below_index(index) {
            Some(below) => {
                visit.down(Step::Index(index));
                walk(scan, below, visit)?;
                visit.up();
            }
            None => scan.skip()?,
        }
        index += 1;
        more = scan.more(b']')?;
    }
    Ok(())
}
