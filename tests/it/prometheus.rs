//! The real Prometheus, with the rules under deploy/, scrapes the real sidecar on loopback.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::personal::{MILKS, PATIENT, metric_becomes, ranking, search, teach};
use crate::harness::sidecar::free_ports;
use crate::harness::{Answer, Shop, Sidecar, client, fixtures, get};

/// A running Prometheus, ended with the story.
struct Prometheus {
    address: SocketAddr,
    child: Child,
    directory: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log"));
            eprintln!("--- prometheus' log ---\n{}", log.unwrap_or_default());
        }
    }
}

impl Prometheus {
    /// Scrapes `ops` every second by the shipped rules; `None`, with the reason printed, where there
    /// is no Prometheus.
    fn scraping(ops: SocketAddr) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let [address] = free_ports();
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/alerts.yaml");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\n\
             scrape_configs:\n  - job_name: leafrank\n    static_configs: [{{targets: [\"{ops}\"]}}]\n"
        );
        let file = directory.path().join("prometheus.yaml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let started = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        match started {
            Ok(child) => Some(Self { address, child, directory }),
            Err(error) => {
                skipped("prometheus", &error);
                None
            }
        }
    }

    /// The `data` of an answer of its API; `None` while it does not answer.
    async fn ask(&self, path: &str) -> Option<Value> {
        tokio::net::TcpStream::connect(self.address).await.ok()?;
        let reply = get(self.address, path).await;
        if reply.status == 503 {
            return None;
        }
        let answer = reply.json();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        Some(answer["data"].clone())
    }

    /// The series that an expression yields now.
    async fn query(&self, expr: &str) -> Option<Vec<Value>> {
        let escaped: String = expr.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.ask(&format!("/api/v1/query?query={escaped}")).await?;
        Some(data["result"].as_array().unwrap().clone())
    }

    /// Waits until an expression yields one series with this value.
    async fn becomes(&self, expr: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let found = self.query(expr).await;
            if found.as_ref().is_some_and(|all| all.len() == 1 && all[0]["value"][1] == wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{expr} is {found:?}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Past the test runner's capture: a skipped story must be seen where it passes.
fn skipped(program: &str, error: &std::io::Error) {
    let hint = "it is in Debian's package prometheus";
    let _ = writeln!(std::io::stderr(), "skipped: {program}: {error}; {hint}");
}

/// Every expression of the shipped dashboard, for all jobs, instances and routes.
fn dashboard_expressions() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/leafrank.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let fill = |expr: &str| {
        let expr = expr.replace("$__rate_interval", "5s").replace("$__range", "1m");
        ["$job", "$instance", "$route"].iter().fold(expr, |expr, name| expr.replace(name, ".*"))
    };
    targets.map(|target| fill(target["expr"].as_str().unwrap())).collect()
}

/// A sidecar through which two searches went: one passed, one was re-ranked.
async fn used(shop: &Shop) -> Sidecar {
    let sidecar = ranking(shop.address, PATIENT).start().await;
    assert_eq!(search(&sidecar, "u1", &[]).await.outcome(), "bypass; reason=no_evidence");
    teach(&sidecar, "u1", "m5").await;
    assert!(search(&sidecar, "u1", &[]).await.outcome().starts_with("reranked"));
    metric_becomes(&sidecar, "leafrank_reranked_total", 1.0).await;
    sidecar
}

async fn milk_shop() -> Shop {
    Shop::start(|_| Answer::json(&fixtures::leafloaf(&MILKS))).await
}

#[tokio::test]
async fn prometheus_scrapes_us_loads_our_rules_and_answers_every_question_of_the_dashboard() {
    let shop = milk_shop().await;
    let sidecar = used(&shop).await;
    let Some(prometheus) = Prometheus::scraping(sidecar.ops) else { return };
    prometheus.becomes("up{job=\"leafrank\"}", "1").await;
    prometheus.becomes("sum(leafrank_requests_total{status=\"2xx\"})", "2").await;
    prometheus.becomes("leafrank_reranked_total{route=\"leafloaf-search\"}", "1").await;
    prometheus.becomes("leafrank_bypass_total{reason=\"no_evidence\"}", "1").await;
    prometheus.becomes("leafrank_rank_seconds_count > bool 0", "1").await;
    search(&sidecar, "u2", &[]).await;
    prometheus.becomes("sum(leafrank_requests_total)", "3").await;
    prometheus.becomes("sum(leafrank_funnel_total{stage=\"searches\"})", "3").await;
    prometheus.becomes("sum(leafrank_funnel_total{stage=\"changed\"})", "1").await;
    prometheus.becomes("leafrank_rules_info", "1").await;

    let rules = prometheus.ask("/api/v1/rules").await.unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|g| g["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 20, "{} rules", rules.len());
    let failed: Vec<_> = rules.iter().filter(|rule| rule["health"] == "err").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // Not even pending: nothing is wrong with a sidecar that does its work. How fast an unoptimised
    // build ranks is no story.
    let calm = |rule: &&&Value| rule["type"] == "alerting" && rule["name"] != "LeafrankRankingSlow";
    let stirred: Vec<_> = rules.iter().filter(calm).filter(|r| r["state"] != "inactive").collect();
    assert!(stirred.is_empty(), "{stirred:#?}");

    for expr in dashboard_expressions() {
        assert!(prometheus.query(&expr).await.is_some(), "{expr}");
    }
}

#[tokio::test]
async fn what_we_expose_has_the_form_that_promtool_asks_for() {
    let shop = milk_shop().await;
    let sidecar = used(&shop).await;
    let text = client::get(sidecar.ops, "/metrics").await.body;
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return skipped("promtool", &error),
    };
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
}
