//! The other end of the wire, as small as it goes: one connection, one request at a time, written by hand in old versions that
//! every broker of this kind serves. It shares nothing with the broker it talks to.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::batch::Producer;

/// Longer than any answer takes, also on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Connection {
    stream: TcpStream,
    correlation: i32,
}

/// A request's body, as it grows.
#[derive(Default)]
pub struct Body(Vec<u8>);

impl Body {
    pub fn i8(mut self, number: i8) -> Body {
        self.0.push(number as u8);
        self
    }

    pub fn i16(mut self, number: i16) -> Body {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn i32(mut self, number: i32) -> Body {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn i64(mut self, number: i64) -> Body {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn text(mut self, text: &str) -> Body {
        self = self.i16(text.len() as i16);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Body {
        self = self.i32(bytes.len() as i32);
        self.0.extend_from_slice(bytes);
        self
    }
}

/// An answer, read from the front.
pub struct Answer {
    bytes: Vec<u8>,
    at: usize,
}

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer is shorter than it must be")
}

impl Answer {
    fn take(&mut self, len: usize) -> io::Result<&[u8]> {
        let taken = self.bytes.get(self.at..self.at + len).ok_or_else(short)?;
        self.at += len;
        Ok(taken)
    }

    pub fn i16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into().map_err(|_| short())?))
    }

    pub fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().map_err(|_| short())?))
    }

    pub fn i64(&mut self) -> io::Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into().map_err(|_| short())?))
    }

    pub fn text(&mut self) -> io::Result<String> {
        let len = usize::try_from(self.i16()?).unwrap_or(0);
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    pub fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.i32()?).unwrap_or(0);
        Ok(self.take(len)?.to_vec())
    }
}

/// What a member learns when it joins.
pub struct Joined {
    pub generation: i32,
    pub member: String,
    /// All members, for the one that leads.
    pub members: Vec<String>,
}

/// A broker's error code as the error of a call.
fn refused(code: i16) -> io::Error {
    io::Error::other(Refused(code))
}

