//! The two ends of the load script, in one small program.
//!
//! `gear upstream` is a shop that answers every request at once from memory: 20 hits (13 KB), or
//! 100 (66 KB) when the request's body asks for `"limit":100`. Like LeafLoaf it writes other ids into
//! each reply, so that no two in a row are the same bytes. It prints its port.
//! `gear pace SECONDS RATE CONNECTIONS NAME=PORT=FILE…` sends each target the requests of its file
//! (apart by a line of `%`) at a fixed rate, all targets in turn within each tick, and prints a line
//! a target: name, requests, errors, and the latency's percentiles in µs.
//! The shop is one thread with one event loop, as shops are; the pace has a blocking thread a
//! connection, so that no request waits for another's reply.
//! `gear grpc-upstream` and `gear grpc …` are both ends of gRPC: [`grpc`].

mod grpc;
mod messages;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CATEGORIES: [&str; 6] =
    ["Dairy/Milk", "Dairy/Plant-Based", "Dairy/Cream", "Pantry/Milk", "Baby/Milk", "Frozen/Milk"];
const SUPPLIERS: [&str; 9] = [
    "Hilltop Farm",
    "Oat & Co",
    "Three Mills",
    "Northshore",
    "Casa Verde",
    "Blue Barn",
    "Old Creek",
    "Sunday Dairy",
    "Alder Lane",
];
const KINDS: [&str; 7] = ["Whole", "Oat", "Skim", "Almond", "Goat", "Soy", "Lactose-Free"];
const DIETS: [&str; 5] = ["organic", "vegan", "gluten-free", "local", "kosher"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["upstream"] => upstream(),
        ["pace", seconds, rate, connections, targets @ ..] => {
            let number = |text: &str| text.parse::<f64>().unwrap_or(1.0);
            pace(number(seconds), number(rate), number(connections) as usize, targets)
        }
        ["grpc-upstream"] => grpc::upstream(),
        ["grpc", port, seconds, streams, hits, kind, calls @ ..] => {
            let number = |text: &str| text.parse::<f64>().unwrap_or(1.0);
            let (streams, hits) = (number(streams) as usize, number(hits) as usize);
            let calls = calls.first().map_or(usize::MAX, |calls| number(calls) as usize);
            grpc::load(port, (number(seconds), calls), streams, hits, kind)
        }
        _ => {
            eprintln!(concat!(
                "gear upstream | gear pace SECONDS RATE CONNECTIONS NAME=PORT=FILE… | ",
                "gear grpc-upstream | gear grpc PORT SECONDS STREAMS HITS KIND [CALLS]"
            ));
            return ExitCode::from(64);
        }
    }
    .map_or_else(
        |error| {
            eprintln!("gear: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Replies that differ in their products' ids, taken in turn.
const EDITIONS: usize = 8;

/// A reply in the shape of LeafLoaf's search, some 650 bytes a hit.
fn reply(hits: usize, edition: usize) -> Vec<u8> {
    let hit = |n: usize| {
        let (kind, supplier) = (KINDS[n * 3 % KINDS.len()], SUPPLIERS[n * 7 % SUPPLIERS.len()]);
        let (one, other) = (DIETS[n % DIETS.len()], DIETS[(n * 3 + 1) % DIETS.len()]);
        let category = CATEGORIES[n * 5 % CATEGORIES.len()];
        format!(
            concat!(
                r#"{{"product_id":"{a:08x}-e{edition:03}-4d1a-9c3e-{b:012x}","sku":"SKU-{n:05}","#,
                r#""product_name":"{supplier} {style} {kind} Milk {size} oz","#,
                r#""product_description":"A creamy, all-purpose pick for coffee, cereal and baking "#,
                r#"\u2014 made in small batches, {one} and shipped cold within a day of bottling. "#,
                r#"Ingredients: water, oats, canola oil, calcium carbonate, sea salt, vitamins "#,
                r#"{{A, D2, B12}}. Keep refrigerated and use within ten days of opening; shake well "#,
                r#"before each use, and recycle the carton where your town takes it.","price":{price}.{cents:02},"supplier":"{supplier}","#,
                r#""category":"{category}","dietary_info":["{one}","{other}"],"in_stock":true,"#,
                r#""score":null}}"#
            ),
            a = ((n + 1_000 * edition) * 2_654_435_761) % 0xffff_ffff,
            b = ((n + 1_000 * edition) * 11_400_714_819) % 0xffff_ffff_ffff,
            // Escapes are rare in names, and there.
            style = if n % 5 == 0 { "\\\"Barista\\\"" } else { "Barista" },
            size = 16 + n * 8 % 64,
            n = n,
            edition = edition,
            kind = kind,
            supplier = supplier,
            category = category,
            one = one,
            other = other,
            price = 2 + n % 9,
            cents = n * 37 % 100,
        )
    };
    let all: Vec<String> = (1..=hits).map(hit).collect();
    let text = format!(
        concat!(
            r#"{{"success":true,"query":"milk","results":null,"products":[{all}],"metadata":{{"#,
            r#""total_count":{hits},"search_config":{{"strategy":"hybrid","alpha":0.5}}}},"#,
            r#""execution":{{"total_time_ms":1.0}},"conversation":{{"intent":"product_search"}},"#,
            r#""message":"Found {hits} products matching your search.","error":null,"#,
            r#""pagination":null,"langsmith_trace_url":null,"suggestions":null,"order":null}}"#
        ),
        all = all.join(","),
        hits = hits,
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    [head.into_bytes(), text.into_bytes()].concat()
}

/// By length, then edition.
type Replies = Rc<[[Vec<u8>; EDITIONS]; 2]>;

fn upstream() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let editions = |hits| std::array::from_fn(|edition| reply(hits, edition));
        let replies: Replies = Rc::new([editions(20), editions(100)]);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(answer(stream, replies.clone()));
        }
    })
}

