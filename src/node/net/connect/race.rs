//! Several addresses of one instance, tried side by side (spec 4.1): the first that proves the certificate wanted is kept,
//! and all others are dropped.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Connected, Goal, NAME, NotConnected, Shared, TCP, TLS, found, try_address};

/// From starting with one address to starting with the next, at most, ms. On a network that is well the first answers long
/// before, so that the second is never tried.
pub(super) const STAGGER_MS: u64 = 100;
/// Most addresses of all names that are tried at one time; more wait until one has failed.
const SIDE_BY_SIDE_MAX: usize = 16;

/// Which host, which of its addresses: the order of trying and of telling.
type Place = (usize, usize);

enum Done {
    Resolved(usize, Result<(String, Vec<IpAddr>), String>),
    Tried(Place, Result<Box<Connected>, NotConnected>),
}

type Job<'a> = Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

struct Race<'a> {
    shared: &'a Shared,
    goal: &'a Goal<'a>,
    jobs: Vec<Job<'a>>,
    waiting: BTreeMap<Place, IpAddr>,
    told: BTreeMap<Place, NotConnected>,
    /// Not before then, unless nothing else runs.
    next_start: Instant,
    running: usize,
}

/// See [`super::connect`].
pub(super) async fn run(shared: &Shared, goal: &Goal<'_>) -> Result<Connected, NotConnected> {
    let (jobs, waiting, told) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut race = Race { shared, goal, jobs, waiting, told, next_start: Instant::now(), running: 0 };
    for (index, host) in goal.hosts.iter().enumerate() {
        race.jobs.push(Box::pin(resolve(shared, index, host)));
    }
    loop {
        race.start_due();
        if race.jobs.is_empty() {
            return Err(race.lost());
        }
        let may_start = !race.waiting.is_empty() && race.running < SIDE_BY_SIDE_MAX;
        let next_start = race.next_start;
        let done = tokio::select! {
            biased;
            done = next_of(&mut race.jobs) => done,
            () = sleep_until(next_start), if may_start => continue,
        };
        match done {
            Done::Resolved(index, outcome) => race.resolved(index, outcome),
            Done::Tried(place, Err(not)) => {
                race.told.insert(place, not);
                race.running -= 1;
                race.next_start = Instant::now();
            }
            Done::Tried(_, Ok(mut connected)) => {
                let mut before = race.lost_steps();
                before.steps.append(&mut connected.steps);
                connected.steps = before.steps;
                return Ok(*connected);
            }
        }
    }
}

async fn resolve(shared: &Shared, index: usize, host: &str) -> Done {
    let began = Instant::now();
    let outcome = shared.names.resolve(host).await;
    Done::Resolved(index, outcome.map(|resolved| (found(host, &resolved, began), resolved.addresses)))
}

async fn attempt<'a>(shared: &'a Shared, goal: &'a Goal<'a>, place: Place, address: IpAddr) -> Done {
    Done::Tried(place, try_address(shared, goal, &goal.hosts[place.0], address).await)
}

/// The first of the jobs that is done; the others go on at the next call.
async fn next_of(jobs: &mut Vec<Job<'_>>) -> Done {
    poll_fn(|context| {
        let ready = jobs.iter_mut().enumerate().find_map(|(index, job)| match job.as_mut().poll(context) {
            Poll::Ready(done) => Some((index, done)),
            Poll::Pending => None,
        });
        match ready {
            Some((index, done)) => {
                drop(jobs.swap_remove(index));
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    })
    .await
}

impl Race<'_> {
    fn start_due(&mut self) {
        while self.running < SIDE_BY_SIDE_MAX && (self.running == 0 || Instant::now() >= self.next_start) {
            let Some((place, address)) = self.waiting.pop_first() else { return };
            self.jobs.push(Box::pin(attempt(self.shared, self.goal, place, address)));
            self.running += 1;
            // With a short limit a whole stagger would be most of it.
            let stagger_ms = STAGGER_MS.min(self.goal.timeout_ms / 2);
            self.next_start = Instant::now() + Duration::from_millis(stagger_ms);
        }
    }

    fn resolved(&mut self, index: usize, outcome: Result<(String, Vec<IpAddr>), String>) {
        let mut not = NotConnected::default();
        match outcome {
            Ok((words, addresses)) => {
                not.step(NAME, Some(true), words);
                for (at, address) in addresses.into_iter().enumerate() {
                    self.waiting.insert((index, at + 1), address);
                }
            }
            Err(why) => not.step(NAME, Some(false), why),
        }
        self.told.insert((index, 0), not);
    }

    /// What was tried and failed so far, in the order of the hosts.
    fn lost_steps(&mut self) -> NotConnected {
        let mut all = NotConnected { why: "no host is given".into(), ..NotConnected::default() };
        for (_, not) in std::mem::take(&mut self.told) {
            for step in not.steps {
                all.step(&step.name, step.ok, step.message);
            }
            all.foreign = not.foreign.or(all.foreign);
        }
        all
    }

    fn lost(&mut self) -> NotConnected {
        let mut all = self.lost_steps();
        if let Some(foreign) = all.foreign {
            all.why = format!("another certificate answered: {foreign}");
        }
        for missing in [TCP, TLS] {
            if all.steps.iter().all(|step| step.name != missing) {
                all.step(missing, None, "not reached".into());
            }
        }
        all
    }
}
