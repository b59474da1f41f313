//! Who is who, and whose word counts: where a request names its shopper, and who is believed.
//!
//! Secrets are files, never values; what they hold is read elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use super::{Source, UpstreamAddress};

/// Who is who.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Where the user is named; first that yields one wins.
    pub user: Vec<Source>,
    /// Where the session is named.
    pub session: Vec<Source>,
    /// Values that mean "nobody", e.g. `anonymous`.
    pub anonymous: Vec<String>,
    /// Only what a trusted peer vouches for counts; the places above are not read.
    pub trusted_only: bool,
    /// A user who is only claimed counts on our own paths too.
    pub trust_claimed_ids: bool,
    /// How searches behind the shop find the shopper in front of it.
    pub join: Join,
    /// Who must not be learned from.
    pub consent: Consent,
    /// How tokens that name a shopper are checked.
    pub token: Token,
    /// A cookie of ours for those whom nothing else names.
    pub cookie: Cookie,
}

/// A cookie of ours for shoppers whom nothing else names.
#[derive(Clone, Debug, Default)]
pub struct Cookie {
    /// Its name; `None`: none is set.
    pub name: Option<String>,
    /// What it is signed with; `None` = a key is made under the data directory.
    pub key_file: Option<PathBuf>,
    /// How long it counts.
    pub max_age: Duration,
}

/// How tokens that name a shopper are checked.
#[derive(Clone, Debug, Default)]
pub struct Token {
    /// Headers and cookies that may hold one; the first that does counts.
    pub from: Vec<Source>,
    /// Secrets, or PEM with public keys.
    pub key_file: Option<PathBuf>,
    /// A JWK set.
    pub jwks_file: Option<PathBuf>,
    /// Who must have issued it.
    pub issuer: Option<String>,
    /// For whom it must be.
    pub audience: Option<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

impl Token {
    /// False: what a token claims counts as any claim does.
    pub fn is_checked(&self) -> bool {
        self.key_file.is_some() || self.jwks_file.is_some()
    }
}

/// How a request says that its shopper must not be learned from, and who has said so for good.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// Where it is said; the first place that says anything counts.
    pub from: Vec<Source>,
    /// Words there that mean no, whatever their case.
    pub denied: Vec<String>,
    /// Subjects whose choice is kept.
    pub subjects_max: usize,
}

/// How a search behind the shop that names nobody finds the shopper's own in front of it.
#[derive(Clone, Debug, Default)]
pub struct Join {
    /// For how long after its reply a search in front may still be the one.
    pub window: Duration,
    /// Searches remembered; 0 = none, nothing is joined.
    pub entries_max: usize,
    /// By the words too, where no trace tells.
    pub by_query: bool,
    /// API ports of other sidecars, behind the shop, that are told of searches in front.
    pub tell: Vec<UpstreamAddress>,
    /// The token for them.
    pub tell_token_file: Option<PathBuf>,
}

/// Whose word counts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Tokens of peers, one a line.
    pub token_file: Option<PathBuf>,
    /// Keys that peers sign with, one a line.
    pub signing_key_file: Option<PathBuf>,
    /// How far a signature's time may be from ours.
    pub signature_max_age: Duration,
    /// A peer must also come from one of these; empty = from anywhere.
    pub addresses: Vec<std::net::IpAddr>,
    /// Tokens that may ask about any user, one a line.
    pub api_token_file: Option<PathBuf>,
    /// Tokens of operators, one a line; `None` = one is made under the data directory.
    pub admin_token_file: Option<PathBuf>,
}
