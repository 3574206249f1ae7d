//! Reads flags and settings, starts the broker, waits for a signal, stops it in order.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use milena::clock::{Clock, SystemClock};
use milena::config::{Advertised, Settings, Sources};
use milena::file::owner;
use milena::house::House;
use milena::storage::disk::RealDisk;
use milena::storage::log_dir;
use milena::tools::doctor::{self, Verdict};
use milena::tools::{self, Tool};

const HELP: &str = "\
milena: a broker that speaks the Kafka protocol

  milena [--config server.properties] [--override NAME=VALUE]...
  milena config [--all] [--config FILE] [--override NAME=VALUE]...   what was understood, and from where;
                               with --properties as a server.properties that says the same, passwords and all
  milena health [HOST:PORT]    exit 0 if a broker answers there, or where these settings put it; for health checks
  milena doctor [HOST:PORT]    looks at a broker as a client would, and at disk, clock and directory; says what to do
  milena tools                 Kafka's command line tools: milena kafka-topics --list, or by their own names after
                               milena tools install DIR; each tells its flags with --help
  milena completions bash      what a shell reads to complete them (zsh, fish)
  milena --version

Settings have Kafka's names. They are read from the file, then from KAFKA_* variables of the environment
(KAFKA_LOG_DIRS is log.dirs), then from --override; later ones win. Without any of them the broker listens on
localhost:9092 and keeps its data in ./milena-data. RUST_LOG sets the log level (default: info).
";

#[derive(Default)]
struct Flags {
    config: Option<PathBuf>,
    overrides: Vec<String>,
    show_config: bool,
    all: bool,
    /// `milena config --properties`
    as_properties: bool,
    /// `milena health`, and the address that was given to it.
    health: Option<Option<String>>,
    /// `milena doctor`, and the address that was given to it.
    doctor: Option<Option<String>>,
}

fn main() -> ExitCode {
    if let Some((tool, arguments)) = called_as_tool() {
        return tool.run(&arguments);
    }
    milena::memory::give_back_early();
    milena::file::descriptors::take_all_there_are();
    match parse_flags() {
        Ok(Some(flags)) => run(flags),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{error}; milena --help says what there is")),
    }
}

/// The name of the program decides, and then the first argument: `kafka-topics --list`, `milena kafka-topics --list` and
/// `milena topics --list` are the same.
fn called_as_tool() -> Option<(&'static Tool, Vec<String>)> {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next()?;
    if let Some(tool) = tools::named(&program) {
        return Some((tool, words.collect()));
    }
    let tool = tools::named(&words.next()?)?;
    Some((tool, words.collect()))
}

fn parse_flags() -> Result<Option<Flags>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut flags = Flags::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("config") => flags.config = Some(parser.value()?.into()),
            Long("override") => flags.overrides.push(parser.value()?.string()?),
            Long("all") => flags.all = true,
            Long("properties") => flags.as_properties = true,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            Long("version") | Short('V') => {
                println!("milena {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            Value(word) if flags.doctor.is_some() => flags.doctor = Some(Some(word.string()?)),
            Value(word) if flags.health.is_some() => flags.health = Some(Some(word.string()?)),
            Value(word) if word == "config" => flags.show_config = true,
            Value(word) if word == "health" => flags.health = Some(None),
            Value(word) if word == "doctor" => flags.doctor = Some(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(flags))
}

fn run(flags: Flags) -> ExitCode {
    let sources = match Sources::of_process(flags.config.as_deref(), flags.overrides) {
        Ok(sources) => sources,
        Err(error) => return complain(&error),
    };
    let mut settings = match Settings::load(&sources) {
        Ok(settings) => settings,
        Err(refusals) => return complain(&refusals.0.join("\nmilena: ")),
    };
    if flags.show_config && flags.as_properties {
        print!("{}", settings.as_properties());
        return ExitCode::SUCCESS;
    }
    if flags.show_config {
        print!("{}", settings.table(flags.all));
        settings.remarks.iter().for_each(|remark| println!("note: {remark}"));
        return ExitCode::SUCCESS;
    }
    if let Some(target) = flags.doctor {
        return examine(target.as_deref(), &settings);
    }
    if let Some(target) = flags.health {
        return match doctor::answers(target.as_deref(), &settings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(sentence) => complain(&sentence),
        };
    }
    if settings.in_image {
        match leave_root(&settings.storage.log_dir) {
            Ok(None) => {}
            Ok(Some(remark)) => settings.remarks.push(remark),
            Err(sentence) => return complain(&sentence),
        }
    }
    start_logging(settings.log_level.as_deref());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("the runtime cannot start: {error}")),
    };
    let code = runtime.block_on(serve(settings));
    // Nothing is waited for any more: what matters has been flushed, or had its time.
    runtime.shutdown_background();
    code
}

