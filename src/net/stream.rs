//! What a connection needs of its stream of bytes: a TCP socket in the program, a queue with delays and losses in the
//! simulation. Known when compiled, so that it costs a request nothing.

use std::future::Future;
use std::io::{self, IoSlice};

use bytes::{BufMut, BytesMut};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A stream of bytes both ways. Waiting is one thing, moving bytes another, as with sockets.
pub trait Stream: Send + Sync + 'static {
    /// Called once, before anything else.
    fn begin(&self) {}
    /// Until there is something to read, or the end.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;
    /// Until the peer takes more, or never will.
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
    /// What has come; nothing is the end; `WouldBlock` where nothing has.
    fn try_read(&self, into: &mut BytesMut) -> io::Result<usize>;
    /// The same, and no more than so many bytes where that can be had.
    fn try_read_at_most(&self, into: &mut BytesMut, _bytes: usize) -> io::Result<usize> {
        self.try_read(into)
    }
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// The same, where more follows at once: the peer need not be woken for this alone.
    fn try_write_before_more(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write_vectored(slices)
    }
    /// The socket behind it, where there is one: what lets bytes go from file to socket without a copy.
    fn socket(&self) -> Option<&TcpStream> {
        None
    }
}

impl Stream for TcpStream {
    fn begin(&self) {
        // Slower without, not wrong.
        let _ = self.set_nodelay(true);
    }

    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        TcpStream::readable(self)
    }

    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send {
        TcpStream::writable(self)
    }

    fn try_read(&self, into: &mut BytesMut) -> io::Result<usize> {
        self.try_read_at_most(into, usize::MAX)
    }

    fn try_read_at_most(&self, into: &mut BytesMut, bytes: usize) -> io::Result<usize> {
        // An empty buffer would read nothing, which is the end of the stream.
        into.reserve(1);
        let room = bytes.min(into.capacity() - into.len());
        let mut read = Err(io::ErrorKind::WouldBlock.into());
        // A read that leaves room has taken everything there was. Said here, it spares a request that is alone on its way
        // the second call that would find nothing. Room is what this one call can fill: said of less than that, what is left
        // in the socket would never be announced again.
        let _ = self.try_io(Interest::READABLE, || {
            read = self.try_read_buf(&mut (&mut *into).limit(room));
            match &read {
                Ok(taken) if (1..room).contains(taken) => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        read
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        TcpStream::try_write_vectored(self, slices)
    }

    fn try_write_before_more(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        self.try_io(Interest::WRITABLE, || Ok(sendmsg(self, slices, &mut SendAncillaryBuffer::default(), flags)?))
    }

    fn socket(&self) -> Option<&TcpStream> {
        Some(self)
    }
}
