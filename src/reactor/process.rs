//! What the kernel knows of this process, without opening a file each time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};

use super::kernel::ProcessFigures;

/// How much of /proc/self/statm is read: seven numbers.
const STATM_BYTES: usize = 160;

/// Where its figures come from.
#[derive(Debug)]
pub(super) struct Process {
    started: SystemTime,
    /// proc_pid_statm(5): it tells anew at each read.
    statm: Option<File>,
}

impl Process {
    /// To be asked when the process begins.
    pub(super) fn open() -> Self {
        Self {
            started: SystemTime::now(),
            statm: File::open("/proc/self/statm").ok(),
        }
    }

    pub(super) fn figures(&self) -> ProcessFigures {
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH);
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        ProcessFigures {
            started_unix_s: started.ok().map(|since| since.as_secs_f64()),
            cpu: Duration::try_from(cpu).unwrap_or_default(),
            resident_bytes: self.resident_bytes(),
        }
    }

    fn resident_bytes(&self) -> Option<u64> {
        let mut bytes = [0; STATM_BYTES];
        let len = self.statm.as_ref()?.read_at(&mut bytes, 0).ok()?;
        let text = str::from_utf8(bytes.get(..len)?).ok()?;
        let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * page_size() as u64)
    }
}