#[derive(Debug)]
pub struct Refused(pub i16);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error code {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// The code, where the broker answered with one.
pub fn code_of(error: &io::Error) -> Option<i16> {
    error.get_ref()?.downcast_ref::<Refused>().map(|refused| refused.0)
}

impl Connection {
    pub fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, correlation: 0 })
    }

    fn ask(&mut self, key: i16, version: i16, body: Body) -> io::Result<Answer> {
        self.correlation += 1;
        let header = Body::default().i16(key).i16(version).i32(self.correlation).text("history");
        let mut frame = ((header.0.len() + body.0.len()) as i32).to_be_bytes().to_vec();
        frame.extend_from_slice(&header.0);
        frame.extend_from_slice(&body.0);
        self.stream.write_all(&frame)?;
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let mut bytes = vec![0; usize::try_from(i32::from_be_bytes(len)).map_err(|_| short())?];
        self.stream.read_exact(&mut bytes)?;
        let mut answer = Answer { bytes, at: 0 };
        if answer.i32()? == self.correlation { Ok(answer) } else { Err(short()) }
    }

    pub fn create_topic(&mut self, name: &str, partitions: i32) -> io::Result<()> {
        let topic = Body::default().i32(1).text(name).i32(partitions).i16(1).i32(0).i32(0);
        let mut answer = self.ask(19, 2, topic.i32(30_000).i8(0))?;
        (answer.i32()?, answer.i32()?, answer.text()?);
        match answer.i16()? {
            0 | 36 => Ok(()),
            code => Err(refused(code)),
        }
    }

    pub fn producer_id(&mut self) -> io::Result<Producer> {
        let mut answer = self.ask(22, 0, Body::default().i16(-1).i32(60_000))?;
        answer.i32()?;
        match answer.i16()? {
            0 => Ok(Producer { id: answer.i64()?, epoch: answer.i16()?, sequence: 0 }),
            code => Err(refused(code)),
        }
    }

    /// Writes a batch and waits until it is kept; its base offset.
    pub fn produce(&mut self, topic: &str, partition: i32, batch: &[u8]) -> io::Result<i64> {
        let body = Body::default().i16(-1).i16(-1).i32(30_000).i32(1).text(topic).i32(1).i32(partition).bytes(batch);
        let mut answer = self.ask(0, 7, body)?;
        (answer.i32()?, answer.text()?, answer.i32()?, answer.i32()?);
        match answer.i16()? {
            0 => answer.i64(),
            code => Err(refused(code)),
        }
    }

    /// What is at an offset of each partition, committed only; empty where there is nothing yet.
    pub fn fetch(
        &mut self,
        from: &[(&str, i32, i64)],
        max_bytes: i32,
        wait_ms: i32,
    ) -> io::Result<Vec<Result<Vec<u8>, i16>>> {
        let mut body = Body::default().i32(-1).i32(wait_ms).i32(1).i32(50 << 20).i8(1).i32(from.len() as i32);
        for (topic, partition, offset) in from {
            body = body.text(topic).i32(1).i32(*partition).i64(*offset).i32(max_bytes);
        }
        let mut answer = self.ask(1, 4, body)?;
        answer.i32()?;
        let mut found = vec![Ok(Vec::new()); from.len()];
        for _ in 0..answer.i32()? {
            let topic = answer.text()?;
            for _ in 0..answer.i32()? {
                let (partition, code) = (answer.i32()?, answer.i16()?);
                (answer.i64()?, answer.i64()?);
                for _ in 0..answer.i32()?.max(0) {
                    (answer.i64()?, answer.i64()?);
                }
                let records = answer.bytes()?;
                let place = from.iter().position(|(asked, index, _)| *asked == topic && *index == partition);
                found[place.ok_or_else(short)?] = if code == 0 { Ok(records) } else { Err(code) };
            }
        }
        Ok(found)
    }

    /// Where the committed part of a partition ends.
    pub fn end_offset(&mut self, topic: &str, partition: i32) -> io::Result<i64> {
        let body = Body::default().i32(-1).i32(1).text(topic).i32(1).i32(partition).i64(-1);
        let mut answer = self.ask(2, 1, body)?;
        (answer.i32()?, answer.text()?, answer.i32()?, answer.i32()?);
        let code = answer.i16()?;
        answer.i64()?;
        if code == 0 { answer.i64() } else { Err(refused(code)) }
    }

    // ---- groups

    pub fn find_coordinator(&mut self, group: &str) -> io::Result<()> {
        match self.ask(10, 0, Body::default().text(group))?.i16()? {
            0 => Ok(()),
            code => Err(refused(code)),
        }
    }

    pub fn join(&mut self, group: &str, member: &str) -> io::Result<Joined> {
        let body = Body::default().text(group).i32(10_000).i32(15_000).text(member).text("history");
        let mut answer = self.ask(11, 2, body.i32(1).text("by-turns").bytes(&[]))?;
        answer.i32()?;
        let code = answer.i16()?;
        if code != 0 {
            return Err(refused(code));
        }
        let generation = answer.i32()?;
        (answer.text()?, answer.text()?);
        let member = answer.text()?;
        let mut members = Vec::new();
        for _ in 0..answer.i32()? {
            members.push(answer.text()?);
            answer.bytes()?;
        }
        Ok(Joined { generation, member, members })
    }

    /// Gives out assignments, where one leads, and takes one's own.
    pub fn sync(&mut self, group: &str, joined: &Joined, assignments: &[(String, Vec<u8>)]) -> io::Result<Vec<u8>> {
        let mut body = Body::default().text(group).i32(joined.generation).text(&joined.member);
        body = body.i32(assignments.len() as i32);
        for (member, assignment) in assignments {
            body = body.text(member).bytes(assignment);
        }
        let mut answer = self.ask(14, 1, body)?;
        answer.i32()?;
        match answer.i16()? {
            0 => answer.bytes(),
            code => Err(refused(code)),
        }
    }

    pub fn heartbeat(&mut self, group: &str, joined: &Joined) -> io::Result<()> {
        let body = Body::default().text(group).i32(joined.generation).text(&joined.member);
        let mut answer = self.ask(12, 1, body)?;
        answer.i32()?;
        match answer.i16()? {
            0 => Ok(()),
            code => Err(refused(code)),
        }
    }

    pub fn commit(&mut self, group: &str, joined: &Joined, topic: &str, offsets: &[(i32, i64)]) -> io::Result<()> {
        let mut body = Body::default().text(group).i32(joined.generation).text(&joined.member).i64(-1);
        body = body.i32(1).text(topic).i32(offsets.len() as i32);
        for (partition, offset) in offsets {
            body = body.i32(*partition).i64(*offset).text("");
        }
        let mut answer = self.ask(8, 2, body)?;
        (answer.i32()?, answer.text()?);
        for _ in 0..answer.i32()? {
            answer.i32()?;
            let code = answer.i16()?;
            if code != 0 {
                return Err(refused(code));
            }
        }
        Ok(())
    }

    /// What a group has committed, -1 where nothing.
    pub fn committed(&mut self, group: &str, topic: &str, partitions: &[i32]) -> io::Result<Vec<i64>> {
        let mut body = Body::default().text(group).i32(1).text(topic).i32(partitions.len() as i32);
        for partition in partitions {
            body = body.i32(*partition);
        }
        let mut answer = self.ask(9, 1, body)?;
        (answer.i32()?, answer.text()?);
        let mut offsets = vec![-1; partitions.len()];
        for _ in 0..answer.i32()? {
            let (partition, offset) = (answer.i32()?, answer.i64()?);
            answer.text()?;
            let code = answer.i16()?;
            if code != 0 {
                return Err(refused(code));
            }
            let place = partitions.iter().position(|asked| *asked == partition).ok_or_else(short)?;
            offsets[place] = offset;
        }
        Ok(offsets)
    }
}
