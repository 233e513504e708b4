//! What the laws, flows and campaigns share: a toy engine, a fixed world, a file system that crashes, and a recorder of
//! what the built program asks of the disk.

pub mod campaign;
pub mod cases;
pub mod change;
pub mod crashfs;
pub mod golden;
pub mod history;
pub mod memfs;
pub mod oracles;
pub mod people;
pub mod recorder;
pub mod rounds;
pub mod sample;
pub mod scratch;
pub mod toy;
pub mod world;

/// Says what a test leaves out, past the test harness, which keeps what a passing test prints to itself.
pub fn skipped(what: &str) {
    let line = format!("skipped: {what}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes())
        .expect("standard error takes a line");
}
