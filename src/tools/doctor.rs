//! `milena doctor [HOST:PORT]`: looks at a broker and its machine as a client would, and says what to do.
//!
//! It asks in order: does the name resolve, does the port answer, does what answers speak Kafka, do the addresses that clients
//! are told lead back, is the clock right, is there room on the disk, what state is the data directory in. Each finding is one
//! line: `ok`, `hint` or `fail`. It changes nothing, asks two requests in versions that every broker has spoken for ten years,
//! and so looks at other brokers as well.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::config::{Bind, Settings};
use crate::types::Timestamp;

/// Longer than any network a person would keep a client on.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer that is read: the brokers of a cluster, without topics.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Below this, a disk is as good as full for a log.
const LOW_BYTES: u64 = 1 << 30;
/// 2026-01-01, in milliseconds: no clock that is right says less.
const BUILT_AT_MS: i64 = 1_767_225_600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Hint,
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    pub sentence: String,
}

/// Looks at everything, each finding handed to `tell` as it is made. False when something is wrong.
pub fn examine(target: Option<&str>, settings: &Settings, now: Timestamp, tell: &mut dyn FnMut(&Finding)) -> bool {
    let mut all_good = true;
    let mut tell = |finding: Finding| {
        all_good &= finding.verdict != Verdict::Bad;
        tell(&finding);
    };
    let address = target.map_or_else(|| own_address(settings), str::to_string);
    let variable = settings.advertised_by();
    for broker in ask(&address, &mut tell).unwrap_or_default() {
        look_back(&broker, &address, &variable, &mut tell);
    }
    tell(clock(now));
    // Another broker's disk cannot be seen from here.
    if target.is_none() {
        tell(disk(&settings.storage.log_dir));
        tell(directory(&settings.storage.log_dir));
    }
    all_good
}

/// The shortest look, for health checks: does something that speaks Kafka answer there?
pub fn answers(target: Option<&str>, settings: &Settings) -> Result<(), String> {
    let address = target.map_or_else(|| own_address(settings), str::to_string);
    let found = address.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let answer = found.and_then(|found| connect(&found)).and_then(|mut stream| api_count(&mut stream));
    answer.map(drop).map_err(|error| format!("no broker answers on {address}: {error}"))
}

fn good(sentence: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Good, sentence: sentence.into() }
}

fn hint(sentence: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Hint, sentence: sentence.into() }
}

fn bad(sentence: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Bad, sentence: sentence.into() }
}

/// Where the broker of these settings would listen.
fn own_address(settings: &Settings) -> String {
    let listener = settings.net.listeners.iter().find(|listener| !listener.is_for_controllers);
    let port = listener.map_or(9092, |listener| listener.port);
    match listener.map(|listener| listener.bind()) {
        Some(Bind::Host(host)) => with_port(&host, port),
        _ => with_port("localhost", port),
    }
}

fn with_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A broker as Metadata names it.
#[derive(Debug, PartialEq, Eq)]
struct Broker {
    id: i32,
    host: String,
    port: u16,
}

/// Resolves, connects, speaks; the brokers that the answer names.
fn ask(address: &str, tell: &mut impl FnMut(Finding)) -> Option<Vec<Broker>> {
    let found = match address.to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
        Ok(found) if !found.is_empty() => found,
        Ok(_) => return say(tell, bad(format!("{address} has no address; check the name"))),
        Err(error) => {
            return say(
                tell,
                bad(format!("{address} does not resolve ({error}); write HOST:PORT, and check the name")),
            );
        }
    };
    let shown: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
    tell(good(format!("{address} resolves to {}", shown.join(", "))));
    let mut stream = match connect(&found) {
        Ok(stream) => stream,
        Err(error) => {
            let advice = "start the broker, or look whether the port is published and the one in `listeners`";
            return say(tell, bad(format!("nothing takes connections on {address} ({error}); {advice}")));
        }
    };
    tell(good(format!("{address} takes connections")));
    match api_count(&mut stream).and_then(|count| Ok((count, brokers(&mut stream)?))) {
        Ok((count, brokers)) => {
            tell(good(format!("{address} speaks Kafka, {count} kinds of request")));
            Some(brokers)
        }
        Err(error) => {
            let advice = "another program may have the port, or the listener may want TLS";
            say(tell, bad(format!("{address} takes connections but does not speak Kafka ({error}); {advice}")))
        }
    }
}

fn say<T>(tell: &mut impl FnMut(Finding), finding: Finding) -> Option<T> {
    tell(finding);
    None
}

fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Does what clients are told lead to a broker from here?
fn look_back(broker: &Broker, asked: &str, variable: &str, tell: &mut impl FnMut(Finding)) {
    let address = with_port(&broker.host, broker.port);
    let told = format!("clients of {asked} are told to go to {address} (node {})", broker.id);
    if address == asked {
        return tell(good(format!("{told}, which is where they are")));
    }
    let found = match address.to_socket_addrs().map(Iterator::collect::<Vec<_>>) {
        Ok(found) => found,
        Err(error) => {
            return tell(bad(format!(
                "{told}, which does not resolve here ({error}): clients here bootstrap and then hang; name an address they \
                 can reach in {variable}, or use the listener that is meant for them"
            )));
        }
    };
    match connect(&found).and_then(|mut stream| api_count(&mut stream)) {
        Ok(_) if is_only_local(&found) && !is_local(asked) => tell(hint(format!(
            "{told}, which on every other machine means that machine itself; name an address in {variable} that others can \
             reach"
        ))),
        Ok(_) => tell(good(format!("{told}, which answers"))),
        Err(error) => tell(bad(format!(
            "{told}, where nothing that speaks Kafka answers from here ({error}): clients here bootstrap and then hang; name \
             an address they can reach in {variable}"
        ))),
    }
}

fn is_only_local(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| address.ip().is_loopback())
}

fn is_local(address: &str) -> bool {
    address.to_socket_addrs().is_ok_and(|found| is_only_local(&found.collect::<Vec<_>>()))
}

fn clock(now: Timestamp) -> Finding {
    if now.0 < BUILT_AT_MS {
        return bad(
            "the clock of this machine is years behind: records get wrong times and retention removes the wrong ones; set it"
                .to_string(),
        );
    }
    good("the clock of this machine says a time that can be right")
}

fn disk(log_dir: &Path) -> Finding {
    let there = log_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let (shown, stat) = (log_dir.display(), rustix::fs::statvfs(there));
    match stat {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let all = stat.f_blocks.saturating_mul(stat.f_frsize);
            let sentence = format!("{} of {} MiB are free for {shown}", free >> 20, all >> 20);
            match free {
                0..LOW_BYTES => {
                    bad(format!("{sentence}: too little for logs; make room, or lower log.retention.bytes"))
                }
                _ if free < all / 20 => hint(format!("{sentence}: it will soon be full; set log.retention.bytes")),
                _ => good(sentence),
            }
        }
        Err(error) => bad(format!("the file system of {shown} cannot be looked at ({error})")),
    }
}

fn directory(log_dir: &Path) -> Finding {
    let shown = log_dir.display();
    if !log_dir.exists() {
        return good(format!("{shown} does not exist yet; the first start makes it"));
    }
    if log_dir.join("__cluster_metadata-0/quorum-state").exists() || log_dir.join("bootstrap.checkpoint").exists() {
        return bad(format!(
            "{shown} holds data of Apache Kafka, which is not opened in place yet; set log.dirs elsewhere"
        ));
    }
    if let Err(error) = std::fs::read_dir(log_dir) {
        return bad(format!("{shown} cannot be read ({error}); give it to the user that runs the broker"));
    }
    if is_in_use(log_dir) {
        return good(format!("{shown} is in use by a broker"));
    }
    match (log_dir.join("meta.properties").exists(), log_dir.join(".kafka_cleanshutdown").exists()) {
        (false, _) => good(format!("{shown} holds no data yet")),
        (true, true) => good(format!("{shown} was stopped cleanly")),
        (true, false) => hint(format!("{shown} was not stopped cleanly; the next start checks its logs by itself")),
    }
}

fn is_in_use(log_dir: &Path) -> bool {
    let lock = std::fs::File::open(log_dir.join(".lock"));
    lock.is_ok_and(|file| rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).is_err())
}

/// ApiVersions version 0: how many requests the broker knows.
fn api_count(stream: &mut TcpStream) -> io::Result<i32> {
    let mut answer = exchange(stream, 18, 0, &[])?;
    let code = take_i16(&mut answer)?;
    if code != 0 {
        return Err(io::Error::other(format!("it answers with error {code}")));
    }
    take_i32(&mut answer)
}

/// Metadata version 1 for no topic: the brokers.
fn brokers(stream: &mut TcpStream) -> io::Result<Vec<Broker>> {
    let mut answer = exchange(stream, 3, 1, &0_i32.to_be_bytes())?;
    let count = take_i32(&mut answer)?;
    (0..count)
        .map(|_| {
            let (id, host, port) = (take_i32(&mut answer)?, take_text(&mut answer)?, take_i32(&mut answer)?);
            take_text(&mut answer)?;
            Ok(Broker { id, host, port: u16::try_from(port).map_err(|_| garbage())? })
        })
        .collect()
}

