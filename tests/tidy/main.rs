//! The project's own rules, held: floors, purity, sizes, heads, names, and documents that say what
//! the code says. Reads the sources as text and links nothing, so that it is the fastest test here.
//!
//! Code under `#[cfg(test)]` keeps the sizes and the head, and is free of the rest.

mod documents;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::{blanked, imports, item_end, line_of, places, read, sources};

/// Top module → floor. A module imports only modules of lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("cli", 8),
    ("app", 7),
    ("admin", 6),
    ("api", 6),
    ("cases", 6),
    ("demo", 6),
    ("fit", 6),
    ("proxy", 6),
    ("serve", 6),
    ("border", 5),
    ("observe", 5),
    ("personalize", 5),
    ("replay", 5),
    ("rank", 4),
    ("reload", 4),
    ("signals", 4),
    ("sink", 4),
    ("store", 4),
    ("client", 3),
    ("identity", 3),
    ("preferences", 3),
    ("route", 3),
    ("spool", 3),
    ("trust", 3),
    ("config", 2),
    ("rules", 2),
    ("model", 1),
    ("openapi", 1),
    ("shutdown", 1),
    ("telemetry", 1),
    ("wire", 1),
    ("yaml", 1),
    ("types", 0),
];

/// Modules without sockets, files, async, clock or chance.
const PURE: &[&str] = &[
    "cases",
    "config",
    "fit",
    "identity",
    "model",
    "preferences",
    "rank",
    "replay",
    "route",
    "rules",
    "signals",
    "trust",
    "types",
    "wire",
    "yaml",
];

/// What code of the pure wing must not name. Addresses are values: `std::net::SocketAddr` may stay.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::process",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "ToSocketAddrs",
    "SystemTime",
    "Instant",
    "rand",
    "RandomState",
    "async",
    "await",
    "sleep",
];

/// The one file that reads the time (`tokio::time` deadlines count from what they are given).
const CLOCK: &str = "src/types/clock.rs";

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const HEAD_LINES: std::ops::RangeInclusive<usize> = 3..=15;

/// Never in code; `concat!` keeps this file out of its own net.
const UNFINISHED: &[&str] = &[
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("dbg", "!"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common", "misc"];

/// Fails with the rule and every breach of it.
fn none(problems: Vec<String>, rule: &str) {
    assert!(problems.is_empty(), "{rule}\n  {}\n", problems.join("\n  "));
}

#[test]
fn a_module_imports_only_floors_below_its_own() {
    let floors: BTreeMap<_, _> = FLOORS.iter().copied().collect();
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| source.ships()) {
        let Some(own) = source.module() else { continue };
        let Some(floor) = floors.get(own) else {
            problems.push(format!("{}: {own} stands on no floor", source.path));
            continue;
        };
        for (line, name) in imports(source) {
            let below = floors.get(name.as_str()).is_none_or(|other| other < floor);
            if name != own && !below {
                problems.push(format!("{}:{line}: {own} imports {name}", source.path));
            }
        }
    }
    none(problems, "a module imports only modules of lower floors");
}

#[test]
fn the_floors_are_the_same_in_lib_rs_in_the_heads_and_in_the_architecture() {
    let (library, architecture) = (blanked(&read("src/lib.rs")), read("ARCHITECTURE.md"));
    let declared: BTreeSet<_> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let known: BTreeSet<_> = FLOORS.iter().map(|(module, _)| *module).collect();
    assert_eq!(declared, known, "src/lib.rs and the floors");
    let mut problems = Vec::new();
    for (module, floor) in FLOORS {
        let head = read(&format!("src/{module}.rs"));
        let says = head.lines().next().is_some_and(|l| l.contains(&format!("Floor {floor}")));
        if !says {
            problems.push(format!("src/{module}.rs: its first line does not say Floor {floor}"));
        }
        let row = format!("| {floor} |");
        let cell = format!("`{module}`");
        if !architecture.lines().any(|line| line.starts_with(&row) && line.contains(&cell)) {
            problems.push(format!("ARCHITECTURE.md: the row of floor {floor} lacks {cell}"));
        }
    }
    none(problems, "one table of floors, told alike");
}

#[test]
fn the_pure_wing_touches_no_world() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| source.ships() && source.path != CLOCK) {
        if !source.module().is_some_and(|module| PURE.contains(&module)) {
            continue;
        }
        for word in IMPURE {
            let lines = places(&source.shipped, word).map(|at| line_of(&source.shipped, at));
            problems.extend(lines.map(|line| format!("{}:{line}: {word}", source.path)));
        }
    }
    none(problems, "no sockets, files, async, clock or chance in the pure wing");
}

#[test]
fn only_one_file_reads_the_time() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| source.ships() && source.path != CLOCK) {
        let code = &source.shipped;
        // tokio's own Instant is a deadline for its timers, not a time of day or of an event.
        let is_tokios = code.contains("tokio::time::Instant") || code.contains("tokio::time::{");
        for word in ["SystemTime", "Timestamp::now", "Zoned::now", "Instant"] {
            let places = places(code, word).filter(|_| word != "Instant" || !is_tokios);
            let lines = places.map(|at| line_of(code, at));
            problems.extend(lines.map(|line| format!("{}:{line}: {word}", source.path)));
        }
    }
    none(problems, "only src/types/clock.rs reads the time");
}

#[test]
fn files_and_functions_fit_on_a_screen_or_a_few() {
    let mut problems = Vec::new();
    for source in &sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines", source.path));
        }
        for at in places(&source.code, "fn") {
            let body = &source.code[at..at + item_end(&source.code[at..])];
            let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
            let is_item = body[2..].trim_start().starts_with(|c: char| c.is_alphabetic());
            if is_item && lines > FUNCTION_LINES_MAX {
                let line = line_of(&source.code, at);
                problems.push(format!("{}:{line}: a function of {lines} lines", source.path));
            }
        }
    }
    none(problems, "files of at most 500 lines, functions of at most 70");
}

#[test]
fn every_file_says_at_its_head_what_it_is() {
    let mut problems = Vec::new();
    for source in &sources() {
        let head = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        let short = source.is_test || source.path == "src/main.rs";
        let fits = if short { (1..=15).contains(&head) } else { HEAD_LINES.contains(&head) };
        if !fits {
            problems.push(format!("{}: a head of {head} lines", source.path));
        }
    }
    none(problems, "a `//!` head of 3 to 15 lines; tests and main.rs may do with one");
}

#[test]
fn names_say_something_and_nothing_is_left_unfinished() {
    let mut problems = Vec::new();
    for source in &sources() {
        let stem = Path::new(&source.path).file_stem().and_then(|s| s.to_str()).unwrap_or("");
        if EMPTY_NAMES.contains(&stem) || (stem == "mod") {
            problems.push(format!("{}: a name that says nothing", source.path));
        }
        for word in UNFINISHED {
            let text = if word.ends_with('!') { &source.code } else { &source.text };
            let lines = places(text, word).map(|at| line_of(text, at));
            problems.extend(lines.map(|line| format!("{}:{line}: {word}", source.path)));
        }
    }
    none(problems, "foo.rs beside foo/, names that say what is in it, nothing left to do");
}
