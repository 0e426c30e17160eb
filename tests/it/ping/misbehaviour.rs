//! The real program against servers that do not do what they should.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use pingpong::inside::protocol::turn_into_pong;
use socket2::SockRef;

use super::real::{Ended, ping, read_line, tcp_server, udp_server};

/// Two pings with all the time in the world, and two with little.
const PATIENT: [&str; 6] = ["-c2", "-i", "0.01", "-W", "15", "-s8"];
const HURRIED: [&str; 6] = ["-c2", "-i", "0.01", "-W", "0.05", "-s8"];

const CLOSED: &str = "connection closed before the reply";

/// Sends FIN, and takes what still comes: with unread bytes a close is a reset.
fn close_in_order(mut stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

fn pong(ping: &[u8]) -> Vec<u8> {
    let mut reply = ping.to_vec();
    turn_into_pong(&mut reply);
    reply
}

fn ping_with(options: &[&str], more: &[&str], target: &str) -> Ended {
    ping(&[options, more, &[target]].concat())
}

/// Both pings ended like this.
#[track_caller]
fn both_end(ended: &Ended, transport: &str, what: &str, counts: &str) {
    each_ends(ended, transport, [&[what], &[what]], counts);
}

/// The first ping ended in one of these ways, the second in one of those. The second leaves by the
/// clock: on a busy host that is before the first has ended, and then they share its connection.
#[track_caller]
fn each_ends(ended: &Ended, transport: &str, ways: [&[&str]; 2], counts: &str) {
    for (seq, ways) in (1..).zip(ways) {
        let line = |what: &&str| format!(": {transport} seq={seq} {what}\n");
        let is_there = ways.iter().any(|what| ended.stdout.contains(&line(what)));
        assert!(is_there, "{seq}: {ways:?}\n{}", ended.stdout);
    }
    let counts = format!("\n2 packets transmitted, {counts} packet loss, time ");
    assert!(ended.stdout.contains(&counts), "{counts}{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}

/// A port that nobody listens on, as long as the socket is there: it is bound and does not listen.
fn refused_port() -> (socket2::Socket, String) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any_port: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any_port.into()).unwrap();
    let target = socket
        .local_addr()
        .unwrap()
        .as_socket()
        .unwrap()
        .to_string();
    (socket, target)
}

#[test]
fn silent_over_tcp() {
    let target = tcp_server(|stream| while read_line(&stream).is_some() {});
    let ended = ping_with(&HURRIED, &[], &target);
    assert_eq!(
        ended.stdout.matches("timed out: no reply within ").count(),
        2
    );
    assert_eq!(ended.status, Some(1));
}

#[test]
fn silent_over_udp() {
    let target = udp_server(|_, _, _| {});
    let ended = ping_with(&HURRIED, &["--udp"], &target);
    assert_eq!(
        ended.stdout.matches("timed out: no reply within ").count(),
        2
    );
    assert!(
        ended
            .stdout
            .contains("\n2 packets transmitted, 0 received, 100% packet loss, time ")
    );
    assert!(ended.stdout.ends_with("ms\n"));
    assert_eq!(ended.status, Some(1));
}

#[test]
fn accepted_by_nobody() {
    // The kernel takes the connection, and nobody ever reads it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let ended = ping_with(&HURRIED, &[], &target);
    assert_eq!(
        ended.stdout.matches("timed out: no reply within ").count(),
        2
    );
    assert_eq!(ended.status, Some(1));
}

#[test]
fn byte_by_byte() {
    let target = tcp_server(|mut stream| {
        stream.set_nodelay(true).unwrap();
        while let Some(line) = read_line(&stream) {
            for byte in pong(&line) {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
            }
        }
    });
    let ended = ping_with(&PATIENT, &[], &target);
    assert!(ended.stdout.contains("13 bytes from "));
    assert!(ended.stdout.contains("2 received, 0% packet loss"));
    assert_eq!(ended.status, Some(0));
}

#[test]
fn a_wrong_byte() {
    let wrong = |line: &[u8]| {
        let mut reply = pong(line);
        reply[9] = b'!';
        reply
    };
    let over_tcp = tcp_server(move |mut stream| {
        while let Some(line) = read_line(&stream) {
            if stream.write_all(&wrong(&line)).is_err() {
                return;
            }
        }
    });
    let over_udp = udp_server(move |socket, source, datagram| {
        socket.send_to(&wrong(datagram), source).unwrap();
    });
    for (transport, target) in [("tcp", over_tcp), ("udp", over_udp)] {
        let ended = ping_with(&PATIENT, &[&format!("--{transport}")], &target);
        let line = format!(": {transport} seq=2 wrong reply of 13 bytes: pong 0000!02\\n\n");
        assert!(
            ended
                .stdout
                .contains("wrong reply of 13 bytes: pong 0000!01"),
            "{}",
            ended.stdout
        );
        assert!(ended.stdout.contains(&line), "{}", ended.stdout);
        assert!(
            ended
                .stdout
                .contains("0 received, +2 errors, 100% packet loss")
        );
        assert_eq!(ended.status, Some(1));
    }
}

#[test]
fn a_line_without_end() {
    let target = tcp_server(|mut stream| {
        let _ = read_line(&stream);
        while stream.write_all(&[b'x'; 1000]).is_ok() {}
    });
    let ended = ping_with(&PATIENT, &[], &target);
    assert!(ended.stdout.contains("xxx..."), "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("0 received, +2 errors, 100% packet loss")
    );
    assert_eq!(ended.status, Some(1));
}

#[test]
fn an_early_close() {
    let target = tcp_server(|stream| {
        let _ = read_line(&stream);
        close_in_order(&stream);
    });
    let ended = ping_with(&PATIENT, &[], &target);
    both_end(&ended, "tcp", CLOSED, "0 received, +2 errors, 100%");
    assert_eq!(ended.status, Some(1));
}

#[test]
fn half_a_reply() {
    let target = tcp_server(|mut stream| {
        let line = read_line(&stream).unwrap();
        stream.write_all(&pong(&line)[..6]).unwrap();
        close_in_order(&stream);
    });
    let ended = ping_with(&PATIENT, &[], &target);
    let what = "connection closed after 6 bytes of the reply";
    let counts = "0 received, +2 errors, 100%";
    each_ends(&ended, "tcp", [&[what], &[what, CLOSED]], counts);
    assert_eq!(ended.status, Some(1));
}

#[test]
fn a_reset() {
    let target = tcp_server(|stream| {
        let _ = read_line(&stream);
        SockRef::from(&stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
    });
    let ended = ping_with(&PATIENT, &[], &target);
    both_end(
        &ended,
        "tcp",
        "connection reset before the reply",
        "0 received, +2 errors, 100%",
    );
    assert_eq!(ended.status, Some(1));
}

#[test]
fn a_refused_port() {
    let (_socket, target) = refused_port();
    let ended = ping_with(&PATIENT, &[], &target);
    both_end(
        &ended,
        "tcp",
        "connection refused",
        "0 received, +2 errors, 100%",
    );
    assert_eq!(ended.status, Some(1));

    let target = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = ping_with(&PATIENT, &["--udp"], &target.to_string());
    let what = "refused: the port is unreachable";
    both_end(&ended, "udp", what, "0 received, +2 errors, 100%");
    assert_eq!(ended.status, Some(1));
}

#[test]
fn duplicates() {
    let twice = |line: &[u8]| [pong(line), pong(line)].concat();
    let over_tcp = tcp_server(move |mut stream| {
        while let Some(line) = read_line(&stream) {
            if stream.write_all(&twice(&line)).is_err() {
                return;
            }
        }
    });
    let over_udp = udp_server(|socket, source, datagram| {
        for _ in 0..2 {
            socket.send_to(&pong(datagram), source).unwrap();
        }
    });
    for (transport, target) in [("tcp", over_tcp), ("udp", over_udp)] {
        let ended = ping_with(&PATIENT, &[&format!("--{transport}")], &target);
        let lines = ended.stdout.lines();
        let told = lines.filter(|line| line.ends_with(" ms (DUP!)")).count();
        // The last one's may come when all is over.
        assert!((1..=2).contains(&told), "{}", ended.stdout);
        let counts = format!("2 received, +{told} duplicates, 0% packet loss");
        assert!(ended.stdout.contains(&counts), "{}", ended.stdout);
        assert_eq!(ended.status, Some(0));
    }
}

/// The first ping is answered when the second has come, and that is after its time-out.
#[test]
fn late_replies() {
    let (second_came, wait_for_second) = mpsc::channel();
    let (second_came, wait_for_second) = (Mutex::new(second_came), Mutex::new(wait_for_second));
    let connections = AtomicUsize::new(0);
    let over_tcp = tcp_server(move |mut stream: TcpStream| {
        let number = connections.fetch_add(1, Ordering::SeqCst);
        let Some(line) = read_line(&stream) else {
            return;
        };
        if number == 0 {
            wait_for_second.lock().unwrap().recv().unwrap();
            stream.write_all(&pong(&line)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        } else {
            second_came.lock().unwrap().send(()).unwrap();
        }
        while read_line(&stream).is_some() {}
    });
    let mut kept = None;
    let over_udp = udp_server(move |socket, source, datagram| match kept.take() {
        None => kept = Some(pong(datagram)),
        Some(first) => drop(socket.send_to(&first, source).unwrap()),
    });
    for (transport, target) in [("tcp", over_tcp), ("udp", over_udp)] {
        let transport = format!("--{transport}");
        let options = ["-c2", "-i", "1.1", "-W", "1", "-s8", &transport, &target];
        let ended = ping(&options);
        assert!(
            ended.stdout.contains("seq=1 timed out: "),
            "{}",
            ended.stdout
        );
        let late = ended.stdout.lines().find(|line| line.ends_with("(late)"));
        assert!(
            late.is_some_and(|line| line.contains(" seq=1 ")),
            "{}",
            ended.stdout
        );
        assert!(
            ended.stdout.contains("1 received, 50% packet loss"),
            "{}",
            ended.stdout
        );
        assert_eq!(ended.status, Some(0));
    }
}

#[test]
fn a_server_that_refuses_the_message() {
    let server = super::real::Serve::start("127.0.0.1:0", &["--max-message", "8"]);
    let ended = ping_with(&PATIENT, &[], &server.target());
    let what = "wrong reply of 34 bytes: error message longer than 8 bytes\\n";
    let counts = "0 received, +2 errors, 100%";
    each_ends(&ended, "tcp", [&[what], &[what, CLOSED]], counts);
    assert_eq!(ended.status, Some(1));
}

/// One endless line is one wrong reply; the other pings on that connection lose it.
#[test]
fn an_endless_line_while_several_wait() {
    let target = tcp_server(|mut stream| {
        for _ in 0..3 {
            read_line(&stream);
        }
        // The client may be gone before all of it is written.
        let _ = stream.write_all(&b"x".repeat(100_000));
        while read_line(&stream).is_some() {}
    });
    let ended = ping_with(&["-c3", "-i", "0.01", "-W", "15", "-s8"], &[], &target);
    assert_eq!(ended.stdout.matches("wrong reply of ").count(), 1);
    assert!(
        !ended.stdout.contains("wrong reply of 0 bytes"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains(", +3 errors, "), "{}", ended.stdout);
}

/// A peer that does not read is not the same as one that is not there.
#[test]
fn nobody_reads() {
    let (done, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let target = tcp_server(move |stream| {
        SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
        let _ = wait.lock().unwrap().recv();
        drop(stream);
    });
    let options = ["-c200", "-i", "0.001", "-W", "1", "-w", "2", "-s65000"];
    let ended = ping_with(&options, &[], &target);
    drop(done);
    assert!(ended.stdout.contains("timed out: no reply within "));
    assert!(
        !ended.stdout.contains("timed out: no connection within "),
        "{}",
        ended.stdout
    );
}
