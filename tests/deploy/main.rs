//! What is under deploy/ fits what the sidecar says of itself: dashboard and alerts name only metrics,
//! labels and reasons that docs/METRICS.md lists, each alert has its test and its runbook, and the
//! real promtool takes all of it. Reads files and links nothing of ours.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const ALERTS_TEST: &str = "deploy/prometheus/alerts_test.yaml";
const DASHBOARD: &str = "deploy/grafana/leafrank.json";

/// Labels that a scrape adds, or that Prometheus itself writes.
const SCRAPE_LABELS: &[&str] = &["job", "instance", "namespace", "le"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn none(problems: Vec<String>, rule: &str) {
    assert!(problems.is_empty(), "{rule}\n  {}\n", problems.join("\n  "));
}

/// Every rule of the alerts file.
fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read(ALERTS)).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

/// Every expression of the dashboard, with Grafana's variables filled in.
fn dashboard_expressions() -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                into.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|inner| collect(inner, into));
            }
            Value::Array(elements) => elements.iter().for_each(|inner| collect(inner, into)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(&read(DASHBOARD)).unwrap(), &mut found);
    assert!(found.len() > 30, "{} expressions", found.len());
    let fill = |expr: String| {
        let expr = expr.replace("$__rate_interval", "5m").replace("$__range", "1h");
        ["$job", "$instance", "$route"].iter().fold(expr, |expr, name| expr.replace(name, ".*"))
    };
    found.into_iter().map(fill).collect()
}

/// Metric → its labels, as docs/METRICS.md lists them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut metrics = BTreeMap::new();
    for line in read("docs/METRICS.md").lines() {
        let Some(rest) = line.strip_prefix("| `leafrank_") else { continue };
        let mut cells = rest.split('|');
        let name = cells.next().unwrap().trim().trim_end_matches('`');
        let labels = cells.next().unwrap_or("").split('`').skip(1).step_by(2);
        let labels = labels.map(str::to_owned).collect();
        metrics.entry(format!("leafrank_{name}")).or_insert(labels);
    }
    metrics
}

/// (metric, what is between its braces) for each of our metrics in an expression.
fn selectors(expr: &str) -> Vec<(String, String)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let starts = expr.match_indices("leafrank").map(|(at, _)| at);
    let whole = starts.filter(|at| !expr[..*at].ends_with(is_name));
    let one = |at: usize| {
        let name: String = expr[at..].chars().take_while(|c| is_name(*c)).collect();
        let rest = &expr[at + name.len()..];
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        (base.unwrap_or(&name).to_owned(), inside.map_or("", |(inside, _)| inside).to_owned())
    };
    whole.map(one).collect()
}

#[test]
fn every_expression_names_only_metrics_and_labels_that_are_documented() {
    let documented = documented();
    let rules = rules();
    let recorded: BTreeSet<_> = rules.iter().filter_map(|rule| rule["record"].as_str()).collect();
    let of_rules = rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned());
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for expr in of_rules.chain(dashboard_expressions()) {
        for (metric, inside) in selectors(&expr) {
            if recorded.contains(metric.as_str()) {
                continue;
            }
            let Some(labels) = documented.get(&metric) else {
                problems.push(format!("{metric} in {expr}"));
                continue;
            };
            for part in inside.split(", ").filter(|part| !part.is_empty()) {
                let label = part.split(['=', '!']).next().unwrap_or("").trim();
                if !labels.contains(label) && !SCRAPE_LABELS.contains(&label) {
                    problems.push(format!("{metric} has no label {label}: {expr}"));
                }
            }
            named.insert(metric);
        }
    }
    none(problems, "only metrics and labels of docs/METRICS.md");
    let unseen: Vec<_> = documented.keys().filter(|name| !named.contains(*name)).cloned().collect();
    none(unseen, "every metric of docs/METRICS.md is on the dashboard or in an alert");
}

#[test]
fn the_reasons_worth_an_alert_are_the_documented_ones() {
    let document = read("docs/METRICS.md");
    let (_, section) = document.split_once("worth an alert**").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let documented: BTreeSet<_> = rows.map(|(reason, _)| reason.to_owned()).collect();
    let skipped = alerts().into_iter().find(|rule| rule["alert"] == "LeafrankSearchesSkipped");
    let mut expressions = vec![skipped.unwrap()["expr"].as_str().unwrap().to_owned()];
    expressions
        .extend(dashboard_expressions().into_iter().filter(|expr| expr.contains("no_rules|")));
    assert_eq!(expressions.len(), 2, "the alert and the panel");
    for expr in expressions {
        let (_, reasons) = expr.split_once("reason=~\"").unwrap();
        let reasons = reasons.split('"').next().unwrap();
        let named: BTreeSet<_> = reasons.split('|').map(str::to_owned).collect();
        let missing: Vec<_> = documented.difference(&named).cloned().collect();
        none(missing, "in docs/METRICS.md and not in the expression");
        none(named.difference(&documented).cloned().collect(), "in the expression and no reason");
    }
}

