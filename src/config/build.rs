//! Raw settings → [`Settings`]: words parsed, units applied, sections compared with each other.
//!
//! In: a [`RawSettings`] whose numbers are already within their limits. Out: settings, and on the
//! list every fault of form or of one section against another. Where a value is faulty the
//! settings hold something harmless; the caller throws them away.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::raw::{
    RawCookie, RawIdentity, RawJoin, RawLimits, RawListen, RawSettings, RawSpool, RawTrust,
    RawUpstream,
};
use super::words::{peer, socket_address};
use super::{
    ClientTls, Consent, Cookie, Faults, Health, Identity, Join, LegName, Limits, Listen,
    ListenAddress, OwnPaths, Preview, RulesFile, ServerTls, Settings, Shutdown, Source, Spool,
    Store, Token, Track, Trust, Upstream, UpstreamAddress, build_route, build_weaviate,
};
use crate::yaml::{Check, Fault, Node, Path, Problems};

/// Builds settings; `file` gives the directory from which paths in them start.
pub(super) fn settings(
    raw: &RawSettings,
    file: Option<&str>,
    tree: &Node,
    problems: &mut Problems,
) -> Settings {
    let mut check = Check { tree, problems };
    let files = Files { beside: file };
    let upstream = Upstream {
        silence: Duration::from_secs(raw.limits.reply_silence_seconds),
        ..upstream(&raw.upstream, &files, &mut check)
    };
    let settings = Settings {
        listen: listen(&raw.listen, &files, &mut check),
        upstream: build_weaviate::has_shop(raw, tree).then_some(upstream),
        weaviate: build_weaviate::weaviate(raw, &files, &mut check),
        identity: identity(raw, &files, &mut check),
        trust: trust(&raw.trust, &files, &mut check),
        routes: build_route::all(raw, &mut check),
        limits: limits(&raw.limits, &mut check),
        faults: Faults {
            per_minute_max: size(raw.faults.per_minute_max),
            quiet: Duration::from_secs(raw.faults.quiet_seconds),
        },
        health: Health { ready_needs_upstream: raw.health.ready_needs_upstream },
        rules: RulesFile {
            path: raw.rules.path.as_deref().map(|path| files.path(path)),
            may_be_missing: false,
            knowledge_dir: raw.rules.knowledge_dir.as_deref().map(|path| files.path(path)),
            model: raw.rules.model.as_deref().map(|path| files.path(path)),
        },
        store: Store {
            profiles_bytes_max: raw.store.profiles_bytes_max,
            snapshot: (raw.store.snapshot_seconds > 0)
                .then(|| Duration::from_secs(raw.store.snapshot_seconds)),
            products_max: size(raw.store.products_max),
            hits_bytes_max: raw.store.hits_bytes_max,
            products_per_profile_max: size(raw.store.products_per_profile_max),
            facets_per_profile_max: size(raw.store.facets_per_profile_max),
            events_per_profile_max: size(raw.store.events_per_profile_max),
            choices_per_user_max: size(raw.store.choices_per_user_max),
            choices_max: size(raw.store.choices_max),
            recent_max: size(raw.store.recent_max),
            doubles_max: size(raw.store.doubles_max),
            orders_max: size(raw.store.orders_max),
            orders_seconds: raw.store.orders_seconds,
            posteriors_max: size(raw.store.posteriors_max),
            live_listeners_max: raw.store.live_listeners_max,
        },
        spool: raw.spool.enabled.then(|| spool(&raw.spool)),
        shutdown: Shutdown {
            lame_duck: Duration::from_millis(raw.shutdown.lame_duck_ms),
            drain: Duration::from_millis(raw.shutdown.drain_ms),
        },
        data_dir: PathBuf::from(&raw.data_dir),
        holdout: raw.holdout as f32,
        mode: raw.mode,
        presets: raw.presets.clone(),
        effective: Vec::new(),
    };
    ports(&settings, &mut check);
    settings
}

