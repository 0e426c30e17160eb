//! What is written to files.

use super::{finish, spawn};

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
