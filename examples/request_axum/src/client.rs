//! A client that keeps its connection and does as little as it can: what a load generator spends is
//! taken from the server on the same machine.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that has not answered by then never will.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One connection.
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let received = Vec::new();
        Ok(Client { stream, received })
    }

    /// Sends a request of [`post`] and waits for the answer: its status and body.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.stream.write_all(request)?;
        self.received.clear();
        let head = loop {
            self.receive()?;
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let (status, length) =
            parse_head(&self.received[..head]).ok_or(io::ErrorKind::InvalidData)?;
        while self.received.len() < head + length {
            self.receive()?;
        }
        Ok((status, &self.received[head..head + length]))
    }

    fn receive(&mut self) -> io::Result<()> {
        let old = self.received.len();
        // As much as a socket's buffer holds by default: few calls for a long answer.
        self.received.resize(old + (128 << 10), 0);
        let count = self.stream.read(&mut self.received[old..])?;
        self.received.truncate(old + count);
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// A request, ready to be sent.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The status and the length of the body.
fn parse_head(head: &[u8]) -> Option<(u16, usize)> {
    let head = std::str::from_utf8(head).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    Some((status, length.parse().ok()?))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