/// Answers requests until the peer leaves.
async fn answer(mut stream: tokio::net::TcpStream, replies: Replies) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut edition = 0;
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        while let Some((head, length)) = whole_message(&buffer) {
            let many = find(&buffer[head..length], b"\"limit\":100").is_some();
            buffer.drain(..length);
            edition = (edition + 1) % EDITIONS;
            stream.write_all(&replies[usize::from(many)][edition]).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Where the head of the first message ends and where the message does, once it is all there.
fn whole_message(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = find(buffer, b"\r\n\r\n")?;
    let length = end + 4 + content_length(&buffer[..end]);
    (buffer.len() >= length).then_some((end + 4, length))
}

/// Reads until one message is in `buffer`; false when the peer has left.
fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut chunk = [0; 64 * 1024];
    while whole_message(buffer).is_none() {
        match stream.read(&mut chunk)? {
            0 => return Ok(false),
            read => buffer.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(true)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let lengths = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

/// What one connection measured.
#[derive(Default)]
struct Measured {
    latencies_us: Vec<u64>,
    errors: usize,
}

fn pace(seconds: f64, rate: f64, connections: usize, targets: &[&str]) -> std::io::Result<()> {
    let start = Instant::now() + Duration::from_millis(200);
    let tick = Duration::from_secs_f64(connections as f64 / rate);
    let lanes = (connections * targets.len()) as u32;
    let mut running = Vec::new();
    for (place, target) in targets.iter().enumerate() {
        let mut parts = target.splitn(3, '=');
        let (name, port, file) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(port), Some(file)) = (name, port, file) else { continue };
        let requests: Arc<Vec<String>> =
            Arc::new(std::fs::read_to_string(file)?.split("%\n").map(str::to_owned).collect());
        let lane = |connection: usize| {
            let (port, requests) = (port.parse().unwrap_or(0), requests.clone());
            let first = start + tick * ((connection * targets.len() + place) as u32) / lanes;
            let count = (seconds / tick.as_secs_f64()) as usize;
            std::thread::spawn(move || converse(port, &requests, connection, (first, tick, count)))
        };
        running.push((name, (0..connections).map(lane).collect::<Vec<_>>()));
    }
    for (name, lanes) in running {
        let mut all = Measured::default();
        for lane in lanes {
            let one = lane.join().unwrap_or(Measured { errors: 1, ..Measured::default() });
            all.latencies_us.extend(one.latencies_us);
            all.errors += one.errors;
        }
        all.latencies_us.sort_unstable();
        let last = all.latencies_us.len().saturating_sub(1) as f64;
        let at = |share: f64| all.latencies_us.get((last * share) as usize).copied().unwrap_or(0);
        let (count, errors) = (all.latencies_us.len(), all.errors);
        println!("{name} {count} {errors} {} {} {} {}", at(0.0), at(0.5), at(0.9), at(0.99));
    }
    Ok(())
}

/// Sends `count` requests on one connection, one each `tick`.
fn converse(
    port: u16,
    requests: &[String],
    offset: usize,
    (first, tick, count): (Instant, Duration, usize),
) -> Measured {
    let mut measured = Measured::default();
    let opened = TcpStream::connect(("127.0.0.1", port)).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(stream)
    });
    let Ok(mut stream) = opened else { return Measured { errors: count, ..measured } };
    let mut buffer = Vec::with_capacity(128 * 1024);
    for number in 0..count {
        let due = first + tick * number as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let request = &requests[(offset * 31 + number) % requests.len()];
        let sent = Instant::now();
        buffer.clear();
        let answered = stream
            .write_all(request.as_bytes())
            .and_then(|()| read_message(&mut stream, &mut buffer));
        match answered {
            Ok(true) if buffer.starts_with(b"HTTP/1.1 200") => {
                measured.latencies_us.push(sent.elapsed().as_micros() as u64);
            }
            _ => {
                measured.errors += count - number;
                return measured;
            }
        }
    }
    measured
}
