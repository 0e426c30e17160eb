//! What is written to files.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use super::{Served, finish, spawn};
use crate::support::Folder;
use crate::support::server::{pingpong, run};

/// A report is not lost with a file, nor an old file with a run that is refused.
#[test]
fn a_file_is_replaced_by_a_whole_one_or_left_alone() {
    let path = std::env::temp_dir().join(format!("pingpong-load-old-{}", std::process::id()));
    std::fs::write(&path, "old").unwrap();
    let shown = path.display().to_string();
    let output = finish(spawn(&[
        "load",
        "--hdr",
        &shown,
        "-c",
        "999999999",
        "localhost",
    ]));
    assert_eq!(output.status.code(), Some(2));
    let output = finish(spawn(&["load", "--hdr", &shown, "no.such.host.invalid"]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    let left = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let own = path.file_name().unwrap().to_str().unwrap().to_owned();
    let named = |name: &str| name.starts_with(&own) && name != own;
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| named(name)).count(), 0);
    std::fs::remove_file(&path).unwrap();
}

/// A link stays one, and what it leads to is replaced. Standard output is written to, behind the report.
#[test]
fn a_link_stays_a_link() {
    let folder = Folder::new();
    let (file, link) = (folder.path("file"), folder.path("link"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    let served = Served::start();
    let target = served.address.to_string();
    let hdr = |path: &str| {
        let mut command = pingpong(&["load", "-n", "1", "-c", "1", "--hdr", path, &target]);
        let out = File::create(folder.path("out")).unwrap();
        let status = command.stdin(Stdio::null()).stdout(out).status().unwrap();
        assert!(status.success());
        std::fs::read_to_string(folder.path("out")).unwrap()
    };
    hdr(link.to_str().unwrap());
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("Percentile")
    );
    let before = Path::new("/dev/stdout")
        .symlink_metadata()
        .unwrap()
        .is_symlink();
    let printed = hdr("/dev/stdout");
    let (report, distribution) = printed.split_once("every reply was right").unwrap();
    assert!(
        report.contains("target ") && distribution.contains("Percentile"),
        "{printed}"
    );
    assert_eq!(
        Path::new("/dev/stdout")
            .symlink_metadata()
            .unwrap()
            .is_symlink(),
        before
    );
}

/// A timetable whose last reply is there is over, whatever a reply may take.
#[test]
fn a_timetable_ends_with_its_last_reply() {
    let served = Served::start();
    let target = served.address.to_string();
    for transport in ["--tcp", "--udp"] {
        for rate in ["10", "1k"] {
            let words = [
                "load",
                "-d",
                "150ms",
                "--rate",
                rate,
                "--timeout",
                "1h",
                transport,
                &target,
            ];
            // It is waited for ten seconds at most.
            assert_eq!(run(pingpong(&words)).0, Some(0));
        }
    }
}
