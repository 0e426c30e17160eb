//! Advice for errors that are rare: each is what helps there, and no other.

use crate::support::has_ipv6;
use crate::support::server::run;
use crate::support::traced::with_fault;

/// What it says when a call fails; `None` where there is no strace.
fn told(fault: &str, at: &str) -> Option<String> {
    let command = with_fault(fault, &["serve", "--listen", at])?;
    let (code, _, told) = run(command);
    assert_eq!(code, Some(1), "{fault}: {told}");
    assert_eq!(told.lines().count(), 1, "{fault}: {told}");
    Some(told)
}

#[test]
fn a_family_that_is_not_there() {
    let fault = "socket:error=EAFNOSUPPORT:when=1+";
    for (at, what) in [
        (
            "127.0.0.1:0",
            "; this host has no IPv4: give an IPv6 address with --listen\n",
        ),
        (
            "[::1]:0",
            "; this host has no IPv6: give an IPv4 address with --listen\n",
        ),
    ] {
        let Some(told) = told(fault, at) else {
            return;
        };
        assert!(told.ends_with(what), "{told}");
    }
}

/// An address that is here, is checked for nothing, and cannot be had all the same.
#[test]
fn an_address_that_is_no_longer_here() {
    if !has_ipv6() {
        return;
    }
    if let Some(told) = told("bind:error=EADDRNOTAVAIL:when=1", "[::1]:0") {
        let what = "; this host has no such address: choose another with --listen\n";
        assert!(told.ends_with(what), "{told}");
    }
}

/// Only a link-local address without an interface is told to lack one.
#[test]
fn who_has_an_interface_or_needs_none() {
    if !has_ipv6() {
        return;
    }
    for at in ["[::1]:0", "[fe80::1%lo]:0"] {
        let Some(told) = told("bind:error=EINVAL:when=1", at) else {
            return;
        };
        assert!(
            told.ends_with(": Invalid argument (os error 22)\n"),
            "{told}"
        );
    }
}

/// A kernel that can no longer wait for events is the end, and not a loop.
#[test]
fn a_wait_that_fails_ends_it() {
    let fault = "?epoll_wait,epoll_pwait:error=EBADF:when=1+";
    let words = ["serve", "--listen", "127.0.0.1:0"];
    let Some(command) = with_fault(fault, &words) else {
        return;
    };
    let (code, _, told) = run(command);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("Bad file descriptor"), "{told}");
}
