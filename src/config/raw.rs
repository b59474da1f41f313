//! The settings file as it is written: sections, keys, limits, defaults.
//!
//! This is the one list of what can be set. The documentation of each key is what editors show;
//! `config/leafrank.yaml` says the same with its reason, and a test keeps both lists and their
//! values equal. Text that has a form of its own (addresses, sources, pointers) is text here and
//! is parsed by [`super::build`].

use super::raw_route::RawRoute;
use super::{Mode, UpstreamProtocol};
use crate::yaml::section;

section! {
    /// Settings of the Leafrank proxy.
    RawSettings {
        /// Where we listen.
        listen: RawListen = RawListen::default(),
        /// The shop.
        upstream: RawUpstream = RawUpstream::default(),
        /// A Weaviate, beside the shop or alone.
        weaviate: RawWeaviate = RawWeaviate::default(),
        /// Who is who.
        identity: RawIdentity = RawIdentity::default(),
        /// Whose word counts.
        trust: RawTrust = RawTrust::default(),
        /// Route tables that come with Leafrank, after `routes`: `leafloaf`, `demo`.
        presets: Vec<String> = vec!["leafloaf".into()],
        /// Which request is what; the first match wins, and a name here replaces a preset's.
        routes: Vec<RawRoute> = Vec::new(),
        /// What is done with the order on routes that do not say: off, shadow, on, annotate.
        mode: Mode = Mode::Shadow,
        /// Time and size limits.
        limits: RawLimits = RawLimits::default(),
        /// When our own faults switch a route off.
        faults: RawFaults = RawFaults::default(),
        /// What readiness means.
        health: RawHealth = RawHealth::default(),
        /// The rules.
        rules: RawRulesFile = RawRulesFile::default(),
        /// What is kept in memory.
        store: RawStore = RawStore::default(),
        /// The event log.
        spool: RawSpool = RawSpool::default(),
        /// Stopping.
        shutdown: RawShutdown = RawShutdown::default(),
        /// Where state is kept (the last good rules); created when missing.
        #[schemars(length(min = 1))]
        data_dir: String = "./leafrank-state".into(),
        /// Share of sessions, 0 to 1, whose lists always go out in the shop's order.
        #[schemars(range(min = 0.0, max = 1.0))]
        holdout: f64 = 0.02,
    }
}

section! {
    /// Where we listen.
    RawListen {
        /// Addresses of the data port: `127.0.0.1:8080`, `[::]:8080`, `unix:/run/leafrank.sock`.
        #[schemars(length(min = 1))]
        data: Vec<String> = vec!["127.0.0.1:8080".into()],
        /// TLS on the data port, or null.
        tls: Option<RawServerTls> = None,
        /// Our own API, or null.
        api: Option<String> = Some("127.0.0.1:8081".into()),
        /// Admin, which changes things, or null.
        admin: Option<String> = Some("127.0.0.1:9901".into()),
        /// Health and metrics, read only, or null.
        ops: Option<String> = Some("127.0.0.1:9902".into()),
        /// Worker threads of the data port; 0 = one a core.
        #[schemars(range(min = 0, max = 1024))]
        threads: u64 = 0,
        /// Paths of ours that the data port answers itself.
        own_paths: RawOwnPaths = RawOwnPaths::default(),
    }
}

section! {
    /// Certificate and key, PEM files.
    #[schemars(extend("required" = ["certificate", "key"]))]
    RawServerTls {
        /// Certificate chain.
        #[schemars(length(min = 1))]
        certificate: String = String::new(),
        /// Private key.
        #[schemars(length(min = 1))]
        key: String = String::new(),
    }
}

section! {
    /// Paths of ours on the data port.
    RawOwnPaths {
        /// Put before each path: `/leafrank`; empty = nothing.
        prefix: String = String::new(),
        /// Paths, e.g. `/api/interactions/track`.
        paths: Vec<String> = Vec::new(),
    }
}

