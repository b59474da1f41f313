//! The real program, started with real files on free ports, ended when the story is over.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::client::{self, Reply};

/// What a peer sends as `X-Leafrank-Token` where [`TRUSTING`] is in the settings.
pub const PEER_TOKEN: &str = "the token of a trusted peer";

/// What a server sends as `Authorization: Bearer` where [`TRUSTING`] is in the settings.
pub const API_TOKEN: &str = "the token of an API client";

/// What a peer signs with where [`TRUSTING`] is in the settings.
pub const SIGNING_KEY: &str = "the key that a peer signs with";

/// Settings under which these count; their files are beside the settings.
pub const TRUSTING: &str = "trust: {token_file: peer.tokens, api_token_file: api.tokens, \
                            signing_key_file: signing.keys}";

/// A sidecar to be started.
pub struct Builder {
    upstreams: Vec<String>,
    threads: usize,
    listen: String,
    upstream: String,
    settings: String,
    rules: Option<String>,
    arguments: Vec<String>,
    log: String,
    data_port: Option<u16>,
    ops_port: Option<u16>,
}

/// A running sidecar.
pub struct Sidecar {
    pub data: SocketAddr,
    pub api: SocketAddr,
    pub admin: SocketAddr,
    pub ops: SocketAddr,
    pub directory: tempfile::TempDir,
    child: Child,
}

impl Sidecar {
    /// A sidecar in front of `upstream` (`host:port`, a URL or `unix:/path`).
    pub fn before(upstream: impl ToString) -> Builder {
        Builder {
            upstreams: vec![upstream.to_string()],
            threads: 2,
            listen: String::new(),
            upstream: String::new(),
            settings: String::new(),
            rules: None,
            arguments: Vec::new(),
            log: std::env::var("STORY_LOG").unwrap_or("info".into()),
            data_port: None,
            ops_port: None,
        }
    }

    /// The rules file it watches.
    pub fn rules_path(&self) -> PathBuf {
        self.directory.path().join("config/personalization_rules.yaml")
    }

    /// The sum of the metrics that begin so: a name, or a name with its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        super::personal::metric_value(self.ops, name).await
    }

    /// Searches that went out in the shop's order for this reason.
    pub async fn bypassed(&self, reason: &str) -> f64 {
        self.metric(&format!("leafrank_bypass_total{{reason=\"{reason}\"")).await
    }

    /// `GET` on the admin port, by an operator.
    pub async fn admin(&self, path: &str) -> Reply {
        self.operate("GET", path).await
    }

    /// A request on the admin port, by an operator.
    pub async fn operate(&self, method: &str, path: &str) -> Reply {
        client::operate(self.admin, &self.admin_token(), (method, path)).await
    }

    /// The operators' token that it made.
    pub fn admin_token(&self) -> String {
        let file = self.directory.path().join("state/admin.token");
        std::fs::read_to_string(file).expect("the token").trim().to_owned()
    }

    /// The live preferences of a user, as an API client reads them.
    pub async fn preferences(&self, user: &str) -> serde_json::Value {
        let (path, bearer) =
            (format!("/api/users/{user}/preferences/live"), format!("Bearer {API_TOKEN}"));
        client::exchange(self.api, "GET", &path, &[("authorization", &bearer)], b"").await.json()
    }

    /// Asks it to end, as Kubernetes does.
    pub fn terminate(&self) {
        let outcome = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(outcome.expect("kill").success());
    }

    /// Waits for its end and returns the exit code.
    pub async fn ended(&mut self, within: Duration) -> Option<i32> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still running after {within:?}");
    }

    /// The most resident memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Its number for the system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory now, in bytes.
    pub fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, key: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kibibytes * 1024
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Gone already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- the sidecar's log ---\n{}", self.log());
        }
    }
}

impl Builder {
    /// A second, third … address of the shop.
    pub fn and_before(mut self, upstream: impl ToString) -> Self {
        self.upstreams.push(upstream.to_string());
        self
    }

    /// Serves the data port with so many workers; 2 unless said.
    pub fn listen_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Adds a key to the `listen` section.
    pub fn listen(mut self, yaml: &str) -> Self {
        self.listen.push_str(&format!("  {yaml}\n"));
        self
    }

