//! SIGUSR2 on the real program: the one at its path takes over, and nobody notices.

use std::fs;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::server::Server;
use crate::support::{Folder, GUARD, PROGRAM, command, until};

/// Puts a program there, by a process of its own: what this one has open for writing, a child of another
/// test inherits for a moment, and then nobody may execute it (ETXTBSY, execve(2)).
fn install(program: impl Read, to: &Path) {
    let mut program = program;
    let mut command = command("sh");
    command
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(to);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    std::io::copy(&mut program, &mut child.stdin.take().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn install_ours(to: &Path) {
    install(fs::File::open(PROGRAM).unwrap(), to);
}

/// A server at a path of its own, and all that come after it there.
pub(super) struct House {
    folder: Folder,
    pub(super) first: Server,
    heirs: Vec<Pid>,
}

impl House {
    pub(super) fn new(options: &[&str]) -> Self {
        Self::at("pingpong", options)
    }

    /// One that is called by `name`, and is copied to the folder.
    fn at(name: &str, options: &[&str]) -> Self {
        let folder = Folder::new();
        install_ours(&folder.path("pingpong"));
        if name != "pingpong" {
            symlink("pingpong", folder.path(name)).unwrap();
        }
        let mut command = command(folder.path(name).to_str().unwrap());
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(options);
        let first = Server::spawn(command);
        Self {
            folder,
            first,
            heirs: Vec::new(),
        }
    }

    fn program(&self) -> PathBuf {
        self.folder.path("pingpong")
    }

    /// Puts something else at its path, as a package does: by a rename.
    fn replace(&self, script: &str) {
        let fresh = self.folder.path("fresh");
        install(script.as_bytes(), &fresh);
        fs::rename(fresh, self.program()).unwrap();
    }

    /// Who serves now.
    fn pid(&self) -> Pid {
        let first = i32::try_from(self.first.pid()).unwrap();
        self.heirs
            .last()
            .copied()
            .unwrap_or_else(|| Pid::from_raw(first).unwrap())
    }

    fn ask_for_upgrade(&self) {
        kill_process(self.pid(), Signal::USR2).unwrap();
    }

    /// Has it replaced, and returns when that is done.
    pub(super) fn upgrade(&mut self) {
        let said = |it: &Self| it.lines_with(" is the server now").len();
        let before = said(self);
        self.ask_for_upgrade();
        until("the new one serves", || said(self) > before);
        let lines = self.lines_with(" is the server now");
        let pid = lines[before].split_whitespace().nth(3).unwrap();
        self.heirs
            .push(Pid::from_raw(pid.parse().unwrap()).unwrap());
    }

    fn lines_with(&self, text: &str) -> Vec<String> {
        let lines = self.first.lines();
        lines
            .into_iter()
            .filter(|line| line.contains(text))
            .collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for heir in &self.heirs {
            let _ = kill_process(*heir, Signal::KILL);
        }
    }
}

/// A connection in use stays where it is; who comes later comes to the new one, at the same port; and
/// each ends in its own time.
#[test]
fn the_new_one_takes_over() {
    let mut house = House::new(&[]);
    let (tcp, udp_at) = (house.first.tcp[0], house.first.udp[0]);
    let before = connect(tcp);
    ask(&before, b"ping 1\n", b"pong 1\n");
    house.upgrade();
    ask(&before, b"ping 2\n", b"pong 2\n");
    let after = connect(tcp);
    ask(&after, b"ping 3\n", b"pong 3\n");
    assert_eq!(
        replies_to(&udp(Ipv4Addr::LOCALHOST), udp_at, &[b"ping"]),
        [b"pong"]
    );
    // The old one has the one connection that it had, and its counters say so.
    let report = house.first.report();
    assert_eq!(report.count("connections_accepted_total"), 1);
    assert_eq!(report.count("messages_total{transport=\"udp\"}"), 0);
    drop(before);
    assert_eq!(house.first.wait_for_exit(), Some(0));
    house
        .first
        .wait_for_line("ended: its last connection has gone");
    ask(&after, b"ping 4\n", b"pong 4\n");
    // The new one is as its own start would have made it: it can be replaced in turn.
    house.upgrade();
    ask(&after, b"ping 5\n", b"pong 5\n");
    ask(&connect(tcp), b"ping 6\n", b"pong 6\n");
}

/// The file of a Unix socket goes with the last of them, and not before.
#[test]
fn a_unix_socket_is_handed_on_with_its_file() {
    let sockets = Folder::new();
    let path = sockets.path("s");
    let url = format!("unix:{}", path.display());
    let mut house = House::new(&["--listen", &url]);
    house.upgrade();
    assert_eq!(house.first.wait_for_exit(), Some(0));
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"ping\n").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    assert!(sockets.path("s.dgram").exists());
    kill_process(house.pid(), Signal::TERM).unwrap();
    until("the files go", || {
        !path.exists() && !sockets.path("s.dgram").exists()
    });
}

/// Whatever is wrong with the new program, the old one goes on, and can be asked again.
#[test]
fn one_that_does_not_start_leaves_the_old_one() {
    let mut house = House::new(&[]);
    let at = house.first.tcp[0];
    let held = connect(at);
    let programs = [
        ("#!/bin/sh\nexit 3\n", "before it was ready: exit status: 3"),
        (
            "#!/no/such/shell\n",
            "no upgrade: cannot start the new program",
        ),
        ("no program at all", "before it was ready: exit status: 127"),
        ("#!/bin/sh\nkill -9 $$\n", "before it was ready: signal: 9"),
        // It closes what it was given, and stays.
        (
            "#!/bin/sh\nexec 3<&- 4<&- 5<&-\nexec sleep 1000\n",
            "before it was ready: signal: 9",
        ),
    ];
    for (script, told) in programs {
        let before = house.lines_with(told).len();
        house.replace(script);
        house.ask_for_upgrade();
        until(told, || house.lines_with(told).len() > before);
        ask(&connect(at), b"ping\n", b"pong\n");
    }
    fs::remove_file(house.program()).unwrap();
    let before = house.lines_with("No such file or directory").len();
    house.ask_for_upgrade();
    until("it has tried", || {
        house.lines_with("No such file or directory").len() > before
    });
    ask(&held, b"ping\n", b"pong\n");
    // None of them is left in the process table.
    let children = format!("/proc/{0}/task/{0}/children", house.first.pid());
    assert_eq!(fs::read_to_string(children).unwrap_or_default(), "");
    install_ours(&house.program());
    house.upgrade();
    ask(&held, b"ping\n", b"pong\n");
    ask(&connect(at), b"ping\n", b"pong\n");
}

/// A link by which it was called is followed anew: that is how versions are switched.
#[test]
fn a_link_is_followed_anew() {
    let mut house = House::at("current", &[]);
    let marker = house.folder.path("was-here");
    let other = house.folder.path("other");
    let script = format!(
        "#!/bin/sh\ntouch {}\nexec {PROGRAM} \"$@\"\n",
        marker.display()
    );
    install(script.as_bytes(), &other);
    symlink("other", house.folder.path("link")).unwrap();
    fs::rename(house.folder.path("link"), house.folder.path("current")).unwrap();
    house.upgrade();
    assert!(marker.exists());
    ask(&connect(house.first.tcp[0]), b"ping\n", b"pong\n");
}

/// What a process starts with lives on in the next: its arguments, its environment, a name in PATH.
#[test]
fn arguments_and_environment_are_the_same() {
    let folder = Folder::new();
    install_ours(&folder.path("pingpong"));
    let mut command = command("sh");
    command.args([
        "-c",
        "exec pingpong serve --listen 127.0.0.1:0 --max-message 100",
    ]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.path("").display()));
    command.env("PINGPONG_STRICT", "1");
    let first = Server::spawn(command);
    let mut house = House {
        folder,
        first,
        heirs: Vec::new(),
    };
    let words = |pid: Pid| fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap();
    let before = words(house.pid());
    house.upgrade();
    assert_eq!(words(house.pid()), before);
    let client = connect(house.first.tcp[0]);
    ask(&client, b"hello\n", b"error not a ping\n");
}