section! {
    /// The shop.
    RawUpstream {
        /// `http://host:port`, `https://host`, `host:port` or `unix:/path`, one or more.
        #[schemars(length(min = 1))]
        addresses: Vec<String> = vec!["http://127.0.0.1:8000".into()],
        /// TLS towards the shop, or null: as the addresses say.
        tls: Option<RawClientTls> = None,
        /// HTTP version: auto, http1, http2.
        protocol: UpstreamProtocol = UpstreamProtocol::Auto,
        /// Milliseconds to connect.
        #[schemars(range(min = 1, max = 60_000))]
        connect_timeout_ms: u64 = 500,
        /// Milliseconds until the reply's head.
        #[schemars(range(min = 1, max = 3_600_000))]
        response_timeout_ms: u64 = 60_000,
        /// Milliseconds after which an idle connection is closed.
        #[schemars(range(min = 1, max = 3_600_000))]
        idle_timeout_ms: u64 = 4_000,
        /// Idle connections kept an address and worker.
        #[schemars(range(min = 0, max = 65_536))]
        idle_connections_max: u64 = 128,
        /// Milliseconds between health checks; 0 = none.
        #[schemars(range(min = 0, max = 3_600_000))]
        health_interval_ms: u64 = 0,
    }
}

section! {
    /// TLS towards the shop.
    RawClientTls {
        /// Name expected in the certificate; null = the address's host.
        server_name: Option<String> = None,
        /// Extra trusted roots, a PEM file; null = the public web's.
        ca: Option<String> = None,
    }
}

section! {
    /// A Weaviate, beside the shop or alone.
    RawWeaviate {
        /// `https://my-cluster.weaviate.cloud`, `http://weaviate:8080`, or null; also `WEAVIATE_URL`.
        #[schemars(length(min = 1))]
        url: Option<String> = None,
        /// Its gRPC port; null = where Weaviate's own clients look for it.
        #[schemars(length(min = 1))]
        grpc_url: Option<String> = None,
        /// Where clients of its REST and GraphQL find us.
        http: String = "127.0.0.1:8082".into(),
        /// Where clients of its gRPC find us.
        grpc: String = "127.0.0.1:50052".into(),
        /// Trusted roots instead of the public web's, a PEM file.
        ca: Option<String> = None,
        /// Milliseconds to connect.
        #[schemars(range(min = 1, max = 60_000))]
        connect_timeout_ms: u64 = 2_000,
        /// Milliseconds until the reply's head.
        #[schemars(range(min = 1, max = 3_600_000))]
        response_timeout_ms: u64 = 180_000,
        /// Milliseconds after which an idle connection is closed.
        #[schemars(range(min = 1, max = 3_600_000))]
        idle_timeout_ms: u64 = 55_000,
    }
}

section! {
    /// Who is who.
    RawIdentity {
        /// Where the user is named: `header:X`, `cookie:x`, `body:/x`, `query:x`; the first wins.
        user: Vec<String> = vec!["header:X-User-ID".into(), "body:/user_id".into()],
        /// Where the session is named.
        session: Vec<String> = vec!["body:/session_id".into(), "header:X-Session-ID".into()],
        /// Names that mean nobody.
        anonymous: Vec<String> = vec!["anonymous".into()],
        /// True: only what a trusted peer vouches for counts, nowhere what a client claims.
        trusted_only: bool = false,
        /// Whether a user who is only claimed counts on our own paths too; null = true where the
        /// presets are LeafLoaf's or the demo's.
        trust_claimed_ids: Option<bool> = None,
        /// How searches behind the shop find the shopper in front of it.
        join: RawJoin = RawJoin::default(),
        /// Who must not be learned from.
        consent: RawConsent = RawConsent::default(),
        /// How tokens (`jwt:` above) are checked.
        token: RawToken = RawToken::default(),
        /// A cookie of ours for shoppers whom nothing else names.
        cookie: RawCookie = RawCookie::default(),
    }
}

section! {
    /// A signed cookie with a random visit, for shoppers whom nothing else names.
    RawCookie {
        /// Its name; null = none is set.
        #[schemars(length(min = 1))]
        name: Option<String> = None,
        /// File with keys to sign with, one a line, the first signs; null = one is made in `data_dir`.
        key_file: Option<String> = None,
        /// Days for which it counts.
        #[schemars(range(min = 1, max = 400))]
        max_age_days: u64 = 30,
    }
}

