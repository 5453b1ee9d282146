//! A cable for the link alone: a forwarder on loopback that can be cut and healed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::Fail;
use crate::instance::ADDRESS;

const BUFFER_BYTES: usize = 64 * 1024;

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    target: u16,
    is_cut: AtomicBool,
    bytes: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Forwards to `target` from a free port.
    pub fn to(target: u16) -> Result<Self, Fail> {
        let listener = TcpListener::bind((ADDRESS, 0))?;
        let port = listener.local_addr()?.port();
        let state = State { target, is_cut: false.into(), bytes: 0.into(), streams: Mutex::default() };
        let state = Arc::new(state);
        let accepting = Arc::clone(&state);
        // Ends with the process.
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| accepting.forward(stream)));
        Ok(Self { port, state })
    }

    /// Ends all connections, and lets none come to be if `stays`.
    pub fn cut(&self, stays: bool) {
        self.state.is_cut.store(stays, Ordering::SeqCst);
        let mut streams = self.state.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn heal(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Forwarded so far, in both directions.
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }
}

impl State {
    fn forward(self: &Arc<Self>, from: TcpStream) {
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let Ok(to) = TcpStream::connect((ADDRESS, self.target)) else { return };
        let _ = (from.set_nodelay(true), to.set_nodelay(true));
        for (left, right) in [(&from, &to), (&to, &from)] {
            let (Ok(left), Ok(right)) = (left.try_clone(), right.try_clone()) else { return };
            let state = Arc::clone(self);
            thread::spawn(move || state.pump(left, right));
        }
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.extend([from, to]);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            self.bytes.fetch_add(count as u64, Ordering::Relaxed);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
