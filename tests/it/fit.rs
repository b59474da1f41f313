//! `leafrank fit rules` as it is typed: a diff to review, a file edited elsewhere, a run that is
//! stopped and goes on, and what cannot be fitted.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Rules in which taste whispers: too little for what is in the log.
const RULES: &str = "\
# what this shop wants
facets: {category: 0.1, brand: 0.01, attribute: 0.2}
ranking:
  weights:
    facets: 1.0   # as it was
";

/// Twenty shoppers, each true to a brand; every third search is chosen by chance.
fn log(folder: &Path, ranked: fn(u64) -> bool) {
    let product = |number: u64| {
        let (brand, label) = (number % 5, number / 5 % 4);
        format!(
            r#"{{"id":"m{number}","category":"dairy","subcategory":"milk","brand":"b{brand}","attributes":["l{label}"]}}"#
        )
    };
    let catalog: Vec<String> = (0..200).map(product).collect();
    std::fs::write(folder.join("shop.catalog.jsonl"), catalog.join("\n")).unwrap();
    let mut text = String::new();
    for turn in 0..24_u64 {
        for shopper in 0..20_u64 {
            let at = 1_700_000_000 + turn * 86_400 + shopper * 900;
            let hit =
                |place: u64| (shopper * 37 + turn * 91 + place * 23 + place * place * 7) % 200;
            let mut hits: Vec<u64> = (0..14).map(hit).collect();
            hits.sort_unstable();
            hits.dedup();
            let turned = (turn as usize * 5 + shopper as usize * 3) % hits.len();
            hits.rotate_left(turned);
            let loved = hits.iter().rfind(|hit| **hit % 5 == shopper % 5);
            let by_chance = hits[(turn * 7 + shopper * 11) as usize % hits.len()];
            let chosen = match (turn + shopper) % 3 {
                0 => by_chance,
                _ => loved.copied().unwrap_or(by_chance),
            };
            let list: Vec<String> = hits.iter().map(|hit| format!("\"m{hit}\"")).collect();
            let (list, ranked) = (list.join(","), ranked(turn));
            writeln!(
                text,
                r#"{{"t":{at},"k":"search","user":"u{shopper}","query":"milk","list":[{list}],"truth":["m{chosen}"],"ranked":{ranked}}}"#
            )
            .unwrap();
            writeln!(
                text,
                r#"{{"t":{},"k":"event","user":"u{shopper}","type":"purchase","product":"m{chosen}"}}"#,
                at + 60
            )
            .unwrap();
        }
    }
    std::fs::write(folder.join("shop.log.jsonl"), text).unwrap();
    std::fs::write(folder.join("rules.yaml"), RULES).unwrap();
}

fn fit(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    command.args(["fit", "rules", "shop.log.jsonl", "--rules", "rules.yaml"]);
    command.args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(mut command: Command) -> Output {
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    format!("{}{error}", String::from_utf8_lossy(&output.stdout))
}

/// Waits until the checkpoint has so many lines.
fn until_measured(folder: &Path, lines: usize) {
    let end = Instant::now() + Duration::from_secs(120);
    while Instant::now() < end {
        let text = std::fs::read_to_string(folder.join("kept.jsonl")).unwrap_or_default();
        if text.lines().count() >= lines {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the checkpoint does not grow");
}

#[test]
fn a_diff_is_proposed_with_its_gains_and_the_given_rules_stay() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), |_| false);
    let only = ["--only", "facets.brand", "facets.price_tier"];
    let told = ended(fit(folder.path(), &[&only[..], &["--out", "edited.yaml"]].concat()));
    let said = text(&told);
    assert!(told.status.success(), "{said}");
    assert!(said.contains("rules.yaml:2  facets.brand: 0.01 → "), "{said}");
    assert!(
        said.contains("-facets: {category: 0.1, brand: 0.01, attribute: 0.2}\n+facets:"),
        "{said}"
    );
    assert!(said.contains("facets.price_tier"), "what was tried in vain is told: {said}");
    assert_eq!(std::fs::read_to_string(folder.path().join("rules.yaml")).unwrap(), RULES);
    let edited = std::fs::read_to_string(folder.path().join("edited.yaml")).unwrap();
    assert!(edited.contains("    facets: 1.0   # as it was\n") && edited != RULES, "{edited}");

    let told = ended(fit(folder.path(), &[&only[..], &["--json"]].concat()));
    let json: Value = serde_json::from_slice(&told.stdout).unwrap();
    let change = &json["changes"][0];
    assert_eq!((&change["key"], &change["line"]), (&"facets.brand".into(), &2.into()));
    assert!(change["gain"]["low"].as_f64().unwrap() > 0.0, "{json:#}");
    assert!(json["proposed"][0]["to"].as_f64().unwrap() > 0.02, "{json:#}");
    assert_eq!((&json["left_out"], &json["whole"]), (&0.into(), &true.into()));
    assert_eq!(json["files"].as_array().unwrap().len(), 2);
}