fn spool(raw: &RawSpool) -> Spool {
    Spool {
        group: Duration::from_millis(raw.group_ms),
        bytes_max: raw.bytes_max,
        queue_bytes_max: size(raw.queue_bytes_max),
        row_bytes_max: size(raw.row_bytes_max),
        batch: Duration::from_secs(raw.batch_seconds),
        batch_rows_max: size(raw.batch_rows_max),
        keep_days: raw.keep_days,
        events_bytes_max: raw.events_bytes_max,
    }
}

/// Paths in a settings file start from its directory.
pub(super) struct Files<'a> {
    beside: Option<&'a str>,
}

impl Files<'_> {
    pub(super) fn path(&self, path: &str) -> PathBuf {
        let directory = self.beside.and_then(|file| std::path::Path::new(file).parent());
        directory.map_or_else(|| PathBuf::from(path), |directory| directory.join(path))
    }
}

pub(super) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Parses each word of a list; what does not parse is a fault at its own place.
pub(super) fn each<T>(
    texts: &[String],
    key: &Path,
    check: &mut Check<'_>,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Vec<T> {
    let one = |(position, text): (usize, &String)| check.take(&key.item(position), parse(text));
    texts.iter().enumerate().filter_map(one).collect()
}

fn listen(raw: &RawListen, files: &Files<'_>, check: &mut Check<'_>) -> Listen {
    let key = Path::of("listen");
    let mut socket = |name: &str, text: &Option<String>| {
        text.as_deref().and_then(|text| check.take(&key.key(name), socket_address(text)))
    };
    let (api, admin, ops) =
        (socket("api", &raw.api), socket("admin", &raw.admin), socket("ops", &raw.ops));
    let prefix = &raw.own_paths.prefix;
    let own = key.key("own_paths");
    if !prefix.is_empty() && (!prefix.starts_with('/') || prefix.ends_with('/')) {
        let right = format!("/{}", prefix.trim_matches('/'));
        let fault = Fault::new(format!("found \"{prefix}\""), "/ first and none last");
        check.fault(&own.key("prefix"), fault.suggest(right));
    }
    let paths = each(&raw.own_paths.paths, &own.key("paths"), check, |path| {
        super::PathPattern::parse(path).map(|_| path.to_owned())
    });
    Listen {
        data: each(&raw.data, &key.key("data"), check, ListenAddress::parse),
        tls: raw.tls.as_ref().map(|tls| ServerTls {
            certificate: files.path(&tls.certificate),
            key: files.path(&tls.key),
        }),
        api,
        admin,
        ops,
        own_paths: OwnPaths { prefix: prefix.clone(), paths },
        threads: size(raw.threads),
    }
}

fn upstream(raw: &RawUpstream, files: &Files<'_>, check: &mut Check<'_>) -> Upstream {
    let key = Path::of("upstream.addresses");
    let parsed = each(&raw.addresses, &key, check, UpstreamAddress::parse);
    let asks = |tls: bool| parsed.iter().any(|(_, asked)| *asked == Some(tls));
    let mixed = asks(true) && asks(false);
    if mixed {
        check.fault(&key, Fault::new("http and https addresses", "one scheme for all"));
    }
    if raw.tls.is_some() && asks(false) && !asks(true) {
        let fault = Fault::new("tls beside http addresses", "https addresses, or tls: null");
        check.fault(&Path::of("upstream.tls"), fault);
    }
    let hosts: Vec<&str> = parsed
        .iter()
        .filter_map(|(address, _)| match address {
            UpstreamAddress::Tcp { host, .. } => Some(host.as_str()),
            UpstreamAddress::Unix(_) => None,
        })
        .collect();
    let named = raw.tls.as_ref().and_then(|tls| tls.server_name.clone());
    let one_host = hosts
        .first()
        .filter(|first| hosts.len() == parsed.len() && hosts.iter().all(|host| host == *first));
    let tls = (raw.tls.is_some() || asks(true)).then(|| ClientTls {
        server_name: named.or_else(|| one_host.map(|host| (*host).to_owned())).unwrap_or_default(),
        ca: raw.tls.as_ref().and_then(|tls| tls.ca.as_deref()).map(|path| files.path(path)),
    });
    let unnamed = tls.as_ref().is_some_and(|tls| tls.server_name.is_empty());
    if unnamed && !mixed && !parsed.is_empty() {
        let fault = Fault::new("missing key", "the name in the shop's certificate");
        check.fault(&Path::of("upstream.tls.server_name"), fault);
    }
    Upstream {
        leg: LegName::Shop,
        authority: None,
        addresses: parsed.into_iter().map(|(address, _)| address).collect(),
        tls,
        protocol: raw.protocol,
        connect_timeout: Duration::from_millis(raw.connect_timeout_ms),
        response_timeout: Duration::from_millis(raw.response_timeout_ms),
        idle_timeout: Duration::from_millis(raw.idle_timeout_ms),
        idle_connections_max: size(raw.idle_connections_max),
        health_interval: Duration::from_millis(raw.health_interval_ms),
        silence: Duration::ZERO,
    }
}

