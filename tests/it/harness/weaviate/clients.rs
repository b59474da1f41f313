//! Weaviate's own clients, from the registries, kept below the target directory: the first run
//! installs them, later ones find them.
//!
//! Without Python, node or a registry the stories that need them skip themselves and say so; where
//! `CI` is set they fail.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Mutex;

/// One at a time, each once.
static INSTALLING: Mutex<()> = Mutex::const_new(());

/// An install downloads some 30 packages.
const INSTALL: Duration = Duration::from_secs(300);

/// The Python that has `weaviate-client` of this version; gRPC's library comes with it.
pub async fn python(version: &str) -> Option<PathBuf> {
    python_with(&format!("weaviate-client=={version}"), &format!("python-{version}")).await
}

/// The Python of the environment `name`, which has a package from its registry.
pub async fn python_with(wanted: &str, name: &str) -> Option<PathBuf> {
    let directory = directory(name);
    let python = directory.join("bin/python");
    let install = async || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory), INSTALL)
            .await?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(pip).arg(wanted), INSTALL).await
    };
    installed(&directory, install).await.then_some(python)
}

/// The directory whose `node_modules` has `weaviate-client` of this version.
pub async fn node(version: &str) -> Option<PathBuf> {
    let directory = directory(&format!("node-{version}"));
    let wanted = format!("weaviate-client@{version}");
    let install = async || {
        std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        // Its own package, or npm would look for one in the directories above.
        std::fs::write(directory.join("package.json"), "{\"private\": true}\n")
            .map_err(|error| error.to_string())?;
        run(Command::new("node").arg("--version"), INSTALL).await?;
        let npm = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
        run(Command::new("npm").current_dir(&directory).args(npm).arg(wanted), INSTALL).await
    };
    installed(&directory, install).await.then_some(directory)
}

/// Runs a command to its end, or says why not.
pub async fn run(command: &mut Command, within: Duration) -> Result<Output, String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    match tokio::time::timeout(within, command.output()).await {
        Err(_) => Err(format!("{name} did not end within {within:?}")),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Ok(Ok(output)) if !output.status.success() => {
            let said = [&output.stdout[..], &output.stderr[..]].concat();
            Err(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&said)))
        }
        Ok(Ok(output)) => Ok(output),
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name)
}

async fn installed(
    directory: &Path,
    install: impl AsyncFnOnce() -> Result<Output, String>,
) -> bool {
    let _alone = INSTALLING.lock().await;
    let whole = directory.join("installed");
    if whole.exists() {
        return true;
    }
    match install().await {
        Ok(_) => {
            std::fs::write(whole, "").expect("a mark beside what was installed");
            true
        }
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            // Past the test runner's capture: a skipped story must be seen where it passes.
            let _ = writeln!(std::io::stderr(), "skipped: {why}");
            false
        }
    }
}