    /// Adds a key to the `upstream` section.
    pub fn upstream(mut self, yaml: &str) -> Self {
        self.upstream.push_str(&format!("  {yaml}\n"));
        self
    }

    /// Adds YAML to the settings, top level.
    pub fn settings(mut self, yaml: &str) -> Self {
        self.settings.push_str(yaml);
        self.settings.push('\n');
        self
    }

    /// Uses this text as rules file.
    pub fn rules(mut self, yaml: &str) -> Self {
        self.rules = Some(yaml.to_owned());
        self
    }

    /// Adds a command-line argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Logs as this filter says, whatever `STORY_LOG` does.
    pub fn log(mut self, filter: &str) -> Self {
        self.log = filter.to_owned();
        self
    }

    /// Listens on this data port rather than on a free one.
    pub fn data_port(mut self, port: u16) -> Self {
        self.data_port = Some(port);
        self
    }

    /// Listens on this ops port rather than on a free one.
    pub fn ops_port(mut self, port: u16) -> Self {
        self.ops_port = Some(port);
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Sidecar {
        let sidecar = self.spawn();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(stream) = std::net::TcpStream::connect(sidecar.ops) {
                drop(stream);
                let ports = [sidecar.data, sidecar.api, sidecar.admin];
                let all = ports.iter().all(|port| std::net::TcpStream::connect(port).is_ok());
                if all && client::get(sidecar.ops, "/readyz").await.status == 200 {
                    return sidecar;
                }
            }
            assert!(Instant::now() < deadline, "not ready: {}", sidecar.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it without waiting for anything.
    pub fn spawn(self) -> Sidecar {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("config");
        std::fs::create_dir_all(&config).unwrap();
        let socket = directory.path().join("data.sock");
        let socket = socket.display();
        let [mut data, api, admin, mut ops] = free_ports();
        data.set_port(self.data_port.unwrap_or(data.port()));
        ops.set_port(self.ops_port.unwrap_or(ops.port()));
        let mut text = format!(
            "listen:\n  data: [\"{data}\", \"unix:{socket}\"]\n  api: \"{api}\"\n  admin: \"{admin}\"\n  ops: \"{ops}\"\n  \
             threads: {}\n{}upstream:\n  addresses: {:?}\n{}",
            self.threads, self.listen, self.upstreams, self.upstream
        );
        let sections = [
            ("data_dir:", "data_dir: state\n"),
            // A loaded machine is not the story, unless a story says so.
            ("limits:", "limits: {rank_us: 1000000, hold_ms: 10000}\n"),
            ("holdout:", "holdout: 0\n"),
            ("shutdown:", "shutdown: {lame_duck_ms: 200, drain_ms: 5000}\n"),
            ("rules:", "rules: {path: personalization_rules.yaml}\n"),
        ];
        for (key, line) in sections {
            if !self.settings.contains(key) {
                text.push_str(line);
            }
        }
        let _ = write!(text, "{}", self.settings);
        std::fs::write(config.join("leafrank.yaml"), text).unwrap();
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/personalization_rules.yaml");
        let rules = self.rules.unwrap_or_else(|| std::fs::read_to_string(shipped).unwrap());
        std::fs::write(config.join("personalization_rules.yaml"), rules).unwrap();
        for (file, secret) in
            [("peer.tokens", PEER_TOKEN), ("api.tokens", API_TOKEN), ("signing.keys", SIGNING_KEY)]
        {
            std::fs::write(config.join(file), format!("{secret}\n")).unwrap();
        }
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_leafrank"))
            .args(["serve", "--config"])
            .arg(config.join("leafrank.yaml"))
            .args(&self.arguments)
            .env("LEAFRANK_LOG", self.log)
            .env_remove("WEAVIATE_URL")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start the sidecar");
        Sidecar { data, api, admin, ops, directory, child }
    }
}

/// Ports that were free a moment ago, below the range from which systems give out ports by
/// themselves, so that no connection under way takes one in between.
pub fn free_ports<const N: usize>() -> [SocketAddr; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    std::array::from_fn(|_| {
        loop {
            let number = std::process::id() * 61 + NEXT.fetch_add(1, Ordering::Relaxed);
            let port = 10_000 + (number % 22_000) as u16;
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            if TcpListener::bind(address).is_ok() {
                return address;
            }
        }
    })
}
