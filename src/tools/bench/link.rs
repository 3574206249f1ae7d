//! Connections that are driven without blocking: frames out, frames in, and a wait for whichever can go on.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Target, bad};
use crate::tools::Failure;

/// How much one read may bring.
const READ_BYTES: usize = 256 << 10;
/// What a broker may answer at most.
const LARGEST_ANSWER: usize = 1 << 30;

pub struct Link {
    stream: TcpStream,
    /// Frames to be written, and how much of the first has been.
    outgoing: VecDeque<Rc<Vec<u8>>>,
    written: usize,
    /// What has come and is not taken: `received[begin..end]`.
    received: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Link {
    pub fn open(target: &Target) -> Result<Link, Failure> {
        let lost = |error: io::Error| bad(format!("{}: {error}", target.servers));
        let stream = TcpStream::connect_timeout(&target.address, Duration::from_secs(10)).map_err(lost)?;
        stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).map_err(lost)?;
        Ok(Link { stream, outgoing: VecDeque::new(), written: 0, received: Vec::new(), begin: 0, end: 0 })
    }

    /// Puts a frame behind those that wait, and writes what the socket takes.
    pub fn send(&mut self, frame: Rc<Vec<u8>>) -> Result<(), Failure> {
        self.outgoing.push_back(frame);
        self.write()
    }

    pub fn write(&mut self) -> Result<(), Failure> {
        while !self.outgoing.is_empty() {
            let waiting = self.outgoing.iter().take(16).enumerate();
            let slices: Vec<IoSlice<'_>> =
                waiting.map(|(at, frame)| IoSlice::new(&frame[if at == 0 { self.written } else { 0 }..])).collect();
            match (&self.stream).write_vectored(&slices) {
                Ok(taken) => self.was_written(taken),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(bad(format!("the connection broke: {error}"))),
            }
        }
        Ok(())
    }

    fn was_written(&mut self, mut taken: usize) {
        while let Some(first) = self.outgoing.front() {
            let left = first.len() - self.written;
            if taken < left {
                self.written += taken;
                return;
            }
            taken -= left;
            self.written = 0;
            self.outgoing.pop_front();
        }
    }

    pub fn is_writing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Reads what has come. False when there was nothing.
    pub fn read(&mut self) -> Result<bool, Failure> {
        self.make_room();
        match (&self.stream).read(&mut self.received[self.end..]) {
            Ok(0) => Err(bad("the broker closed the connection".into())),
            Ok(count) => {
                self.end += count;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(bad(format!("the connection broke: {error}"))),
        }
    }

    /// Reads no more than what is missing to `enough` bytes: what is behind them may be dropped unread.
    pub fn read_few(&mut self, enough: usize) -> Result<(), Failure> {
        self.make_room();
        let missing = enough.saturating_sub(self.end - self.begin);
        if missing == 0 {
            return Ok(());
        }
        match (&self.stream).read(&mut self.received[self.end..self.end + missing]) {
            Ok(0) => Err(bad("the broker closed the connection".into())),
            Ok(count) => {
                self.end += count;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(bad(format!("the connection broke: {error}"))),
        }
    }

    fn make_room(&mut self) {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        let wanted = self.declared().unwrap_or(0).max(self.end - self.begin) + READ_BYTES;
        if self.begin + wanted > self.received.len() {
            self.received.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
            let len = self.received.len().max(wanted);
            self.received.resize(len, 0);
        }
    }

    /// How long the frame that has begun is, its length included.
    fn declared(&self) -> Option<usize> {
        let prefix = self.received.get(self.begin..self.end)?.first_chunk::<4>()?;
        Some(4 + usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(LARGEST_ANSWER).min(LARGEST_ANSWER))
    }

    /// The next whole answer: what stands behind length and correlation id.
    pub fn answer(&mut self) -> Option<&[u8]> {
        let len = self.declared().filter(|len| *len >= 8 && self.begin + len <= self.end)?;
        let begin = self.begin;
        self.begin += len;
        Some(&self.received[begin + 8..begin + len])
    }

    /// Bytes that have come and are not taken.
    pub fn peek(&self) -> &[u8] {
        &self.received[self.begin..self.end]
    }

    /// Drops everything up to `len` bytes of the answer under way that has come; how many bytes that were.
    pub fn skip(&mut self, len: usize) -> usize {
        let there = len.min(self.end - self.begin);
        self.begin += there;
        there
    }

    /// Has the kernel drop up to `len` bytes without giving them to this program; how many it dropped.
    pub fn discard(&mut self, scratch: &mut [u8], len: usize) -> Result<usize, Failure> {
        let most = len.min(scratch.len());
        match rustix::net::recv(&self.stream, &mut scratch[..most], rustix::net::RecvFlags::TRUNC) {
            Ok((_, 0)) => Err(bad("the broker closed the connection".into())),
            Ok((_, dropped)) => Ok(dropped),
            Err(rustix::io::Errno::AGAIN) => Ok(0),
            Err(error) => Err(bad(format!("the connection broke: {error}"))),
        }
    }
}

/// Waits until one of the links can go on, or for so long; which of them have something to read.
pub fn wait(links: &mut [&mut Link], longest: Duration) -> Result<Vec<bool>, Failure> {
    let wanted = |link: &Link| if link.is_writing() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let ready: Vec<PollFlags> = {
        let mut polled: Vec<PollFd<'_>> = links.iter().map(|link| PollFd::new(&link.stream, wanted(link))).collect();
        let timeout = Timespec { tv_sec: longest.as_secs() as _, tv_nsec: longest.subsec_nanos().into() };
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(bad(format!("poll: {error}"))),
        }
        polled.iter().map(PollFd::revents).collect()
    };
    for (link, ready) in links.iter_mut().zip(&ready) {
        if ready.contains(PollFlags::OUT) {
            link.write()?;
        }
    }
    Ok(ready.iter().map(|ready| ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)).collect())
}
