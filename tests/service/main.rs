//! The service, its guard and its supervisor as real processes, with real signals (spec 7.13).

mod life;
mod speed;
mod support;
mod survival;
