//! An engine that only talks: it answers orders on the control socket as a test says, and remembers them.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use standin::engine::base::Problem;
use standin::engine::order::{ClientFrame, Order, Reply, ServerFrame};
use standin::wire::control;

/// What the test lets it say.
type Answer = dyn Fn(&Order) -> Result<Reply, Problem> + Send + Sync;

/// Answers until the test ends.
pub struct Engine {
    orders: Arc<Mutex<Vec<Order>>>,
}

impl Engine {
    /// Listens in `home`.
    pub fn start(home: &Path, answer: impl Fn(&Order) -> Result<Reply, Problem> + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(home.join("control.sock")).expect("a free socket");
        let orders = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&orders);
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                thread::spawn(move || talk(stream, &heard, &*answer));
            }
        });
        Self { orders }
    }

    /// Every order so far.
    pub fn orders(&self) -> Vec<Order> {
        self.orders.lock().expect("no thread panicked").clone()
    }
}

fn talk(mut stream: UnixStream, heard: &Mutex<Vec<Order>>, answer: &Answer) {
    let welcome = ServerFrame::Welcome { version: env!("CARGO_PKG_VERSION").into(), process: std::process::id() };
    if control::write(&mut stream, &welcome).is_err() {
        return;
    }
    while let Ok(frame) = control::read::<ClientFrame>(&mut stream) {
        let ClientFrame::Order { id, order } = frame else { continue };
        heard.lock().expect("no thread panicked").push(order.clone());
        let outcome = answer(&order);
        let is_over = matches!(order, Order::Stop { .. }) && outcome.is_ok();
        if control::write(&mut stream, &ServerFrame::Reply { id, outcome }).is_err() || is_over {
            return;
        }
    }
}
