//! The only unsafe code of the project: two calls that have no safe form in the libraries at hand.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal, setpriority_process};

unsafe extern "C" {
    // SAFETY: of the C library of every Linux. Any signal number is allowed (a wrong one is an error result), and the only
    // handler ever given, `nothing`, does nothing, which is safe at any moment.
    safe fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
}

extern "C" fn nothing(_number: c_int) {}

/// From now on these signals do nothing to this process. They are caught rather than ignored, because what is ignored stays
/// ignored in every program started later, and a service deaf to TERM could only be killed.
pub fn shrug_off(signals: &[Signal]) {
    for each in signals {
        signal(each.as_raw(), nothing);
    }
}

/// The kernel will send KILL to the command when the calling *thread* ends (so: spawn from a thread that lasts). The kernel
/// drops this at the exec of a setuid program, and it does not reach the command's own children. The command gets the
/// priority that Standin was started with.
pub fn die_with_parent(command: &mut Command) {
    let (parent, usual) = (getpid(), super::priority::usual());
    let in_child = move || {
        if let Some(usual) = usual {
            // Lowering is always permitted.
            let _ = setpriority_process(None, usual);
        }
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died between fork and the call above: then no signal will ever come.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(ESRCH)) }
    };
    // SAFETY: between fork and exec only async-signal-safe things may happen. The closure makes three system calls
    // (setpriority, prctl, getppid), allocates nothing, takes no lock and cannot panic.
    unsafe {
        command.pre_exec(in_child);
    }
}

/// "No such process"; an error made of a number allocates nothing.
const ESRCH: i32 = 3;
