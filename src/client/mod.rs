//! The clients: the same reactor from its other side. What they ask for, and how long it takes.

pub mod json;
#[cfg(feature = "load")]
pub mod load;
pub mod target;