/// An image starts as root, so that it can make a volume its own; the broker is not to stay it. Returns what is to be said if
/// it does. A directory that Apache Kafka has used keeps its owner.
fn leave_root(log_dir: &Path) -> Result<Option<String>, String> {
    log_dir::refuse_apache_kafka(&RealDisk, log_dir).map_err(|error| error.to_string())?;
    Ok(owner::step_down(log_dir).err())
}

fn examine(target: Option<&str>, settings: &Settings) -> ExitCode {
    let now = SystemClock::default().now().wall;
    let is_well = doctor::examine(target, settings, now, &mut |finding| {
        let verdict = match finding.verdict {
            Verdict::Good => "ok  ",
            Verdict::Hint => "hint",
            Verdict::Bad => "fail",
        };
        println!("{verdict}  {}", finding.sentence);
    });
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long a stop may take: Docker sends SIGKILL 10 s after SIGTERM.
const STOP_PATIENCE: Duration = Duration::from_secs(9);

async fn serve(settings: Settings) -> ExitCode {
    for remark in &settings.remarks {
        tracing::warn!("{remark}");
    }
    // Handlers first: a signal that comes during the start must not be lost.
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return complain(&format!("cannot listen for signals: {error}")),
    };
    let in_image = settings.in_image;
    let mut signalled = pin!(async move {
        tokio::select! {
            _ = terminate.recv() => stopped_by(15, in_image),
            _ = interrupt.recv() => stopped_by(2, in_image),
        }
    });
    let speaks_to_scripts = settings.in_image || !std::io::stdout().is_terminal();
    let log_dir = settings.storage.log_dir.clone();
    let start = House::start(settings, Arc::new(RealDisk), Arc::new(SystemClock::default()));
    let house = tokio::select! {
        // A long recovery is given up like a kill: the next start does it again.
        code = &mut signalled => return code,
        started = start => match started {
            Ok(house) => house,
            Err(error) => return complain(&error.to_string()),
        }
    };
    say_ready(&house, &log_dir);
    if speaks_to_scripts {
        print_readiness(&house);
    }
    let code = signalled.await;
    tracing::info!("stopping");
    if tokio::time::timeout(STOP_PATIENCE, house.stop()).await.is_err() {
        tracing::warn!("stopped without waiting any longer; the next start will check the logs");
        return ExitCode::FAILURE;
    }
    tracing::info!("stopped");
    code
}

/// A clean stop is a success; in an image it is what a JVM ends with, 143 or 130, which those who watch a container know.
fn stopped_by(signal: u8, in_image: bool) -> ExitCode {
    if in_image { ExitCode::from(128 + signal) } else { ExitCode::SUCCESS }
}

fn say_ready(house: &House, log_dir: &Path) {
    let addresses: Vec<String> = house.addresses.iter().map(ToString::to_string).collect();
    tracing::info!("listening on {}", addresses.join(" and "));
    let listeners = house.broker.settings.net.listeners.iter().enumerate();
    for (index, listener) in listeners.filter(|(_, listener)| !listener.is_for_controllers) {
        let Advertised { host, port } = house.broker.advertised(index);
        tracing::info!("clients of listener {} are told to connect to {host}:{port}", listener.name);
    }
    tracing::info!("data lies in {}", log_dir.display());
    let Advertised { host, port } = house.broker.advertised(0);
    tracing::info!("ready; try: kcat -b {host}:{port} -L");
}

/// The lines by which test tools and scripts know that a broker in a container is ready: Kafka's own, with and without
/// ZooKeeper, each exactly once, whatever the log level.
fn print_readiness(house: &House) {
    let id = house.broker.node_id;
    let mut out = std::io::stdout().lock();
    // Nobody may be reading; that is no reason to stop.
    let _ = writeln!(
        out,
        "[BrokerLifecycleManager id={id}] The broker has been unfenced. Transitioning from RECOVERY to RUNNING. \
         (kafka.server.BrokerLifecycleManager)\n\
         [KafkaRaftServer nodeId={id}] Kafka Server started (kafka.server.KafkaRaftServer)\n\
         [KafkaServer id={id}] started (kafka.server.KafkaServer)"
    );
    if house.broker.settings.is_confluents() {
        // What a cluster's controller says over and over; a test tool waits for it once its settings are made.
        let _ = writeln!(
            out,
            "[Controller id={id}] Checking need to trigger auto leader balancing (kafka.controller.KafkaController)"
        );
    }
    let _ = out.flush();
}

/// `RUST_LOG` says it best; an image may have been told a level in Kafka's words.
fn start_logging(level: Option<&str>) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level.unwrap_or("info")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // When nobody reads stderr any more, a complaint about it on stderr would be a panic.
        .log_internal_errors(false)
        .init();
}

fn complain(sentence: &str) -> ExitCode {
    eprintln!("milena: {sentence}");
    ExitCode::FAILURE
}
