//! Ports for what a test starts; other tests include this file too.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Free now, and given to nobody else of this test.
pub fn free_port() -> u16 {
    // Below those that the system gives to connections that go out: nobody takes it between this and the start of the member.
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = process::id().wrapping_mul(97) % COUNT + GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + number % COUNT).expect("below 30,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
