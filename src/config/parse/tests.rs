//! Settings: every fault told in one run, precedence, contradictions.

use std::time::Duration;

use super::super::*;
use super::*;

fn parse_with(
    text: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Settings, Vec<Problem>> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let environment: BTreeMap<String, String> = environment.iter().map(own).collect();
    let flags: Vec<(String, String)> = flags.iter().map(own).collect();
    let (environment, flags) = (&environment, &flags[..]);
    Settings::parse(&SettingsText { file: Some("etc/leafrank.yaml"), text, environment, flags })
}

fn problems(text: &str) -> Vec<String> {
    match parse_with(text, &[], &[]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn faults_of_form_range_and_between_sections_are_all_told_in_one_run() {
    let text = "\
upstream:
  adresses: [http://127.0.0.1:8000]
  idle_timeout_ms: 4s
limits:
  hold_ms: 0
  rank_us: 900000
  hold_ms: 5
listen:
  api: localhost:8081
  ops: 127.0.0.1:8080
presets: [leaflof]
mode: shadows
";
    assert_eq!(
        problems(text),
        [
            "etc/leafrank.yaml:2:3: upstream.adresses: unknown key; expected one of addresses, \
             connect_timeout_ms, health_interval_ms, idle_connections_max, idle_timeout_ms, \
             protocol, response_timeout_ms, tls — did you mean \"addresses\"?",
            "etc/leafrank.yaml:3:20: upstream.idle_timeout_ms: found text \"4s\"; \
             expected a whole number of milliseconds from 1 to 3600000",
            "etc/leafrank.yaml:5:12: limits.hold_ms: found 0; \
             expected a whole number of milliseconds from 1 to 60000",
            "etc/leafrank.yaml:6:12: limits.rank_us: found 900000; expected no more than hold_ms",
            "etc/leafrank.yaml:7:3: limits.hold_ms: duplicate key, first on line 5; \
             expected it once",
            "etc/leafrank.yaml:9:8: listen.api: found \"localhost:8081\"; expected address:port \
             such as 127.0.0.1:8080 — did you mean \"127.0.0.1:8081\"?",
            "etc/leafrank.yaml:10:8: listen.ops: 127.0.0.1:8080 is already listen.data[0]; \
             expected another port",
            "etc/leafrank.yaml:11:11: presets[0]: found \"leaflof\"; \
             expected one of leafloaf, weaviate, demo — did you mean \"leafloaf\"?",
            "etc/leafrank.yaml:12:7: mode: found text \"shadows\"; \
             expected one of off, shadow, on, annotate — did you mean \"shadow\"?",
        ]
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (text, key) in [
        ("upstream: {addresses: []}", "upstream.addresses"),
        ("upstream: {addresses: [http://a:1, https://b:1]}", "upstream.addresses"),
        ("upstream: {addresses: [https://a, https://b]}", "upstream.tls.server_name"),
        ("upstream: {addresses: [http://a], tls: {server_name: a}}", "upstream.tls"),
        ("upstream: {addresses: [http://localhost:8080]}", "upstream.addresses[0]"),
        ("listen: {data: ['0.0.0.0:8081']}", "listen.api"),
        ("listen: {data: ['127.0.0.1:80', '127.0.0.1:80']}", "listen.data[1]"),
        ("listen: {tls: {certificate: a.pem}}", "listen.tls.key"),
        ("listen: {own_paths: {prefix: leafrank}}", "listen.own_paths.prefix"),
        ("identity: {user: ['path:id']}", "identity.user[0]"),
        ("limits: {request_bytes_max: 10}", "limits.peek_bytes_max"),
        ("presets: [demo, demo]", "presets[1]"),
        ("holdout: 2", "holdout"),
    ] {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:#?}");
        assert!(problems[0].contains(&format!(": {key}: ")), "{text}: {}", problems[0]);
    }
}

#[test]
fn routes_with_faults_are_refused_each_at_its_key() {
    let hits = "hits: {at: /p, id: /sku}";
    for (route, key) in [
        (
            format!(
                "{{name: a, path: /a, search: {{{hits}}}, event: {{product: ['query:x'], kind: view}}}}"
            ),
            "",
        ),
        ("{name: a, path: /a}".into(), ""),
        (format!("{{path: /a, search: {{{hits}}}}}"), ".name"),
        (format!("{{name: a, path: a, search: {{{hits}}}}}"), ".path"),
        (format!("{{name: a, path: /a, method: get, search: {{{hits}}}}}"), ".method"),
        ("{name: a, path: /a, search: {hits: {at: /p}}}".into(), ".search.hits.id"),
        ("{name: a, path: /a, search: {hits: {at: p, id: /sku}}}".into(), ".search.hits.at"),
        (
            format!("{{name: a, path: /a, search: {{query: ['path:q'], {hits}}}}}"),
            ".search.query[0]",
        ),
        (
            format!("{{name: a, path: /a, search: {{sort: [{{from: s}}], {hits}}}}}"),
            ".search.sort[0].from",
        ),
        (
            format!("{{name: a, path: /a, search: {{only_if: [{{at: /x, is: []}}], {hits}}}}}"),
            ".search.only_if[0].is",
        ),
        ("{name: a, path: /a, event: {kind: vue, product: ['query:x']}}".into(), ".event.kind"),
        ("{name: a, path: /a, event: {product: ['query:x']}}".into(), ".event.kind"),
        ("{name: a, path: /a, event: {kind: view}}".into(), ".event.product"),
        (
            "{name: a, path: /a, event: {kind: view, product: ['query:x'], kinds: {x: y}}}".into(),
            ".event.kinds.x",
        ),
        (
            "{name: a, path: /a, event: {kind: view, product: ['query:x'], facts: {id: /x}}}"
                .into(),
            ".event.facts.id",
        ),
    ] {
        let problems = problems(&format!("routes:\n  - {route}\n"));
        assert_eq!(problems.len(), 1, "{route}: {problems:#?}");
        assert!(problems[0].contains(&format!(": routes[0]{key}: ")), "{route}: {}", problems[0]);
        assert!(problems[0].starts_with("etc/leafrank.yaml:2:"), "{}", problems[0]);
    }
    let two = |second: &str| {
        let event = "event: {kind: view, product: ['query:x']}";
        problems(&format!(
            "routes:\n  - {{name: a, path: /a, {event}}}\n  - {{{second}, {event}}}\n"
        ))
    };
    assert!(two("name: a, path: /b")[0].contains("routes[1].name: \"a\" a second time"));
    assert!(two("name: b, method: GET, path: /a")[0].contains("never reached"));
    assert!(two("name: b, path: /b").is_empty());
}

#[test]
fn own_routes_come_first_and_replace_presets_of_the_same_name() {
    let settings = parse_with(
        "routes:\n  - name: leafloaf-search\n    path: /find\n    \
         search: {mode: on, hits: {at: '', id: /id}}\n",
        &[],
        &[],
    )
    .unwrap();
    let names: Vec<&str> = settings.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(
        names,
        ["leafloaf-search", "leafloaf-order", "leafloaf-track", "leafloaf-reset", "leafloaf-click"]
    );
    assert_eq!(settings.routes[0].path, PathPattern(vec![Segment::Literal("find".into())]));
    assert!(!settings.routes[0].read && settings.routes[0].method.is_none());
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults_and_each_origin_is_kept() {
    let settings = parse_with(
        "limits: {hold_ms: 10, rank_us: 20}\nholdout: 0.5\n",
        &[
            ("LEAFRANK_LIMITS__HOLD_MS", "30"),
            ("LEAFRANK_LIMITS__IN_FLIGHT_MAX", "40"),
            ("HOME", "/"),
        ],
        &[("limits.hold_ms", "50")],
    )
    .unwrap();
    assert_eq!((settings.limits.hold_ms, settings.limits.rank_us), (50, 20));
    assert_eq!((settings.limits.in_flight_max, settings.limits.h2_streams_max), (40, 256));
    let origin = |key: &str| settings.effective.iter().find(|e| e.key == key).unwrap().origin;
    assert_eq!(origin("limits.hold_ms"), Origin::Flag);
    assert_eq!(origin("limits.in_flight_max"), Origin::Environment);
    assert_eq!(origin("holdout"), Origin::File);
    assert_eq!(origin("limits.h2_streams_max"), Origin::Default);
}

#[test]
fn variables_take_lists_text_null_and_nested_sections() {
    let settings = parse_with(
        "",
        &[
            ("LEAFRANK_UPSTREAM__ADDRESSES", "https://10.0.0.1, https://10.0.0.1:444"),
            ("LEAFRANK_UPSTREAM__TLS__SERVER_NAME", "shop.example"),
            ("LEAFRANK_IDENTITY__USER", "[\"cookie:a,b\"]"),
            ("LEAFRANK_DATA_DIR", "0123"),
            ("LEAFRANK_LISTEN__API", "null"),
            ("LEAFRANK_RULES__PATH", "/etc/rules.yaml"),
        ],
        &[],
    )
    .unwrap();
    let upstream = settings.upstream.unwrap();
    assert_eq!(upstream.addresses.len(), 2);
    assert_eq!(upstream.tls.unwrap().server_name, "shop.example");
    assert_eq!(settings.identity.user, [Source::Cookie("a,b".into())]);
    assert_eq!(settings.data_dir, PathBuf::from("0123"));
    assert_eq!(settings.listen.api, None);
    assert_eq!(settings.rules.path, Some(PathBuf::from("/etc/rules.yaml")));
    assert!(!settings.rules.may_be_missing);
}

#[test]
fn problems_in_variables_and_flags_name_them() {
    let problems = parse_with(
        "holdout: 9\n",
        &[
            ("LEAFRANK_HOLD_MS", "1"),
            ("LEAFRANK_LIMITS_HOLD_MS", "1"),
            ("LEAFRANK_LIMITS", "{}"),
            ("LEAFRANK_LIMITS__RANK_US", "fast"),
            ("LEAFRANK_ROUTES", "[{name: "),
        ],
        &[("mode", "onn")],
    )
    .unwrap_err();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let starts = [
        "etc/leafrank.yaml:1:10: holdout: found 9",
        "LEAFRANK_HOLD_MS: hold_ms: unknown key; expected one of",
        "LEAFRANK_LIMITS: limits: a section; expected one of its keys, such as LEAFRANK_LIMITS__",
        "LEAFRANK_LIMITS_HOLD_MS: limits_hold_ms: unknown key; expected one of",
        "LEAFRANK_ROUTES:1:",
        "LEAFRANK_LIMITS__RANK_US: limits.rank_us: found text \"fast\"",
        "flag mode: mode: found text \"onn\"",
    ];
    for start in starts {
        assert!(lines.iter().any(|line| line.starts_with(start)), "{start}: {lines:#?}");
    }
    assert!(lines.iter().any(|l| l.ends_with("did you mean \"LEAFRANK_LIMITS__HOLD_MS\"?")));
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
}

#[test]
fn what_kubernetes_sets_beside_a_service_of_our_name_is_left_alone() {
    let environment = [
        ("LEAFRANK_SERVICE_HOST", "10.96.0.7"),
        ("LEAFRANK_SERVICE_PORT", "8080"),
        ("LEAFRANK_SERVICE_PORT_DATA", "8080"),
        ("LEAFRANK_PORT", "tcp://10.96.0.7:8080"),
        ("LEAFRANK_PORT_8080_TCP", "tcp://10.96.0.7:8080"),
        ("LEAFRANK_PORT_8080_TCP_ADDR", "10.96.0.7"),
        ("LEAFRANK_API_PORT_8081_TCP_PROTO", "tcp"),
    ];
    assert!(parse_with("", &environment, &[]).is_ok());
}

#[test]
fn one_url_is_enough_and_starts_in_shadow_mode_with_the_rules_built_in() {
    let none = BTreeMap::new();
    let settings = Settings::for_upstream("http://shop:8000", &none, &[]).unwrap();
    let address = UpstreamAddress::Tcp { host: "shop".into(), port: 8000 };
    let upstream = settings.upstream.unwrap();
    assert_eq!(upstream.addresses, [address]);
    assert_eq!((settings.mode, settings.rules.path), (Mode::Shadow, None));
    assert_eq!(upstream.idle_timeout, Duration::from_secs(4));
    assert!(Settings::for_upstream("http://shop/path", &none, &[]).is_err());
}

#[test]
fn any_text_gives_settings_or_problems_and_never_a_panic() {
    bolero::check!().with_iterations(500).for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let _ = parse_with(&text, &[("LEAFRANK_ROUTES", &text)], &[("upstream.addresses", &text)]);
    });
}

/// Random bytes are rarely settings; the shipped file with one line changed nearly is.
#[test]
fn the_shipped_file_with_any_line_mangled_never_panics() {
    let text = include_str!("../../../config/leafrank.yaml");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().starts_with('#')).collect();
    for number in 0..lines.len() {
        for mangle in ["", "  : [", "x: {a: [1, {b: ~}]}", "\t- &a *a", "- - -"] {
            let mut lines = lines.clone();
            lines[number] = mangle;
            let _ = parse_with(&lines.join("\n"), &[], &[]);
        }
    }
}