section! {
    /// How JSON Web Tokens that name a shopper are checked; without keys they are not.
    RawToken {
        /// Where one may be: `header:X`, `cookie:x`; the first that holds one counts.
        from: Vec<String> = vec!["header:Authorization".into()],
        /// File with HS256 secrets, one a line, or PEM with RS256 and ES256 public keys; null = none.
        key_file: Option<String> = None,
        /// File with a JWK set; null = none.
        jwks_file: Option<String> = None,
        /// The `iss` that a token must have; null = any.
        issuer: Option<String> = None,
        /// An `aud` that a token must have; null = any.
        audience: Option<String> = None,
        /// Seconds that clocks may be apart.
        #[schemars(range(min = 0, max = 600))]
        leeway_seconds: u64 = 30,
    }
}

section! {
    /// How a request says that its shopper must not be learned from; `Sec-GPC: 1` says so anyway.
    RawConsent {
        /// Where it is said: `header:X`, `cookie:x`, `body:/x`, `query:x`; the first that is there.
        from: Vec<String> = vec!["header:X-Personalization".into()],
        /// Words there that mean no.
        denied: Vec<String> =
            ["0", "false", "no", "off", "denied"].map(str::to_owned).to_vec(),
        /// Subjects whose own choice (opted out, erased, sensitive tastes) is kept.
        #[schemars(range(min = 1, max = 10_000_000))]
        subjects_max: u64 = 100_000,
    }
}

section! {
    /// How a search behind the shop that names nobody finds the shopper's own in front of it.
    RawJoin {
        /// Milliseconds after its reply for which a search in front may still be the one.
        #[schemars(range(min = 0, max = 60_000))]
        window_ms: u64 = 2_000,
        /// Searches remembered; 0 = nothing is joined.
        #[schemars(range(min = 0, max = 1_000_000))]
        entries_max: u64 = 10_000,
        /// By the words too, where no trace tells.
        by_query: bool = true,
        /// API ports of sidecars behind the shop that are told of searches in front: `http://host:port`.
        tell: Vec<String> = Vec::new(),
        /// File with the token for them, one of their `trust.api_token_file`; null = none.
        tell_token_file: Option<String> = None,
    }
}

section! {
    /// Whose word counts.
    RawTrust {
        /// File with the tokens of trusted peers (`X-Leafrank-Token`), one a line; null = none.
        token_file: Option<String> = None,
        /// File with the keys that trusted peers sign with (`X-Leafrank-Signature`); null = none.
        signing_key_file: Option<String> = None,
        /// Seconds that a signature's time may be from ours.
        #[schemars(range(min = 1, max = 86_400))]
        signature_max_age_seconds: u64 = 300,
        /// Addresses from which a trusted peer must also come; empty = any.
        addresses: Vec<String> = Vec::new(),
        /// File with the tokens that may ask about any user; null = none.
        api_token_file: Option<String> = None,
        /// File with the operators' tokens; null = one is made, `admin.token` in `data_dir`.
        admin_token_file: Option<String> = None,
    }
}

