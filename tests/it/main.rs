//! All tests in one binary, so that there is one link. Each module is named after what it tests.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as expected, and says what it skipped"
)]

mod ping;
