//! The proof that what a print leaves out decides nothing: worlds of one print that came about differently live on side by side,
//! with the same events, and must go through the same prints.

use std::collections::HashMap;

use crate::sim::print::{parts, print};
use crate::sim::random::Random;
use crate::sim::world::World;

use super::event::{Budget, EVENTS, Event, Place, befall, is_possible};
use super::{healthy, next_state};

/// Worlds kept, to be met again.
const KEPT_MAX: usize = 20_000;
/// States two worlds go through side by side.
const STATES_TOGETHER: usize = 250;
/// An event befalls a wandering world, and later both of a pair, at one state of so many.
const EVENT_EVERY: u64 = 12;
/// States one wandering world goes through before the next begins.
const STATES_ALONE: usize = 300;

/// Wanders at random; how many pairs were compared.
pub fn compare(budget: Budget, seed: u64, pairs_wanted: usize) -> Result<usize, String> {
    let mut random = Random::new(seed);
    let mut kept: HashMap<u128, Place> = HashMap::new();
    let start = Place { world: healthy(budget.has_arbiter), left: budget, path: Vec::new() };
    let mut pairs = 0;
    while pairs < pairs_wanted {
        let mut place = start.clone();
        for _ in 0..STATES_ALONE {
            if let Some(why) = place.world.failure.take() {
                return Err(format!("{why}\npath: {:?}", place.path));
            }
            let now = print(&place.world) ^ place.left.mark();
            match kept.get(&now) {
                // Later in time and on another way.
                Some(other) if other.path != place.path => {
                    pairs += 1;
                    together(other, &place, &mut random)?;
                }
                Some(_) => {}
                None if kept.len() < KEPT_MAX => drop(kept.insert(now, place.clone())),
                None => {}
            }
            match any_event(&place, &mut random) {
                Some(event) => befall(&mut place, event),
                None if next_state(&mut place.world, false).is_none() => break,
                None => {}
            }
        }
    }
    Ok(pairs)
}

fn any_event(place: &Place, random: &mut Random) -> Option<Event> {
    if random.range(1, EVENT_EVERY) > 1 {
        return None;
    }
    let possible: Vec<Event> = EVENTS.iter().copied().filter(|event| is_possible(place, *event)).collect();
    (!possible.is_empty()).then(|| random.pick(&possible))
}

fn together(one: &Place, other: &Place, random: &mut Random) -> Result<(), String> {
    let (mut a, mut b) = (one.clone(), other.clone());
    let mut events = Vec::new();
    for state in 0..STATES_TOGETHER {
        let event = any_event(&a, random);
        if let Some(event) = event {
            events.push((state, event));
            befall(&mut a, event);
            befall(&mut b, event);
        } else {
            let (x, y) = (next_state(&mut a.world, false), next_state(&mut b.world, false));
            if x.is_none() && y.is_none() {
                return Ok(());
            }
        }
        if print(&a.world) != print(&b.world) || a.world.failure.is_some() != b.world.failure.is_some() {
            let why = format!("{:?} / {:?}", a.world.failure, b.world.failure);
            return Err(format!(
                "one print, two futures after {state} states and {events:?}: {}\n{why}\npaths: {:?}\n   and {:?}",
                difference(&a.world, &b.world),
                one.path,
                other.path
            ));
        }
        if a.world.failure.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

/// The parts that differ.
fn difference(a: &World, b: &World) -> String {
    let (a, b) = (parts(a), parts(b));
    let names: Vec<&str> =
        a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name)).map(String::as_str).collect();
    names.join(", ")
}
