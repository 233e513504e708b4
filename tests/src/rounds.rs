//! Many clients of one home whose owner is killed again and again.
//!
//! Long-lived clients speak to the owner over its socket, and one-shot processes come beside them. The owner dies by
//! SIGKILL when so many answers have been given as the seed says, and a new one is started. What every client saw is
//! then held against the lines by [`crate::history`]. A killed process proves nothing about fsync: this is about locks,
//! sockets, half-sent answers and calls that are made again.

use crate::campaign::{Came, Row};
use crate::history::{self, Call, Outcome};
use crate::recorder::place::{HOME, Place, words};
use crate::scratch::Scratch;
use crate::world::Dice;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a new owner may take until it listens.
const START: Duration = Duration::from_secs(180);

/// How large a campaign is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Owners that are killed.
    pub rounds: u32,
    /// Long-lived clients.
    pub clients: u32,
    /// Receipts each of them wants in all.
    pub each: u32,
    /// One-shot processes at a time.
    pub beside: u32,
    /// Receipts each of those wants in all.
    pub beside_each: u32,
    /// Seed.
    pub seed: u64,
}

/// One client's work, kept over the rounds: what is next, and whether its end is unknown.
struct Client {
    number: u32,
    done: u32,
    of: u32,
}

impl Client {
    fn id(&self) -> String {
        format!("id-{}-{}", self.number, self.done)
    }
}

/// What all clients share.
struct Shared<'a> {
    place: &'a Place,
    vm: &'a Path,
    clock: AtomicU64,
    answers: AtomicU64,
    over: AtomicBool,
    calls: Mutex<Vec<Call>>,
}

impl Shared<'_> {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Makes one call through `make`, and writes down what came of it.
    fn call(&self, client: &mut Client, make: impl FnOnce(&str) -> Outcome) -> bool {
        let (id, invoked) = (client.id(), self.now());
        let outcome = make(&id);
        let answered = self.now();
        let known = outcome != Outcome::Unknown;
        if known {
            client.done += 1;
            self.answers.fetch_add(1, Ordering::SeqCst);
        }
        let call = Call { client: client.number, id, invoked, answered, outcome };
        self.calls.lock().expect("nobody panics with it").push(call);
        known
    }
}

