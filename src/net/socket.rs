//! Listening sockets, with the queue and the buffers that are set.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// `socket.*`: what is asked of the system for a listening socket and, through it, for its connections.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// Connections that may wait to be accepted; a burst of clients needs many.
    pub backlog: u32,
    /// `None` leaves it to the system, which then grows it as a connection needs.
    pub send_buffer: Option<u32>,
    pub receive_buffer: Option<u32>,
}

pub fn bind(address: SocketAddr, options: SocketOptions) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        // Otherwise `::` takes IPv4 as well, and cannot be bound beside `0.0.0.0` on the same port.
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    socket.listen(options.backlog.max(1))
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt;

    use super::*;

    /// A connection has them from its listener.
    #[tokio::test]
    async fn a_socket_has_the_buffers_that_are_set() {
        let buffers = |send_buffer, receive_buffer| async move {
            let options = SocketOptions { backlog: 1, send_buffer, receive_buffer };
            let listener = bind("127.0.0.1:0".parse().unwrap(), options).unwrap();
            let _client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            (sockopt::socket_send_buffer_size(&stream).unwrap(), sockopt::socket_recv_buffer_size(&stream).unwrap())
        };
        // Linux doubles what is asked for, to have room for its own.
        assert_eq!(buffers(Some(50_000), Some(60_000)).await, (100_000, 120_000));
        assert_ne!(buffers(None, None).await, (100_000, 120_000));
    }
}
