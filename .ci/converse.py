"""A conversation with one binary, natively or under qemu-user. Prints a line of a table, or fails."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading

# How each is run here; under emulation its own memory cannot be told from the emulator's.
RUNNERS = {
    "arm64": ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"],
    "armhf": ["qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"],
    "riscv64": ["qemu-riscv64-static", "-L", "/usr/riscv64-linux-gnu"],
    "mipsel": ["qemu-mipsel-static", "-L", "/usr/mipsel-linux-gnu"],
}
GUARD_S = 30

target, program = sys.argv[1:]
runner = RUNNERS.get(target, [])


class Server:
    def __init__(self, *listen):
        args = [word for at in listen for word in ("--listen", at)]
        self.process = subprocess.Popen([*runner, program, "serve", *args], stderr=subprocess.PIPE, text=True)
        self.guard = threading.Timer(GUARD_S, self.process.kill)
        self.guard.start()
        # Two lines for each address.
        lines = [self.process.stderr.readline() for _ in range(2 * len(listen))]
        ports = [int(re.search(r"tcp://.*:(\d+)$", it).group(1)) for it in lines if "tcp://" in it]
        self.ports = ports or sys.exit(f"{target}: it does not listen: {lines}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.stderr.read()
        code = self.process.wait()
        self.guard.cancel()
        assert code == 0, f"{target}: exit {code}: {rest}"
        assert "stopped" in rest, rest

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            text = file.read()
        return [int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) for name in ("VmRSS", "RssAnon")]


def stream(at):
    family = socket.AF_INET6 if ":" in at[0] else socket.AF_INET
    it = socket.socket(family, socket.SOCK_STREAM)
    it.settimeout(GUARD_S)
    it.connect(at)
    return it


def ask(it, message, reply):
    it.sendall(message)
    got = b""
    while len(got) < len(reply):
        more = it.recv(65536)
        assert more, f"{target}: it ended after {got!r:.60}"
        got += more
    assert got == reply, f"{target}: {got!r:.60} for {message!r:.60}"


def converse(at):
    first = stream(at)
    ask(first, b"ping\nhello pdudo\nPING 7\r\npong\n", b"pong\npong\nPONG 7\r\n")
    line = b"x" * 60_000
    ask(first, b"ping " + line + b"\n", b"pong " + line + b"\n")
    many = [stream(at) for _ in range(100)]
    for number, it in enumerate(many):
        ask(it, b"ping %d\n" % number, b"pong %d\n" % number)
    many[0].shutdown(socket.SHUT_WR)
    assert many[0].recv(9) == b"", "a half-close is answered by the end"
    udp = socket.socket(first.family, socket.SOCK_DGRAM)
    udp.settimeout(GUARD_S)
    udp.connect(at)
    for number in range(64):
        udp.send(b"ping %d" % number)
    got = {udp.recv(99) for _ in range(64)}
    assert got == {b"pong %d" % number for number in range(64)}
    udp.send(b"hello pdudo")
    assert udp.recv(99) == b"pong"
    host = f"[{at[0]}]" if ":" in at[0] else at[0]
    pinged = subprocess.run(
        [*runner, program, "ping", "-c", "2", "-i", "0.1", "--tcp", "--udp", f"{host}:{at[1]}"],
        capture_output=True, text=True, timeout=GUARD_S,
    )
    has_clients = "small" not in target
    assert (pinged.returncode == 0) == has_clients, pinged.stdout + pinged.stderr


server = Server("127.0.0.1:0")
idle = server.memory_kib()
converse(("127.0.0.1", server.ports[0]))
server.stop()
server = Server("[::1]:0", "127.0.0.1:0")
converse(("::1", server.ports[0]))
server.stop()
resident, own = idle if not runner else ("", "")
print(f"| {target} | {os.path.getsize(program):,} | {resident} | {own} | passed |")
