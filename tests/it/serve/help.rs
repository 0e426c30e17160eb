//! What `--help` and `--version` print, wherever they stand.

use crate::support::assert_golden;
use crate::support::server::{pingpong, run};

#[test]
fn help_and_version() {
    let help = match (cfg!(feature = "load"), cfg!(feature = "ping")) {
        (true, _) => "help",
        (false, true) => "help-without-load",
        (false, false) => "help-bare",
    };
    let serve_help = match (cfg!(feature = "admin"), cfg!(feature = "upgrade")) {
        (true, true) => Some("serve-help"),
        (false, false) => Some("serve-help-bare"),
        // Between the two.
        _ => None,
    };
    let files = [
        (&["--help"][..], Some(help)),
        (&["serve", "--help"], serve_help),
    ];
    for (args, file) in files
        .map(|(args, file)| Some((args, file?)))
        .into_iter()
        .flatten()
    {
        let (code, stdout, stderr) = run(pingpong(args));
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert_golden(&format!("tests/it/golden/{file}.txt"), &stdout);
    }
    for (args, same_as) in [
        (&["-h"][..], &["--help"][..]),
        (&["help"], &["--help"]),
        (&["help", "serve"], &["serve", "--help"]),
        (&["serve", "-h"], &["serve", "--help"]),
        (&["serve", "--listen", "0", "--help"], &["serve", "--help"]),
        (&["-V"], &["--version"]),
        (&["version"], &["--version"]),
        (&["help", "--help"], &["--help"]),
        (&["help", "-V"], &["--version"]),
        (&["serve", "--version"], &["--version"]),
        (&["serve", "-v", "-V"], &["--version"]),
        #[cfg(feature = "ping")]
        (&["ping", "localhost", "-V"], &["--version"]),
        #[cfg(feature = "ping")]
        (&["ping", "localhost", "--version"], &["--version"]),
    ] {
        assert_eq!(run(pingpong(args)), run(pingpong(same_as)), "{args:?}");
    }
    let (code, stdout, _) = run(pingpong(&["--version"]));
    assert_eq!(code, Some(0));
    assert_eq!(stdout, format!("pingpong {}\n", env!("CARGO_PKG_VERSION")));
}