section! {
    /// Time and size limits.
    RawLimits {
        /// Milliseconds for which the shop's bytes are held back at most.
        #[schemars(range(min = 1, max = 60_000))]
        hold_ms: u64 = 300,
        /// Microseconds of our own computation for one search.
        #[schemars(range(min = 1, max = 1_000_000))]
        rank_us: u64 = 5_000,
        /// Replies above so many bytes stream on untouched, as received and as decoded.
        #[schemars(range(min = 1024, max = 1_073_741_824))]
        reply_bytes_max: u64 = 1_048_576,
        /// Request bodies up to so many bytes are read to learn from.
        #[schemars(range(min = 0, max = 16_777_216))]
        peek_bytes_max: u64 = 65_536,
        /// Request bodies above so many bytes get 413; 0 = no limit.
        #[schemars(range(min = 0, max = 1_099_511_627_776_u64))]
        request_bytes_max: u64 = 0,
        /// Header blocks above so many bytes get 431.
        #[schemars(range(min = 8192, max = 1_048_576))]
        header_bytes_max: u64 = 65_536,
        /// More header lines than this get 431.
        #[schemars(range(min = 16, max = 1_024))]
        header_count_max: u64 = 100,
        /// Seconds for a request's head to arrive.
        #[schemars(range(min = 1, max = 3_600))]
        header_timeout_seconds: u64 = 10,
        /// Seconds after which a silent connection is closed.
        #[schemars(range(min = 1, max = 86_400))]
        idle_timeout_seconds: u64 = 75,
        /// Seconds after which a silent request body gets 408.
        #[schemars(range(min = 1, max = 3_600))]
        body_timeout_seconds: u64 = 30,
        /// Seconds after which a client that takes nothing of its reply loses its connection.
        #[schemars(range(min = 1, max = 3_600))]
        write_timeout_seconds: u64 = 60,
        /// Seconds after which a reply whose body is silent is broken off; 0 = never.
        #[schemars(range(min = 0, max = 86_400))]
        reply_silence_seconds: u64 = 300,
        /// Replies held or copied at a time; past it they pass unranked and unlearned.
        #[schemars(range(min = 1, max = 1_048_576))]
        in_flight_max: u64 = 64,
        /// Requests in flight, upgraded connections too; one more gets 503.
        #[schemars(range(min = 1, max = 1_048_576))]
        requests_max: u64 = 8_192,
        /// HTTP/2 streams a connection.
        #[schemars(range(min = 1, max = 65_536))]
        h2_streams_max: u64 = 256,
        /// HTTP/2 requests taken back before they were looked at; one more ends the connection.
        #[schemars(range(min = 1, max = 65_536))]
        h2_resets_max: u64 = 100,
        /// Connections of each port; one more is closed at once.
        #[schemars(range(min = 1, max = 1_048_576))]
        connections_max: u64 = 4_096,
        /// Memory in bytes that the two marks are percents of; 0 = what the cgroup allows.
        #[schemars(range(min = 0, max = 1_099_511_627_776_u64))]
        memory_bytes_max: u64 = 0,
        /// Above this share of the memory nothing is personalised.
        #[schemars(range(min = 1, max = 100))]
        memory_soft_percent: u64 = 80,
        /// Above this share of the memory new requests get 503.
        #[schemars(range(min = 1, max = 100))]
        memory_hard_percent: u64 = 95,
        /// Events of one request to the track API; one more and the request gets 413.
        #[schemars(range(min = 1, max = 100_000))]
        track_items_max: u64 = 1_000,
        /// Events of one such request with `?debug=1`.
        #[schemars(range(min = 1, max = 10_000))]
        track_debug_items_max: u64 = 100,
        /// Bodies of such requests above so many bytes get 413.
        #[schemars(range(min = 1024, max = 1_073_741_824))]
        track_bytes_max: u64 = 2_097_152,
        /// Bytes of such bodies in memory at a time; past it they get 503.
        #[schemars(range(min = 1024, max = 17_179_869_184_u64))]
        track_held_bytes_max: u64 = 33_554_432,
        /// Days by which an event's time may lie back.
        #[schemars(range(min = 1, max = 36_500))]
        track_age_days_max: u64 = 30,
        /// Seconds by which an event's time may lie ahead of our clock.
        #[schemars(range(min = 0, max = 86_400))]
        track_ahead_seconds_max: u64 = 300,
        /// Last searches on which an edit of the rules can be tried; 0 = none are kept.
        #[schemars(range(min = 0, max = 100_000))]
        preview_searches_max: u64 = 1_000,
        /// Bytes of all of them; 0 = none are kept.
        #[schemars(range(min = 0, max = 1_073_741_824))]
        preview_bytes_max: u64 = 4_194_304,
        /// Of the searches of one second so many are kept.
        #[schemars(range(min = 1, max = 100_000))]
        preview_per_second_max: u64 = 20,
        /// Milliseconds within which an act that traffic shows and the track API reports is one.
        #[schemars(range(min = 0, max = 3_600_000))]
        track_join_ms: u64 = 10_000,
    }
}

section! {
    /// When our own faults switch a route off.
    RawFaults {
        /// So many faults within a minute switch a route off.
        #[schemars(range(min = 1, max = 10_000))]
        per_minute_max: u64 = 5,
        /// Seconds without a fault after which it comes back; 0 = only by an operator.
        #[schemars(range(min = 0, max = 86_400))]
        quiet_seconds: u64 = 300,
    }
}

section! {
    /// What readiness means.
    RawHealth {
        /// `/readyz` says 503 while the shop (without one: Weaviate) accepts no connection.
        ready_needs_upstream: bool = true,
    }
}

section! {
    /// The rules.
    RawRulesFile {
        /// The rules file, from this file's directory; null = the rules built in.
        path: Option<String> = Some("personalization_rules.yaml".into()),
        /// A directory of knowledge tables, from this file's directory; null = those built in.
        knowledge_dir: Option<String> = None,
        /// A model file of `leafrank fit model`, from this file's directory; null = the model built in.
        model: Option<String> = None,
    }
}