#[test]
fn a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), |_| false);
    let only = ["--only", "facets", "half_life.brand_days"];
    let whole = ended(fit(folder.path(), &only));
    assert!(whole.status.success(), "{}", text(&whole));

    let resumed = [&only[..], &["--resume", "kept.jsonl"]].concat();
    let mut killed = fit(folder.path(), &resumed).spawn().unwrap();
    until_measured(folder.path(), 4);
    killed.kill().unwrap();
    let killed = killed.wait_with_output().unwrap();
    assert!(killed.stdout.is_empty() && !killed.status.success(), "it was killed on its way");
    // as if the last line had been cut short
    let kept = folder.path().join("kept.jsonl");
    let measured = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, &measured[..measured.len() - 7]).unwrap();
    let rest = ended(fit(folder.path(), &resumed));
    assert_eq!(text(&rest), text(&whole));
    let again = ended(fit(folder.path(), &resumed));
    assert_eq!(text(&again), text(&whole), "nothing is left to measure");

    let other = ended(fit(folder.path(), &[&resumed[..], &["--folds", "4"]].concat()));
    assert_eq!(other.status.code(), Some(65), "{}", text(&other));
    assert!(text(&other).contains("kept.jsonl:1"), "{}", text(&other));
}

#[test]
fn an_interrupt_or_the_end_of_the_time_tells_what_was_found_so_far() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), |_| false);
    let running = fit(folder.path(), &["--resume", "kept.jsonl"]).spawn().unwrap();
    until_measured(folder.path(), 4);
    let pid = running.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let told = running.wait_with_output().unwrap();
    assert_eq!(told.status.code(), Some(130), "{}", text(&told));
    assert!(text(&told).contains("ended early"), "{}", text(&told));
    let told = ended(fit(folder.path(), &["--minutes", "0.05", "--json"]));
    assert!(told.status.success() || text(&told).contains("more time"), "{}", text(&told));
}

#[test]
fn what_cannot_be_fitted_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), |turn| turn % 4 != 0);
    let code = |arguments: &[&str]| {
        let told = ended(fit(folder.path(), arguments));
        (told.status.code().unwrap(), text(&told))
    };
    let (few, said) = code(&[]);
    assert_eq!(few, 65, "{said}");
    assert!(
        said.contains("120 scored lists") && said.contains("360 more went out in our order"),
        "{said}"
    );
    let (unknown, said) = code(&["--only", "facets.brnd"]);
    assert_eq!(unknown, 64, "{said}");
    assert!(said.contains("did you mean \"facets.brand\"?"), "{said}");
    let (same, said) = code(&["--out", "rules.yaml"]);
    assert_eq!(same, 64, "{said}");
    assert_eq!(std::fs::read_to_string(folder.path().join("rules.yaml")).unwrap(), RULES);
}

#[test]
fn of_a_log_that_we_ranked_only_the_holdout_is_fitted_on() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path(), |turn| turn % 2 == 0);
    let told = ended(fit(folder.path(), &["--only", "facets.brand", "--json"]));
    let json: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
    assert_eq!((&json["lists"], &json["left_out"]), (&240.into(), &240.into()), "{}", text(&told));
}
