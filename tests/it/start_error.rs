//! Why a start failed, and the advice that goes with it.

use std::io;

use pingpong::inside::listen::StartError;
use rustix::io::Errno;

#[test]
fn too_few_descriptors_are_told_by_whose_limit_it_is() {
    let told = |errno: Errno| StartError::new("cannot start", &errno.into()).to_string();
    assert_eq!(
        told(Errno::MFILE),
        "cannot start: Too many open files (os error 24); \
         raise the limit with ulimit -n, or LimitNOFILE= in a systemd unit"
    );
    assert_eq!(
        told(Errno::NFILE),
        "cannot start: Too many open files in system (os error 23); \
         this whole host has no more: see the sysctl fs.file-max"
    );
    assert_eq!(
        told(Errno::PERM),
        "cannot start: Operation not permitted (os error 1)"
    );
    let error = io::Error::other("it is so");
    assert_eq!(StartError::new("no", &error).to_string(), "no: it is so");
    assert_eq!(StartError::told("so".into()).to_string(), "so");
}