/// Sends one request and returns the body of its answer.
fn exchange(stream: &mut TcpStream, key: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    const CLIENT: &[u8] = b"milena-doctor";
    const CORRELATION: i32 = 0x6d69;
    let mut frame = Vec::new();
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&CORRELATION.to_be_bytes());
    frame.extend_from_slice(&(CLIENT.len() as i16).to_be_bytes());
    frame.extend_from_slice(CLIENT);
    frame.extend_from_slice(body);
    stream.write_all(&[&(frame.len() as i32).to_be_bytes(), frame.as_slice()].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|len| (4..=MAX_ANSWER_BYTES).contains(len));
    let mut answer = vec![0; length.ok_or_else(garbage)?];
    stream.read_exact(&mut answer)?;
    if take_i32(&mut answer)? != CORRELATION {
        return Err(garbage());
    }
    Ok(answer)
}

fn garbage() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is not one of Kafka's")
}

fn take<const N: usize>(from: &mut Vec<u8>) -> io::Result<[u8; N]> {
    let taken = from.get(..N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(garbage)?;
    from.drain(..N);
    Ok(taken)
}

fn take_i16(from: &mut Vec<u8>) -> io::Result<i16> {
    take(from).map(i16::from_be_bytes)
}

fn take_i32(from: &mut Vec<u8>) -> io::Result<i32> {
    take(from).map(i32::from_be_bytes)
}

/// A text, or nothing where it is null.
fn take_text(from: &mut Vec<u8>) -> io::Result<String> {
    let Ok(length) = usize::try_from(take_i16(from)?) else { return Ok(String::new()) };
    let text = from.get(..length).ok_or_else(garbage)?.to_vec();
    from.drain(..length);
    String::from_utf8(text).map_err(|_| garbage())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn settings(overrides: &[&str]) -> Settings {
        let overrides = overrides.iter().map(|text| text.to_string()).collect();
        Settings::load(&Sources { overrides, ..Sources::default() }).unwrap()
    }

    fn found(target: Option<&str>, settings: &Settings) -> (bool, Vec<Finding>) {
        let mut all = Vec::new();
        let mut keep = |finding: &Finding| {
            all.push(Finding { verdict: finding.verdict, sentence: finding.sentence.clone() });
        };
        let good = examine(target, settings, Timestamp(BUILT_AT_MS), &mut keep);
        (good, all)
    }

    #[test]
    fn a_closed_port_and_a_name_nobody_knows_are_told_apart() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (good, all) = found(Some(&free), &settings(&[]));
        assert!(!good && all.iter().any(|finding| finding.sentence.contains("nothing takes connections")), "{all:?}");
        let (good, all) = found(Some("no-such-host.invalid:9092"), &settings(&[]));
        assert!(!good && all[0].sentence.contains("does not resolve"), "{all:?}");
    }

    #[test]
    fn a_clock_that_never_was_set_is_wrong() {
        assert_eq!(clock(Timestamp(0)).verdict, Verdict::Bad);
        assert_eq!(clock(Timestamp(BUILT_AT_MS)).verdict, Verdict::Good);
    }

    #[test]
    fn the_state_of_a_directory_is_told() {
        let root = tempfile::tempdir().unwrap();
        let told = || directory(root.path()).sentence;
        assert!(told().contains("holds no data yet"));
        std::fs::write(root.path().join("meta.properties"), "x").unwrap();
        assert!(told().contains("was not stopped cleanly"));
        std::fs::write(root.path().join(".kafka_cleanshutdown"), "x").unwrap();
        assert!(told().contains("was stopped cleanly"));
        std::fs::write(root.path().join("bootstrap.checkpoint"), "x").unwrap();
        assert!(told().contains("Apache Kafka"));
        assert!(directory(&root.path().join("none")).sentence.contains("does not exist yet"));
        assert!(disk(&root.path().join("none/deeper")).sentence.contains("MiB are free"));
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn what_is_not_kafka_is_told_without_much_memory() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        let (good, all) = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = server.accept().unwrap();
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
                let mut sink = Vec::new();
                let _ = stream.read_to_end(&mut sink);
            });
            found(Some(&address), &settings(&[]))
        });
        assert!(!good && all.iter().any(|finding| finding.sentence.contains("does not speak Kafka")), "{all:?}");
    }
}
