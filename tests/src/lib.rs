//! What the laws, flows and campaigns share: a toy engine, a fixed world, a file system that crashes.

pub mod change;
pub mod crashfs;
pub mod golden;
pub mod memfs;
pub mod oracles;
pub mod sample;
pub mod toy;
pub mod world;