#[test]
fn every_alert_says_what_it_is_and_has_a_runbook_and_a_test() {
    let operations = read("docs/OPERATIONS.md");
    let headings: BTreeSet<_> =
        operations.lines().filter_map(|line| line.strip_prefix("### Leafrank")).collect();
    let tests = read(ALERTS_TEST);
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap().to_owned();
        let severity = alert["labels"]["severity"].as_str().unwrap_or("none");
        if !["critical", "warning", "info"].contains(&severity) {
            problems.push(format!("{name}: severity {severity}"));
        }
        for key in ["summary", "description"] {
            if !alert["annotations"][key].is_string() {
                problems.push(format!("{name}: no {key}"));
            }
        }
        let anchor = format!("docs/OPERATIONS.md#{}", name.to_lowercase());
        if alert["annotations"]["runbook_url"] != anchor.as_str() {
            problems.push(format!("{name}: its runbook_url is not {anchor}"));
        }
        let short = name.strip_prefix("Leafrank").unwrap_or(&name).to_owned();
        if !headings.contains(short.as_str()) {
            problems.push(format!("docs/OPERATIONS.md has no heading \"### {name}\""));
        }
        if !tests.contains(&format!("alertname=\"{name}\"")) {
            problems.push(format!("{name} fires in no test of {ALERTS_TEST}"));
        }
        names.insert(short);
    }
    let stray = headings.iter().filter(|heading| !names.contains(**heading));
    problems.extend(stray.map(|heading| format!("### Leafrank{heading} is no alert")));
    none(problems, "severity, summary, description, runbook and test for every alert");
}

#[test]
fn the_shipped_settings_are_the_thresholds_of_the_alerts() {
    let settings = read("config/leafrank.yaml");
    let expr = |name: &str| {
        let alert = alerts().into_iter().find(|rule| rule["alert"] == name).unwrap();
        alert["expr"].as_str().unwrap().to_owned()
    };
    assert!(settings.contains("\n  rank_us: 5000\n"));
    assert!(expr("LeafrankRankingSlow").contains("> 0.005"));
    for (key, alert) in [
        ("memory_soft_percent", "LeafrankMemoryAboveSoftMark"),
        ("memory_hard_percent", "LeafrankMemoryAboveHardMark"),
    ] {
        let value = settings.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}: ")));
        // A key that is not there yet has no value to differ from.
        let Some(percent) = value else { continue };
        let share = percent.trim().parse::<f64>().unwrap() / 100.0;
        assert!(expr(alert).contains(&format!("> {share}")), "{alert} and limits.{key}");
    }
}

#[test]
fn every_limit_of_the_settings_has_its_row_in_the_operations_page() {
    let settings: Value = serde_saphyr::from_str(&read("config/leafrank.yaml")).unwrap();
    let operations = read("docs/OPERATIONS.md");
    let mut problems = Vec::new();
    for section in ["limits", "faults"] {
        let keys = settings[section].as_object().into_iter().flat_map(|section| section.keys());
        let rows = keys.map(|key| format!("`{section}.{key}`"));
        problems.extend(rows.filter(|row| !operations.contains(&format!("| {row}"))));
    }
    assert!(settings["limits"]["hold_ms"].is_number());
    none(problems, "docs/OPERATIONS.md says of every limit what happens at it");
}

/// Runs promtool; false, with the reason printed, where there is none.
fn promtool(arguments: &[&str], directory: &Path) -> bool {
    let output = match Command::new("promtool").args(arguments).current_dir(directory).output() {
        Ok(output) => output,
        Err(error) => {
            let hint = "it is in Debian's package prometheus";
            // Past the test runner's capture: a skipped test must be seen where it passes.
            let _ = writeln!(std::io::stderr(), "skipped: promtool: {error}; {hint}");
            return false;
        }
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    true
}

#[test]
fn promtool_takes_the_alerts_and_their_tests_pass() {
    let directory = root().join("deploy/prometheus");
    let _ = promtool(&["check", "rules", "alerts.yaml"], &directory)
        && promtool(&["test", "rules", "alerts_test.yaml"], &directory);
}

#[test]
fn promtool_takes_every_expression_of_the_dashboard() {
    let wrapped: Vec<_> = dashboard_expressions()
        .into_iter()
        .enumerate()
        .map(
            |(number, expr)| serde_json::json!({"record": format!("panel:{number}"), "expr": expr}),
        )
        .collect();
    let file = serde_json::json!({"groups": [{"name": "dashboard", "rules": wrapped}]});
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("dashboard.yaml"), file.to_string()).unwrap();
    promtool(&["check", "rules", "dashboard.yaml"], directory.path());
}

#[test]
fn panels_do_not_overlap_and_each_says_what_it_shows() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let described = panel["description"].as_str().is_some_and(|text| !text.is_empty());
        assert!(panel["type"] == "row" || described, "{title} has no description");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} leaves the grid");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{title} overlaps another panel");
            }
        }
    }
}