section! {
    /// What is kept in memory.
    RawStore {
        /// Bytes of all profiles together, with their index.
        #[schemars(range(min = 16_777_216, max = 1_099_511_627_776_u64))]
        profiles_bytes_max: u64 = 671_088_640,
        /// Seconds between two snapshots of the profiles on disk; 0 = none are read or written.
        #[schemars(range(min = 0, max = 86_400))]
        snapshot_seconds: u64 = 60,
        /// Products in the catalogue.
        #[schemars(range(min = 1, max = 10_000_000))]
        products_max: u64 = 200_000,
        /// Bytes of hits that are remembered as they were written, so that they need not be read
        /// again; 0 = none.
        #[schemars(range(min = 0, max = 1_073_741_824))]
        hits_bytes_max: u64 = 16_777_216,
        /// Products remembered a profile.
        #[schemars(range(min = 1, max = 65_536))]
        products_per_profile_max: u64 = 1_024,
        /// Facets remembered a profile.
        #[schemars(range(min = 1, max = 65_536))]
        facets_per_profile_max: u64 = 512,
        /// Last events remembered a profile; 0 = none.
        #[schemars(range(min = 0, max = 128))]
        events_per_profile_max: u64 = 32,
        /// Facets that one user may have pinned or muted.
        #[schemars(range(min = 1, max = 1_024))]
        choices_per_user_max: u64 = 64,
        /// Facets that all users together may have pinned or muted.
        #[schemars(range(min = 1, max = 10_000_000))]
        choices_max: u64 = 200_000,
        /// Shoppers whose last lists are remembered.
        #[schemars(range(min = 1, max = 10_000_000))]
        recent_max: u64 = 100_000,
        /// Acts, and ids of events, that are remembered to know a double.
        #[schemars(range(min = 0, max = 100_000_000))]
        doubles_max: u64 = 65_536,
        /// Widened searches whose order is remembered for their further pages.
        #[schemars(range(min = 1, max = 10_000_000))]
        orders_max: u64 = 10_000,
        /// Seconds for which it is.
        #[schemars(range(min = 1, max = 86_400))]
        orders_seconds: u64 = 300,
        /// Shoppers whose taste, as the hierarchical preference reads it, is kept until it changes.
        #[schemars(range(min = 1, max = 1_000_000))]
        posteriors_max: u64 = 1_000,
        /// Who may follow profiles live at a time.
        #[schemars(range(min = 0, max = 100_000))]
        live_listeners_max: usize = 256,
    }
}

section! {
    /// The event log.
    RawSpool {
        /// False: nothing is kept of events and decisions.
        enabled: bool = true,
        /// Milliseconds between two writes to the disk; rows of that time are one write.
        #[schemars(range(min = 1, max = 1_000))]
        group_ms: u64 = 10,
        /// Bytes of rows that some sink does not have yet.
        #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
        bytes_max: u64 = 1_073_741_824,
        /// Bytes of rows in memory, on their way to the disk.
        #[schemars(range(min = 65_536, max = 1_073_741_824))]
        queue_bytes_max: u64 = 16_777_216,
        /// Bytes of one row.
        #[schemars(range(min = 4_096, max = 1_048_576))]
        row_bytes_max: u64 = 131_072,
        /// Seconds after which a Parquet file is closed.
        #[schemars(range(min = 1, max = 86_400))]
        batch_seconds: u64 = 60,
        /// Rows with which it is closed earlier.
        #[schemars(range(min = 1, max = 1_000_000))]
        batch_rows_max: u64 = 10_000,
        /// Days for which Parquet files are kept; 0 = for ever.
        #[schemars(range(min = 0, max = 36_500))]
        keep_days: u64 = 400,
        /// Bytes of all Parquet files; 0 = no limit.
        #[schemars(range(min = 0, max = 1_125_899_906_842_624_u64))]
        events_bytes_max: u64 = 10_737_418_240,
    }
}

section! {
    /// Stopping.
    RawShutdown {
        /// Milliseconds of not being ready while still accepting.
        #[schemars(range(min = 0, max = 600_000))]
        lame_duck_ms: u64 = 5_000,
        /// Milliseconds for requests in flight after that.
        #[schemars(range(min = 0, max = 3_600_000))]
        drain_ms: u64 = 20_000,
    }
}
