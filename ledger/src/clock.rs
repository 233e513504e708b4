//! Time and chance, handed in so that a whole run can be replayed.

use std::sync::OnceLock;
use vm_receipts::moment::Moment;

/// What a clock shows at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Wall clock.
    pub wall: Moment,
    /// Milliseconds since the machine started, sleep included; never goes back.
    pub uptime_ms: u64,
    /// Which start of the machine `uptime_ms` counts from; readings of two starts cannot be compared.
    pub boot: String,
}

/// A jump of the wall clock beyond the monotonic one that a person must accept.
pub const CLOCK_JUMP_MS: i64 = 3_600_000;

impl Reading {
    /// By how many milliseconds the wall clock went further than the time that passed, where that is more than
    /// [`CLOCK_JUMP_MS`]. Readings of two starts of the machine cannot be compared, nor
    /// those of a machine that does not count its uptime.
    pub fn jump_since(&self, before: &Reading) -> Option<i64> {
        let comparable =
            before.boot == self.boot && before.uptime_ms > 0 && self.uptime_ms >= before.uptime_ms;
        if !comparable {
            return None;
        }
        let passed = i64::try_from(self.uptime_ms - before.uptime_ms).unwrap_or(i64::MAX);
        let moved = self.wall.unix_ms().saturating_sub(before.wall.unix_ms());
        Some(moved.saturating_sub(passed)).filter(|ahead| *ahead > CLOCK_JUMP_MS)
    }
}

/// A clock.
pub trait Clock: Send + Sync {
    /// What it shows now.
    fn read(&self) -> Reading;

    /// The wall clock alone; cheaper where the rest has to be asked for.
    fn wall(&self) -> Moment {
        self.read().wall
    }
}

/// Random bytes.
pub trait Entropy: Send + Sync {
    /// Fills with bytes nobody can guess.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's own clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        // One process lives within one start of the machine.
        static BOOT: OnceLock<String> = OnceLock::new();
        let boot = BOOT.get_or_init(|| {
            let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            id.trim().to_owned()
        });
        Reading { wall: self.wall(), uptime_ms: uptime_ms(), boot: boot.clone() }
    }

    fn wall(&self) -> Moment {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ms = since_epoch.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        let epoch = || Moment::from_unix_ms(0).expect("the epoch is a valid moment");
        Moment::from_unix_ms(ms).unwrap_or_else(epoch)
    }
}

/// CLOCK_BOOTTIME, which counts sleep.
fn uptime_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000).saturating_add(nanos.unwrap_or(0) / 1_000_000)
}

/// The operating system's randomness.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness no key and no id can be drawn safely: stopping is the only honest answer.
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// A UUIDv7 (RFC 9562 §5.7) from a clock and chance.
pub fn uuid_v7(now: Moment, entropy: &dyn Entropy) -> String {
    let mut random = [0u8; 10];
    entropy.fill(&mut random);
    let ms = u64::try_from(now.unix_ms()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid().hyphenated().to_string()
}
