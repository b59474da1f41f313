//! The secrets in force, read from their files and kept fresh.
//!
//! In: the paths of the settings. Out: [`Keys`], swapped whole. At start a file that cannot be used
//! ends the start; later the secrets that were read last stay, and the log says why, once. A token
//! for operators is made where the settings name none, readable by the owner alone.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::{Identity, Token, Trust};
use crate::trust::token::TokenKeys;
use crate::trust::{Keys, Secrets};

/// The operators' token, under the data directory.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";

/// How often the files are read again: what an exchange of secrets takes.
const POLL: Duration = Duration::from_secs(5);
/// Longest file of secrets, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;

/// A file of secrets that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {path}: {reason}", path = path.display())]
pub struct KeyRingError {
    /// The setting.
    pub key: &'static str,
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Keeps the secrets up to date until it is dropped.
pub struct KeyRing {
    keys: Arc<ArcSwap<Keys>>,
    _stop: Sender<()>,
}

/// Which file holds what.
#[derive(Clone)]
struct Files {
    trust: Trust,
    token: Token,
    admin: Option<PathBuf>,
    visits: Option<PathBuf>,
}

/// A secret that we make where the settings name none.
struct Own {
    key: &'static str,
    file: &'static str,
    what: &'static str,
    without: &'static str,
}

const ADMIN_TOKEN: Own = Own {
    key: "trust.admin_token_file",
    file: ADMIN_TOKEN_FILE,
    what: "a token for operators",
    without: "what needs one is refused on the admin port",
};

const VISIT_KEY: Own = Own {
    key: "identity.cookie.key_file",
    file: "visit.key",
    what: "a key for the cookie of visits",
    without: "no shopper is given one",
};

impl KeyRing {
    /// Reads all files; makes the operators' token where there is none.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn open(trust: &Trust, identity: &Identity, data_dir: &Path) -> Result<Self, KeyRingError> {
        let admin = trust.admin_token_file.clone().or_else(|| kept(&ADMIN_TOKEN, data_dir));
        let cookie = &identity.cookie;
        let visits = cookie
            .name
            .is_some()
            .then(|| cookie.key_file.clone().or_else(|| kept(&VISIT_KEY, data_dir)));
        let (trust, token) = (trust.clone(), identity.token.clone());
        let files = Files { trust, token, admin, visits: visits.flatten() };
        let keys = Arc::new(ArcSwap::from_pointee(files.read()?));
        let (stop, stopped) = channel();
        let ring = keys.clone();
        let job = move || {
            let mut said = None;
            while stopped.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                match files.read() {
                    Ok(keys) => {
                        ring.store(Arc::new(keys));
                        said = None;
                    }
                    Err(error) if said.as_ref() == Some(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "secrets cannot be read; those read last stay");
                        said = Some(error);
                    }
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("secrets".into()).spawn(job) {
            tracing::error!(%error, "secrets are not watched: an exchange needs a restart");
        }
        Ok(Self { keys, _stop: stop })
    }

    /// The secrets in force.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }
}

impl Files {
    fn read(&self) -> Result<Keys, KeyRingError> {
        let trust = &self.trust;
        Ok(Keys {
            peers: secrets("trust.token_file", trust.token_file.as_deref())?,
            signing: secrets("trust.signing_key_file", trust.signing_key_file.as_deref())?,
            api: secrets("trust.api_token_file", trust.api_token_file.as_deref())?,
            admin: secrets("trust.admin_token_file", self.admin.as_deref())?,
            visits: secrets("identity.cookie.key_file", self.visits.as_deref())?,
            jwt: self.token_keys()?,
        })
    }
}

impl Files {
    fn token_keys(&self) -> Result<TokenKeys, KeyRingError> {
        let Token { key_file, jwks_file, .. } = &self.token;
        let keys = read("identity.token.key_file", key_file.as_deref(), TokenKeys::parse)?;
        let set = read("identity.token.jwks_file", jwks_file.as_deref(), TokenKeys::parse_set)?;
        Ok(keys.and(set))
    }
}

fn secrets(key: &'static str, path: Option<&Path>) -> Result<Secrets, KeyRingError> {
    read(key, path, Secrets::parse)
}

/// One file of secrets; no file holds none.
fn read<T: Default>(
    key: &'static str,
    path: Option<&Path>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, KeyRingError> {
    let Some(path) = path else { return Ok(T::default()) };
    let failed = |reason: String| KeyRingError { key, path: path.to_owned(), reason };
    let length = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(format!("{length} bytes; expected at most {FILE_BYTES_MAX}")));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    parse(&text).map_err(failed)
}

/// A secret under the data directory, made if it is not there. `None`: it can be neither read nor
/// kept, and there is none.
fn kept(own: &Own, data_dir: &Path) -> Option<PathBuf> {
    let path = data_dir.join(own.file);
    let outcome = match path.exists() {
        true => secrets(own.key, Some(&path)).map(drop).map_err(|error| error.to_string()),
        false => made(data_dir, &path).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => Some(path),
        // Operators and cookies can wait, the shop cannot: this does not keep us from starting.
        Err(error) => {
            let Own { what, without, .. } = own;
            tracing::warn!(error, file = %path.display(), "there is not {what}: {without}");
            None
        }
    }
}

fn made(directory: &Path, path: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(file, "{text}")?;
    file.sync_all()?;
    tracing::info!(file = %path.display(), "a secret of our own was made");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_for_operators_is_made_once_and_is_the_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let first = KeyRing::open(&Trust::default(), &Identity::default(), &state).unwrap();
        let path = state.join(ADMIN_TOKEN_FILE);
        let token = fs::read_to_string(&path).unwrap();
        assert_eq!(token.trim().len(), 2 * TOKEN_BYTES);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(first.keys().admin.hold(token.trim()));
        assert!(!first.keys().admin.hold(""));
        let second = KeyRing::open(&Trust::default(), &Identity::default(), &state).unwrap();
        assert!(second.keys().admin.hold(token.trim()), "the same one after a restart");
    }

    #[test]
    fn a_file_that_cannot_be_used_names_its_setting_and_not_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens");
        fs::write(&path, "short\n").unwrap();
        let trust = Trust { token_file: Some(path.clone()), ..Trust::default() };
        let Err(error) = KeyRing::open(&trust, &Identity::default(), directory.path()) else {
            panic!("accepted")
        };
        let expected = format!(
            "trust.token_file: {}: line 1: 5 characters; expected at least 16",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn without_a_place_to_keep_it_there_is_no_token_and_nothing_is_held() {
        let directory = tempfile::tempdir().unwrap();
        let in_the_way = directory.path().join("state");
        fs::write(&in_the_way, "a file").unwrap();
        let ring = KeyRing::open(&Trust::default(), &Identity::default(), &in_the_way).unwrap();
        assert!(!ring.keys().admin.hold("anything at all, really"));
    }
}