/// Presets of shops whose users are only claimed.
const CLAIMING_PRESETS: [&str; 2] = ["leafloaf", "demo"];

fn identity(raw: &RawSettings, files: &Files<'_>, check: &mut Check<'_>) -> Identity {
    let key = Path::of("identity");
    let source = |text: &str| match Source::parse(text)? {
        Source::Path(_) => {
            Err(Fault::new(format!("found \"{text}\""), "no path: here; it belongs to one route"))
        }
        source => Ok(source),
    };
    let claiming = raw.presets.iter().any(|preset| CLAIMING_PRESETS.contains(&preset.as_str()));
    let raw = &raw.identity;
    if raw.trusted_only && raw.trust_claimed_ids == Some(true) {
        let fault = Fault::new("true beside trusted_only: true", "one of them");
        check.fault(&key.key("trust_claimed_ids"), fault);
    }
    Identity {
        user: each(&raw.user, &key.key("user"), check, source),
        session: each(&raw.session, &key.key("session"), check, source),
        anonymous: raw.anonymous.clone(),
        trusted_only: raw.trusted_only,
        trust_claimed_ids: raw.trust_claimed_ids.unwrap_or(claiming && !raw.trusted_only),
        join: join(&raw.join, files, check),
        consent: Consent {
            from: each(&raw.consent.from, &key.key("consent.from"), check, source),
            denied: raw.consent.denied.clone(),
            subjects_max: size(raw.consent.subjects_max),
        },
        token: token(raw, files, check),
        cookie: cookie(&raw.cookie, files, check),
    }
}

/// Longest name of our cookie: each request carries it.
const COOKIE_NAME_BYTES_MAX: usize = 64;

fn cookie(raw: &RawCookie, files: &Files<'_>, check: &mut Check<'_>) -> Cookie {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = |name: &str| name.len() <= COOKIE_NAME_BYTES_MAX && name.chars().all(plain);
    if !raw.name.as_deref().is_none_or(fits) {
        let expected = format!("letters, digits, -, _ and ., at most {COOKIE_NAME_BYTES_MAX}");
        let fault = Fault::new("a name that is none for a cookie of ours", expected);
        check.fault(&Path::of("identity.cookie.name"), fault);
    }
    Cookie {
        name: raw.name.clone(),
        key_file: raw.key_file.as_deref().map(|path| files.path(path)),
        max_age: Duration::from_secs(raw.max_age_days * 86_400),
    }
}

