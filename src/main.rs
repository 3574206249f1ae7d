//! Reads flags and settings, starts the broker, waits for a signal, stops it in order.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use milena::clock::SystemClock;
use milena::config::{Settings, Sources};
use milena::house::House;
use milena::storage::disk::RealDisk;

const HELP: &str = "\
milena: a broker that speaks the Kafka protocol

  milena [--config server.properties] [--override NAME=VALUE]...
  milena config [--all] [--config FILE] [--override NAME=VALUE]...   what was understood, and from where
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
}

fn main() -> ExitCode {
    milena::memory::give_back_early();
    match parse_flags() {
        Ok(Some(flags)) => run(flags),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{error}; milena --help says what there is")),
    }
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
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            Long("version") | Short('V') => {
                println!("milena {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            Value(word) if word == "config" => flags.show_config = true,
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
    let settings = match Settings::load(&sources) {
        Ok(settings) => settings,
        Err(refusals) => return complain(&refusals.0.join("\nmilena: ")),
    };
    if flags.show_config {
        print!("{}", settings.table(flags.all));
        return ExitCode::SUCCESS;
    }
    start_logging();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("the runtime cannot start: {error}")),
    };
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> ExitCode {
    for remark in &settings.remarks {
        tracing::warn!("{remark}");
    }
    // Handlers first: a signal that comes during the start must not be lost.
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return complain(&format!("cannot listen for signals: {error}")),
    };
    let log_dir = settings.storage.log_dir.clone();
    let house = match House::start(settings, Arc::new(RealDisk), Arc::new(SystemClock::default())).await {
        Ok(house) => house,
        Err(error) => return complain(&error.to_string()),
    };
    let addresses: Vec<String> = house.addresses.iter().map(ToString::to_string).collect();
    let (host, port) = house.broker.advertised(0);
    tracing::info!("listening on {}", addresses.join(" and "));
    tracing::info!("clients are told to connect to {host}:{port}");
    tracing::info!("data lies in {}", log_dir.display());
    tracing::info!("ready; try: kcat -b {host}:{port} -L");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    house.stop().await;
    tracing::info!("stopped");
    ExitCode::SUCCESS
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
}

fn complain(sentence: &str) -> ExitCode {
    eprintln!("milena: {sentence}");
    ExitCode::FAILURE
}
