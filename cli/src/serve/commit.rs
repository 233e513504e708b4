//! The one thread that commits records: whatever gathers while a batch is being synced is the next batch.

use crate::serve::Server;
use std::sync::mpsc::{Receiver, Sender, channel as std_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use vm_contracts::{Call, Failure, Lost};
use vm_ledger::Answer;

/// Most calls that are committed together.
const CALLS_MAX: usize = 4_096;

/// A call and where its answer goes.
pub(crate) struct Job {
    call: Call,
    reply: oneshot::Sender<Result<Answer, Failure>>,
}

/// The way to the thread that commits.
pub(crate) struct Commits(Mutex<Option<Sender<Job>>>);

/// The answer that a call will have.
pub(crate) struct Coming(Option<oneshot::Receiver<Result<Answer, Failure>>>);

pub(crate) fn channel() -> (Commits, Receiver<Job>) {
    let (sender, jobs) = std_channel();
    (Commits(Mutex::new(Some(sender))), jobs)
}

impl Commits {
    /// Hands a call over; calls are decided in the order in which they come.
    pub fn submit(&self, call: Call) -> Coming {
        let (reply, coming) = oneshot::channel();
        let sender = self.0.lock().expect("sending cannot panic");
        let sent = sender.as_ref().is_some_and(|s| s.send(Job { call, reply }).is_ok());
        Coming(sent.then_some(coming))
    }

    /// Lets the thread end once it has done what it was given.
    pub fn close(&self) {
        self.0.lock().expect("sending cannot panic").take();
    }
}

impl Coming {
    /// The answer, once it is durable.
    pub async fn answer(self) -> Result<Answer, Failure> {
        let gone = || Failure::from(Lost { message: "the writer of this ledger broke".into() });
        match self.0 {
            Some(coming) => coming.await.unwrap_or_else(|_| Err(gone())),
            None => Err(gone()),
        }
    }
}

/// Commits until nobody can hand over calls any more.
pub(crate) fn start(server: Arc<Server>, jobs: Receiver<Job>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        // Should this thread break, the server must not go on as if nobody asked.
        let _broken = Break(&server);
        while let Ok(first) = jobs.recv() {
            let (mut calls, mut replies) = (vec![first.call], vec![first.reply]);
            while calls.len() < CALLS_MAX
                && let Ok(next) = jobs.try_recv()
            {
                calls.push(next.call);
                replies.push(next.reply);
            }
            for (reply, answer) in replies.into_iter().zip(server.ledger().submit_all(calls)) {
                if let Err(failure) = &answer {
                    server.notice(failure);
                }
                // Whoever asked may have left; the call stands all the same.
                let _ = reply.send(answer);
            }
        }
    })
}

struct Break<'a>(&'a Server);

impl Drop for Break<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.send_replace(true);
        }
    }
}