/// Whether this program can own a home for others.
pub fn serves(vm: &Path) -> bool {
    let mut command = Command::new(vm);
    command.args(["serve", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a campaign; gives its row.
pub fn run(vm: &Path, size: Size) -> Row {
    let began = Instant::now();
    let what = format!(
        "kill -9 of the owner: {} rounds, {} clients x {} receipts, {} x {} one-shot processes beside them",
        size.rounds, size.clients, size.each, size.beside, size.beside_each
    );
    let row = Row::new(&what, "cargo xtask trust --only rounds").seeded(size.seed);
    if !serves(vm) {
        return row.since(began).came(Came::CannotEvaluate("this vm has no serve".into()));
    }
    match campaign(vm, size) {
        Ok(found) => row
            .counted(found.calls, "calls")
            .since(began)
            .bugs(found.caught, found.planted)
            .came(found.wrong.map_or(Came::Passed, Came::Failed)),
        Err(wrong) => row.since(began).came(Came::Failed(wrong)),
    }
}

struct Found {
    calls: u64,
    caught: u64,
    planted: u64,
    wrong: Option<String>,
}

fn campaign(vm: &Path, size: Size) -> Result<Found, String> {
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let place = Place::new(scratch.path());
    for line in [
        "init --guard @root/guard --domain test --node rounds",
        "treasury account-open --account assets:bank --asset EUR --class asset --id open-bank",
        "treasury account-open --account income:dues --asset EUR --class income --id open-dues",
    ] {
        let said = place.vm(vm, &words(line))?;
        if said.code != 0 {
            return Err(format!("{line} came to {said:?}"));
        }
    }
    let before = lengths(&place)?;
    let shared = Shared {
        place: &place,
        vm,
        clock: AtomicU64::new(1),
        answers: AtomicU64::new(0),
        over: AtomicBool::new(false),
        calls: Mutex::default(),
    };
    let mut clients: Vec<Client> =
        (0..size.clients).map(|number| Client { number, done: 0, of: size.each }).collect();
    let mut beside: Vec<Client> = (0..size.beside)
        .map(|n| Client { number: size.clients + n, done: 0, of: size.beside_each })
        .collect();
    let mut dice = Dice::of(size.seed, &[77]);
    for round in 0..=size.rounds {
        // The last owner is let be, so that every call comes to an end.
        let last = round == size.rounds;
        one_round(
            &shared,
            &mut clients,
            &mut beside,
            if last { None } else { Some((&mut dice, size.rounds - round)) },
        )?;
    }
    let left = clients.iter().chain(&beside).map(|client| u64::from(client.of - client.done)).sum();
    judge(&shared, &before, left)
}

fn lengths(place: &Place) -> Result<BTreeMap<String, u64>, String> {
    let lines = history::read(&place.root.join(HOME))?;
    let count = |bytes: &Vec<u8>| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    Ok(lines.iter().map(|(scroll, bytes)| (scroll.clone(), count(bytes))).collect())
}

fn one_round(
    shared: &Shared<'_>,
    clients: &mut [Client],
    beside: &mut [Client],
    kill: Option<(&mut Dice, u32)>,
) -> Result<(), String> {
    let mut owner = start(shared)?;
    shared.over.store(false, Ordering::SeqCst);
    let left: u64 = clients.iter().chain(beside.iter()).map(|c| u64::from(c.of - c.done)).sum();
    let from = shared.answers.load(Ordering::SeqCst);
    // So many answers that the work lasts for all rounds.
    let until = kill.map(|(dice, rounds)| {
        let share = usize::try_from(left / u64::from(rounds.max(1))).unwrap_or(usize::MAX).max(1);
        from + 1 + dice.below(share.saturating_mul(2)) as u64
    });
    let ended = std::thread::scope(|scope| {
        let mut hands = Vec::new();
        for client in clients.iter_mut() {
            hands.push(scope.spawn(|| long_lived(shared, client)));
        }
        for client in beside.iter_mut() {
            hands.push(scope.spawn(|| one_shots(shared, client)));
        }
        while !hands.iter().all(|hand| hand.is_finished()) {
            let enough = until.is_some_and(|until| shared.answers.load(Ordering::SeqCst) >= until);
            if enough || owner.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        shared.over.store(true, Ordering::SeqCst);
        // SIGKILL: nothing of it runs any more.
        let killed = owner.kill().and_then(|()| owner.wait());
        for hand in hands {
            hand.join().map_err(|_| "a client panicked")?;
        }
        killed.map_err(|_| "the owner could not be killed")
    });
    ended.map(drop).map_err(str::to_owned)
}

/// Starts an owner and waits until it listens.
fn start(shared: &Shared<'_>) -> Result<Child, String> {
    let began = Instant::now();
    loop {
        let mut command = shared.place.command(shared.vm);
        command
            .args(shared.place.words(&words("serve")))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| format!("cannot start the owner: {e}"))?;
        while began.elapsed() < START {
            if UnixStream::connect(socket(shared.place)).is_ok() {
                return Ok(child);
            }
            // A one-shot process may hold the home at this moment; then it is tried again.
            if child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if began.elapsed() >= START {
            let _ = child.kill().and_then(|()| child.wait());
            return Err("the owner does not listen".into());
        }
    }
}

fn socket(place: &Place) -> PathBuf {
    place.root.join(HOME).join("vm.sock")
}

fn intent() -> Value {
    json!({"amount": "1.00", "asset": "EUR", "credit": "income:dues", "debit": "assets:bank"})
}

/// A client that keeps its connection until it breaks.
fn long_lived(shared: &Shared<'_>, client: &mut Client) {
    let Ok(stream) = UnixStream::connect(socket(shared.place)) else { return };
    let mut stream = BufReader::new(stream);
    while client.done < client.of && !shared.over.load(Ordering::SeqCst) {
        let known = shared.call(client, |id| {
            let body = json!({"engine": "treasury", "verb": "transfer", "intent": intent(), "id": id, "tags": []});
            match post(&mut stream, &body.to_string()) {
                Ok((200, answer)) => acknowledged(&answer),
                // A refusal means that nothing happened; anything else that went wrong leaves it open.
                Ok((status, _)) if (400..500).contains(&status) => Outcome::Refused,
                Ok(_) | Err(_) => Outcome::Unknown,
            }
        });
        if !known {
            return;
        }
    }
}

/// One request and its answer, by hand: HTTP/1.1 with a length, the connection kept.
fn post(stream: &mut BufReader<UnixStream>, body: &str) -> std::io::Result<(u16, String)> {
    let head = format!(
        "POST /v1/call HTTP/1.1\r\nHost: vm\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.get_mut().write_all((head + body).as_bytes())?;
    let broken = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let (mut line, mut status, mut length) = (String::new(), 0, None);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken("the connection ended"));
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if status == 0 {
            let code = text.split(' ').nth(1).and_then(|code| code.parse().ok());
            status = code.ok_or_else(|| broken("no status"))?;
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let mut bytes = vec![0; length.ok_or_else(|| broken("no length"))?];
    stream.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map(|text| (status, text)).map_err(|_| broken("not UTF-8"))
}

/// What an answer says of the receipts.
fn acknowledged(answer: &str) -> Outcome {
    let value: Value = serde_json::from_str(answer).unwrap_or_default();
    let receipts = value["receipts"].as_array().cloned().unwrap_or_default();
    let first = receipts.first().map(|receipt| &receipt["line"]);
    let read = first.and_then(|line| {
        Some(Outcome::Acknowledged {
            scroll: line["scroll"].as_str()?.to_owned(),
            seq: line["seq"].as_u64()?,
            of: receipts.len() as u64,
            checkpoint: value["checkpoint"].as_str()?.to_owned(),
        })
    });
    // An answer cut in the middle was none.
    read.unwrap_or(Outcome::Unknown)
}

/// One process after another, each with one call. They find the owner, wait for it, or own the home themselves.
fn one_shots(shared: &Shared<'_>, client: &mut Client) {
    while client.done < client.of && !shared.over.load(Ordering::SeqCst) {
        shared.call(client, |id| {
            let line = format!(
                "treasury transfer --debit assets:bank --credit income:dues --asset EUR --amount 1.00 --id {id} --json"
            );
            match shared.place.vm(shared.vm, &words(&line)) {
                Ok(said) if said.code == 0 => acknowledged(&said.out),
                // Nothing happened, but the work is still to be done: it is asked for again.
                Ok(said) if said.names("home_busy") => Outcome::Unknown,
                Ok(said) if matches!(said.code, 1 | 2) => Outcome::Refused,
                Ok(_) | Err(_) => Outcome::Unknown,
            }
        });
    }
}

fn judge(shared: &Shared<'_>, before: &BTreeMap<String, u64>, left: u64) -> Result<Found, String> {
    let said = shared.place.vm(shared.vm, &words("fsck --json"))?;
    let lines = history::read(&shared.place.root.join(HOME))?;
    let calls = shared.calls.lock().map_err(|_| "a client panicked")?;
    let refused = calls.iter().filter(|call| call.outcome == Outcome::Refused).count();
    let wrong = match history::check(&calls, &lines, before) {
        Err(all) => {
            Some(format!("{} wrong; {}", all.len(), all.first().map_or("", String::as_str)))
        }
        Ok(_) if said.code != 0 => Some(format!("fsck came to {said:.600?}")),
        Ok(_) if left > 0 => Some(format!("{left} calls never came to an end")),
        Ok(_) if refused > 0 => Some(format!("{refused} calls were refused")),
        Ok(_) => None,
    };
    let plants = planted(&calls);
    let caught = plants.iter().filter(|bent| history::check(bent, &lines, before).is_err()).count();
    Ok(Found {
        calls: calls.len() as u64,
        caught: caught as u64,
        planted: plants.len() as u64,
        wrong,
    })
}

/// The history as it would be if an acknowledged call had been lost, moved, seen twice, or shown another root.
fn planted(calls: &[Call]) -> Vec<Vec<Call>> {
    let once = |id: &str| calls.iter().filter(|call| call.id == id).count() == 1;
    let known = |call: &Call| matches!(call.outcome, Outcome::Acknowledged { .. });
    let bend = |change: &dyn Fn(&mut Call)| {
        let mut bent = calls.to_vec();
        // A call that was made twice may be there whatever one of its answers was.
        let last = bent.iter_mut().rfind(|call| known(call) && once(&call.id));
        last.into_iter().for_each(change);
        bent
    };
    let moved = |call: &mut Call| {
        if let Outcome::Acknowledged { seq, .. } = &mut call.outcome {
            *seq += 2;
        }
    };
    let other_root = |call: &mut Call| {
        if let Outcome::Acknowledged { checkpoint, .. } = &mut call.outcome {
            let root = vm_scrolls::base64::encode([7; 32]);
            let head: Vec<&str> = checkpoint.lines().take(2).collect();
            *checkpoint = format!("{}\n{root}\n", head.join("\n"));
        }
    };
    let early = |call: &mut Call| (call.invoked, call.answered) = (0, 0);
    vec![
        bend(&|call| call.id = "id-lost".into()),
        bend(&moved),
        bend(&other_root),
        bend(&early),
        bend(&|call| call.outcome = Outcome::Refused),
    ]
}
