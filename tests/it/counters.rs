//! Every counter under its name: what is counted as one thing must not be told as another.

use pingpong::inside::protocol::datagram::DropReason as Dropped;
use pingpong::inside::reactor::acceptor::AcceptError;
use pingpong::inside::server::counters::{CloseReason, Counters, RefusedReason, Traffic};

/// As docs/operations.md lists them, each with another number.
const TOLD: &str = "\
connections_accepted_total 1
connections_closed_total reason=peer_closed 11
connections_closed_total reason=reset 12
connections_closed_total reason=error 13
connections_closed_total reason=idle_timeout 14
connections_closed_total reason=message_too_long 15
connections_closed_total reason=not_a_ping 16
connections_closed_total reason=drained 17
connections_closed_total reason=drain_timeout 18
connections_refused_total reason=allow 25
connections_refused_total reason=per_client 26
accept_errors_total reason=exhausted 21
accept_errors_total reason=connection 22
accept_errors_total reason=register 23
accept_errors_total reason=other 24
messages_total transport=tcp 31
messages_total transport=udp 41
messages_total transport=unix 71
replies_total transport=tcp 32
replies_total transport=udp 42
replies_total transport=unix 72
received_bytes_total transport=tcp 33
received_bytes_total transport=udp 43
received_bytes_total transport=unix 73
sent_bytes_total transport=tcp 34
sent_bytes_total transport=udp 44
sent_bytes_total transport=unix 74
datagrams_dropped_total reason=empty 51
datagrams_dropped_total reason=pong 52
datagrams_dropped_total reason=reply_longer 53
datagrams_dropped_total reason=not_a_ping 54
datagrams_dropped_total reason=service_port 55
datagrams_dropped_total reason=many_hosts 56
datagrams_dropped_total reason=unspecified 57
datagrams_dropped_total reason=mapped_source 58
datagrams_dropped_total reason=own_address 59
datagrams_dropped_total reason=rate_limit 60
datagrams_dropped_total reason=allow 61
datagrams_dropped_total reason=unnamed 62
datagrams_dropped_total reason=too_long 63
datagrams_dropped_total reason=send_buffer_full 64
datagrams_dropped_total reason=send_error 65
datagrams_dropped_total reason=kernel 66
receive_errors_total 2
loop_turns_total 3
";

fn traffic(first: u64) -> Traffic {
    Traffic {
        messages: first,
        replies: first + 1,
        received_bytes: first + 2,
        sent_bytes: first + 3,
    }
}

#[test]
fn each_has_its_name() {
    use AcceptError::{Connection, Exhausted, Other, Register};
    use CloseReason as Why;
    let mut counters = Counters::default();
    counters.accepted = 1;
    counters.receive_errors = 2;
    counters.loop_turns = 3;
    counters.tcp = traffic(31);
    counters.udp = traffic(41);
    counters.unix = traffic(71);
    let closed = [
        Why::PeerClosed,
        Why::Reset,
        Why::Error,
        Why::IdleTimeout,
        Why::MessageTooLong,
        Why::NotAPing,
        Why::Drained,
        Why::DrainTimeout,
    ];
    for (reason, times) in closed.into_iter().zip(11..) {
        (0..times).for_each(|_| counters.count_closed(reason));
    }
    let refused = [RefusedReason::Allow, RefusedReason::PerClient];
    for (reason, times) in refused.into_iter().zip(25..) {
        (0..times).for_each(|_| counters.count_refused(reason));
    }
    let accepts = [Exhausted, Connection, Register, Other];
    for (reason, times) in accepts.into_iter().zip(21..) {
        (0..times).for_each(|_| counters.count_accept_error(reason));
    }
    let dropped = [
        Dropped::Empty,
        Dropped::Pong,
        Dropped::ReplyLonger,
        Dropped::NotAPing,
        Dropped::ServicePort,
        Dropped::ManyHosts,
        Dropped::Unspecified,
        Dropped::MappedSource,
        Dropped::OwnAddress,
        Dropped::RateLimit,
        Dropped::NotAllowed,
        Dropped::Unnamed,
        Dropped::TooLong,
        Dropped::SendBufferFull,
        Dropped::SendError,
        Dropped::Kernel,
    ];
    for (reason, datagrams) in dropped.into_iter().zip(50..) {
        counters.count_dropped(reason, datagrams);
        counters.count_dropped(reason, 1);
    }
    let mut told = String::new();
    counters.each(|name, label, count| {
        let label = label.map(|(key, value)| format!("{key}={value} "));
        told.push_str(&format!("{name} {}{count}\n", label.unwrap_or_default()));
    });
    assert_eq!(told, TOLD);
}