fn token(raw: &RawIdentity, files: &Files<'_>, check: &mut Check<'_>) -> Token {
    let key = Path::of("identity.token");
    let from = each(&raw.token.from, &key.key("from"), check, |text| match Source::parse(text)? {
        source @ (Source::Header(_) | Source::Cookie(_)) => Ok(source),
        _ => Err(Fault::new(format!("found \"{text}\""), "header:NAME or cookie:NAME")),
    });
    let token = Token {
        from,
        key_file: raw.token.key_file.as_deref().map(|path| files.path(path)),
        jwks_file: raw.token.jwks_file.as_deref().map(|path| files.path(path)),
        issuer: raw.token.issuer.clone(),
        audience: raw.token.audience.clone(),
        leeway: Duration::from_secs(raw.token.leeway_seconds),
    };
    let mut places = raw.user.iter().chain(&raw.session);
    if token.is_checked() && !places.any(|place| place.starts_with("jwt:")) {
        let fault = Fault::new("keys for tokens that nobody asks for", "a claim in identity.user");
        check.fault(&key, fault.suggest("jwt:/sub"));
    }
    token
}

fn join(raw: &RawJoin, files: &Files<'_>, check: &mut Check<'_>) -> Join {
    let key = Path::of("identity.join");
    let tell =
        each(&raw.tell, &key.key("tell"), check, |text| match UpstreamAddress::parse(text)? {
            (_, Some(true)) => Err(Fault::new(format!("found \"{text}\""), "http://host:port")),
            (address, _) => Ok(address),
        });
    if !raw.tell.is_empty() && raw.tell_token_file.is_none() {
        let fault = Fault::new("missing key", "a file with a token that they take");
        check.fault(&key.key("tell_token_file"), fault);
    }
    Join {
        window: Duration::from_millis(raw.window_ms),
        entries_max: size(raw.entries_max),
        by_query: raw.by_query,
        tell,
        tell_token_file: raw.tell_token_file.as_deref().map(|path| files.path(path)),
    }
}

fn trust(raw: &RawTrust, files: &Files<'_>, check: &mut Check<'_>) -> Trust {
    let key = Path::of("trust");
    let file = |path: &Option<String>| path.as_deref().map(|path| files.path(path));
    let trust = Trust {
        token_file: file(&raw.token_file),
        signing_key_file: file(&raw.signing_key_file),
        signature_max_age: Duration::from_secs(raw.signature_max_age_seconds),
        addresses: each(&raw.addresses, &key.key("addresses"), check, peer),
        api_token_file: file(&raw.api_token_file),
        admin_token_file: file(&raw.admin_token_file),
    };
    if !trust.addresses.is_empty() && trust.token_file.is_none() && trust.signing_key_file.is_none()
    {
        let fault = Fault::new(
            "addresses without a token or a key",
            "trust.token_file or trust.signing_key_file: an address alone can be borrowed",
        );
        check.fault(&key.key("addresses"), fault);
    }
    trust
}