/// Told to stop while the new one starts, it stops, and so does that.
#[test]
fn a_stop_while_the_new_one_starts_stops_both() {
    let mut house = House::new(&[]);
    let file = house.folder.path("pid");
    house.replace(&format!(
        "#!/bin/sh\necho $$ > {0}.new\nmv {0}.new {0}\nexec sleep 1000\n",
        file.display()
    ));
    house.ask_for_upgrade();
    until("it has started", || file.exists());
    house.first.signal(Signal::TERM);
    assert_eq!(house.first.wait_for_exit(), Some(0));
    let pid: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let pid = Pid::from_raw(pid).unwrap();
    until("the new one has gone", || test_kill_process(pid).is_err());
}

/// In a container, process 1 is all that there is.
#[test]
fn process_1_is_not_replaced() {
    let Some(mut command) = crate::support::inside::in_namespace(
        "exec unshare --pid --fork --kill-child \"$PINGPONG\" serve --listen 127.0.0.1:0",
    ) else {
        return;
    };
    command.env("PINGPONG", PROGRAM);
    let server = Server::spawn_unasked(command);
    let children = |pid: u32| -> Option<u32> {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    };
    let mut pid = server.pid();
    while let Some(child) = children(pid) {
        pid = child;
    }
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::USR2).unwrap();
    server.wait_for_line("no upgrade: cannot start the new program: this is process 1");
}

/// The service manager is told by the one that it listens to: who begins says nothing before it is that.
#[test]
fn the_service_manager_is_told_once() {
    let folder = Folder::new();
    let manager = std::os::unix::net::UnixDatagram::bind(folder.path("n")).unwrap();
    manager.set_read_timeout(Some(GUARD)).unwrap();
    let told = || {
        let mut bytes = [0; 200];
        let len = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    install_ours(&folder.path("pingpong"));
    let mut command = command(folder.path("pingpong").to_str().unwrap());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", folder.path("n"));
    let first = Server::spawn(command);
    let mut house = House {
        folder,
        first,
        heirs: Vec::new(),
    };
    assert_eq!(told(), "READY=1\n");
    house.upgrade();
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    let pid = house.pid().as_raw_nonzero();
    assert_eq!(told(), format!("READY=1\nMAINPID={pid}\n"));
    // One that fails ends the reloading too.
    house.replace("#!/bin/sh\nexit 1\n");
    house.ask_for_upgrade();
    assert!(told().starts_with("RELOADING=1\n"));
    assert_eq!(told(), "READY=1\n");
    kill_process(house.pid(), Signal::TERM).unwrap();
    assert_eq!(told(), "STOPPING=1\n");
}
