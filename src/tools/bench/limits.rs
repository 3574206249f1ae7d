//! What the machine itself takes, which no broker on it can go below: a copy over loopback, a write to pages that the page
//! cache does not have yet, a flush. One thread does both ends, so that its CPU is the whole cost.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::meter::{cpu_seconds, machine_seconds};
use super::produce::quantile;
use super::{Figures, bad, size};
use crate::clock::Stopwatch;
use crate::tools::Failure;
use crate::tools::flags::Flags;

pub fn measure(flags: &Flags) -> Result<Figures, Failure> {
    let directory = flags.value("dir").ok_or_else(|| bad("limits: --dir DIR, on the disk of the brokers".into()))?;
    let bytes = size(flags, "bytes", 1 << 30)?;
    let path = Path::new(directory).join(format!("milena-bench-limits-{}", std::process::id()));
    let found = all(&path, bytes).map_err(|error| bad(format!("{}: {error}", path.display())));
    // Nothing of it is of use to anybody.
    let _ = std::fs::remove_file(&path);
    found
}

fn all(path: &Path, bytes: u64) -> io::Result<Figures> {
    let busy = machine_seconds();
    let mut figures = Figures::new();
    let (send, receive) = loopback(bytes)?;
    figures.extend([("loopback_send_cpu_s_per_GB", send), ("loopback_receive_cpu_s_per_GB", receive)]);
    figures.push(("round_trip_p50_us", round_trips(10_000)? * 1e3));
    for (name, piece) in [("new_pages_64K_cpu_s_per_GB", 64 << 10), ("new_pages_16K_cpu_s_per_GB", 16 << 10)] {
        figures.push((name, new_pages(path, bytes, piece)?));
    }
    let mut waits = flushes(path, 200)?;
    figures.extend([("fdatasync_p50_ms", quantile(&mut waits, 0.5)), ("fdatasync_p99_ms", quantile(&mut waits, 0.99))]);
    figures.push(("machine_cpu_s", machine_seconds() - busy));
    Ok(figures)
}

/// CPU seconds of this process, by user and kernel together.
fn cpu() -> f64 {
    cpu_seconds(std::process::id()).map_or(f64::NAN, |(user, system)| user + system)
}

fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

/// CPU seconds per GB of sending and of receiving, in pieces that the socket holds. They are told apart by time: the thread
/// never waits, so its CPU is divided as the time is.
fn loopback(bytes: u64) -> io::Result<(f64, f64)> {
    const PIECE: usize = 64 << 10;
    let (mut near, mut far) = pair()?;
    let (piece, mut taken) = (vec![7; PIECE], vec![0; PIECE]);
    let (before, mut sending, mut receiving) = (cpu(), 0.0, 0.0);
    for _ in 0..bytes / PIECE as u64 {
        let watch = Stopwatch::start();
        near.write_all(&piece)?;
        let sent = watch.elapsed();
        far.read_exact(&mut taken)?;
        sending += sent.as_secs_f64();
        receiving += (watch.elapsed() - sent).as_secs_f64();
    }
    let per_gb = (cpu() - before) / (bytes as f64 / 1e9);
    Ok((per_gb * sending / (sending + receiving), per_gb * receiving / (sending + receiving)))
}

/// Half-way milliseconds of a byte there and back, without another thread to be woken.
fn round_trips(count: usize) -> io::Result<f64> {
    let (mut near, mut far) = pair()?;
    let mut byte = [0];
    let mut waits = Vec::with_capacity(count);
    for _ in 0..count {
        let watch = Stopwatch::start();
        near.write_all(&[1])?;
        far.read_exact(&mut byte)?;
        far.write_all(&byte)?;
        near.read_exact(&mut byte)?;
        waits.push(watch.elapsed().as_nanos() as u64);
    }
    Ok(quantile(&mut waits, 0.5))
}

/// CPU seconds per GB of appending to a file whose room was set aside, as a log is written.
fn new_pages(path: &Path, bytes: u64, piece: usize) -> io::Result<f64> {
    let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
    let piece_bytes = vec![3; piece];
    let before = cpu();
    let mut position = 0;
    while position < bytes {
        if position % (16 << 20) == 0 {
            // Where the file system cannot, writing takes the room itself.
            let _ =
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, position, (16 << 20).min(bytes));
        }
        file.write_all_at(&piece_bytes, position)?;
        position += piece as u64;
    }
    Ok((cpu() - before) / (position as f64 / 1e9))
}

/// Nanoseconds of a flush of 64 KiB each.
fn flushes(path: &Path, count: u64) -> io::Result<Vec<u64>> {
    let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
    let piece = vec![5; 64 << 10];
    let mut waits = Vec::new();
    for index in 0..count {
        file.write_all_at(&piece, index * piece.len() as u64)?;
        let watch = Stopwatch::start();
        file.sync_data()?;
        waits.push(watch.elapsed().as_nanos() as u64);
    }
    Ok(waits)
}