fn limits(raw: &RawLimits, check: &mut Check<'_>) -> Limits {
    let key = Path::of("limits");
    if raw.rank_us > raw.hold_ms.saturating_mul(1_000) {
        let fault = Fault::new(format!("found {}", raw.rank_us), "no more than hold_ms");
        check.fault(&key.key("rank_us"), fault);
    }
    if raw.request_bytes_max > 0 && raw.peek_bytes_max > raw.request_bytes_max {
        let fault =
            Fault::new(format!("found {}", raw.peek_bytes_max), "at most request_bytes_max");
        check.fault(&key.key("peek_bytes_max"), fault);
    }
    if raw.memory_soft_percent > raw.memory_hard_percent {
        let found = format!("found {}", raw.memory_soft_percent);
        let fault = Fault::new(found, "at most memory_hard_percent");
        check.fault(&key.key("memory_soft_percent"), fault);
    }
    if raw.track_bytes_max > raw.track_held_bytes_max {
        let found = format!("found {}", raw.track_bytes_max);
        let fault = Fault::new(found, "at most track_held_bytes_max");
        check.fault(&key.key("track_bytes_max"), fault);
    }
    Limits {
        hold_ms: raw.hold_ms,
        rank_us: raw.rank_us,
        reply_bytes_max: size(raw.reply_bytes_max),
        peek_bytes_max: size(raw.peek_bytes_max),
        request_bytes_max: raw.request_bytes_max,
        header_bytes_max: size(raw.header_bytes_max),
        header_count_max: size(raw.header_count_max),
        header_timeout: Duration::from_secs(raw.header_timeout_seconds),
        idle_timeout: Duration::from_secs(raw.idle_timeout_seconds),
        body_timeout: Duration::from_secs(raw.body_timeout_seconds),
        reply_silence: Duration::from_secs(raw.reply_silence_seconds),
        write_timeout: Duration::from_secs(raw.write_timeout_seconds),
        in_flight_max: size(raw.in_flight_max),
        requests_max: size(raw.requests_max),
        h2_streams_max: u32::try_from(raw.h2_streams_max).unwrap_or(u32::MAX),
        h2_resets_max: size(raw.h2_resets_max),
        connections_max: size(raw.connections_max),
        memory_bytes_max: raw.memory_bytes_max,
        memory_soft_percent: raw.memory_soft_percent,
        memory_hard_percent: raw.memory_hard_percent,
        track: Track {
            items_max: size(raw.track_items_max),
            debug_items_max: size(raw.track_debug_items_max),
            bytes_max: size(raw.track_bytes_max),
            held_bytes_max: size(raw.track_held_bytes_max),
            age: Duration::from_secs(raw.track_age_days_max.saturating_mul(86_400)),
            ahead: Duration::from_secs(raw.track_ahead_seconds_max),
            join: Duration::from_millis(raw.track_join_ms),
        },
        preview: Preview {
            searches_max: size(raw.preview_searches_max),
            bytes_max: size(raw.preview_bytes_max),
            per_second_max: raw.preview_per_second_max,
        },
    }
}

/// No two ports may be the same, and no upstream may be ourselves.
fn ports(settings: &Settings, check: &mut Check<'_>) {
    let listen = Path::of("listen");
    let mut taken: Vec<(Path, SocketAddr)> = Vec::new();
    let legs = settings.legs();
    let data = legs.iter().flat_map(|leg| {
        let key = Path::of(leg.upstream.leg.listen_key());
        leg.listen.iter().enumerate().filter_map(move |(number, address)| {
            let ListenAddress::Tcp(address) = address else { return None };
            let shop = leg.upstream.leg == LegName::Shop;
            Some((if shop { key.item(number) } else { key.clone() }, *address))
        })
    });
    let own = [
        ("api", settings.listen.api),
        ("admin", settings.listen.admin),
        ("ops", settings.listen.ops),
    ];
    let own = own.into_iter().filter_map(|(name, address)| Some((listen.key(name), address?)));
    for (key, address) in data.chain(own) {
        if let Some((other, _)) = taken.iter().find(|(_, other)| same_port(*other, address)) {
            check.fault(&key, Fault::new(format!("{address} is already {other}"), "another port"));
        }
        taken.push((key, address));
    }
    for Upstream { leg, addresses, .. } in legs.iter().map(|leg| leg.upstream) {
        let key = Path::of(leg.address_key());
        for (number, address) in addresses.iter().enumerate() {
            let UpstreamAddress::Tcp { host, port } = address else { continue };
            let host = if host == "localhost" { "127.0.0.1" } else { host };
            let Ok(ip) = host.parse::<IpAddr>() else { continue };
            let upstream = SocketAddr::new(ip, *port);
            let loops = taken
                .iter()
                .find(|(_, own)| same_port(*own, upstream) && (own.ip() == ip || ip.is_loopback()));
            if let Some((own, _)) = loops {
                let found = format!("{upstream} is our own {own}");
                let key = if *leg == LegName::Shop { key.item(number) } else { key.clone() };
                check.fault(&key, Fault::new(found, format!("the address of {}", leg.upstream())));
            }
        }
    }
}

/// Whether two sockets cannot both be opened. Port 0 is a free one each time.
fn same_port(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (any || one.ip() == other.ip())
}
