//! Signals that this process gets for the program that it runs.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::io::{self, IsTerminal};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Signals that are meant for the program when this process gets them.
const PASSED_ON: [Signal; 6] =
    [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Waits for the end. The number of a program that was waited for may be given to another, so no signal is passed on
/// from the moment before.
pub fn wait(child: &mut Child, passing: &Passing) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    // Another error than an interruption means that signals go on for a moment too long, and nothing else.
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    passing.stop();
    child.wait()
}

/// Signals that this process no longer ends by.
pub struct Signals {
    runtime: runtime::Runtime,
    streams: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Listens for all that is not ignored.
    pub fn listen() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let inside = runtime.enter();
        let ignored = ignored();
        let is_ignored = |s: &Signal| ignored >> (s.as_raw() - 1) & 1 == 1;
        let listen = |s: Signal| Ok((s, signal(SignalKind::from_raw(s.as_raw()))?));
        // What is ignored, as under nohup, must stay ignored for the program too.
        let wanted = PASSED_ON.into_iter().filter(|s| !is_ignored(s));
        let streams = wanted.map(listen).collect::<io::Result<_>>()?;
        drop(inside);
        Ok(Self { runtime, streams })
    }

    /// Passes them on to the program from a thread of its own, which ends with this process.
    pub fn pass_on(self, child: &Child) -> Passing {
        let pid = Pid::from_child(child);
        let passing = Passing::default();
        let shared = passing.clone();
        // A terminal sends these two to everybody in front of it, and so to the program as well.
        let by_terminal = io::stdin().is_terminal();
        std::thread::spawn(move || {
            let Self { runtime, streams } = self;
            let local = tokio::task::LocalSet::new();
            for (number, mut stream) in streams {
                let passing = shared.clone();
                let sent_to_both = by_terminal && [Signal::INT, Signal::QUIT].contains(&number);
                local.spawn_local(async move {
                    while stream.recv().await.is_some() {
                        if !sent_to_both {
                            passing.pass(pid, number);
                        }
                    }
                });
            }
            runtime.block_on(local);
        });
        passing
    }
}

/// Signals that this process was started to ignore, one bit each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

/// Whether signals are still passed on.
#[derive(Clone, Debug, Default)]
pub struct Passing {
    ended: Arc<Mutex<bool>>,
}

impl Passing {
    fn pass(&self, pid: Pid, number: Signal) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if !*ended {
            // It may have become another user's program; then the signal is not ours to give.
            let _ = kill_process(pid, number);
        }
    }

    fn stop(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}
