//! What this machine can do by itself: the limits that figures stand beside.

use crate::row::Row;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use vm_receipts::key::SecretKey;

/// The machine's own limits.
#[derive(Clone, Copy)]
pub struct Machine {
    /// Cores.
    pub cores: f64,
    /// Median time of an append and its fdatasync, microseconds.
    pub sync_us: f64,
    /// Signatures a second and core.
    pub sign: f64,
    /// Strict verifications a second and core.
    pub verify: f64,
}

impl Machine {
    /// Measures them; the disk is the one under `dir`.
    pub fn measure(dir: &Path) -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let mut disk = DiskProbe::new(dir, 1_200)?;
        let mut times: Vec<Duration> =
            (0..400).map(|_| disk.append()).collect::<Result<_, String>>()?;
        let (sign, verify) = signatures();
        Ok(Self { cores, sync_us: median_us(&mut times), sign, verify })
    }

    /// The rows that stand first.
    pub fn rows(&self) -> Vec<Row> {
        vec![
            Row::plain("cores", self.cores, "cores"),
            Row::plain("disk_append_fdatasync_p50", self.sync_us, "us"),
            Row::plain("ed25519_sign", self.sign, "per s and core"),
            Row::plain("ed25519_verify_strict", self.verify, "per s and core"),
        ]
    }
}

/// One append and its fdatasync at a time, of as many bytes as a receipt.
pub struct DiskProbe {
    file: File,
    data: Vec<u8>,
}

impl DiskProbe {
    /// A probe of the disk under `dir`.
    pub fn new(dir: &Path, bytes: usize) -> Result<Self, String> {
        let open = fs::OpenOptions::new().create(true).append(true).open(dir.join("sync"));
        let file = open.map_err(|e| format!("cannot measure the disk: {e}"))?;
        Ok(Self { file, data: vec![b'x'; bytes] })
    }

    /// Appends once.
    pub fn append(&mut self) -> Result<Duration, String> {
        let began = Instant::now();
        let done = self.file.write_all(&self.data).and_then(|()| self.file.sync_data());
        done.map_err(|e| format!("cannot measure the disk: {e}"))?;
        Ok(began.elapsed())
    }
}

/// The middle one, in microseconds.
pub fn median_us(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |t| t.as_secs_f64() * 1e6)
}

/// How often per second a thing can be done, over about a third of a second.
pub fn rate(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut times = 0u32;
    while began.elapsed() < Duration::from_millis(300) {
        for _ in 0..32 {
            work();
        }
        times += 32;
    }
    f64::from(times) / began.elapsed().as_secs_f64()
}

fn signatures() -> (f64, f64) {
    let key = SecretKey::from_seed([7; 32]);
    let (public, message) = (key.public(), [9u8; 64]);
    let signature = key.sign(&message);
    let sign = rate(|| {
        std::hint::black_box(key.sign(std::hint::black_box(&message)));
    });
    let verify = rate(|| {
        public.verify(std::hint::black_box(&message), &signature).expect("it was just signed")
    });
    (sign, verify)
}
