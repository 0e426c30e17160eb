"""The real program, as the pods run it, for .ci/fleet."""

import re
import subprocess
import sys
import urllib.request


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


class Program:
    """The program, as a pod would run it, but on the loopback and at ports that the system chooses."""

    def __init__(self, path):
        self.path = path
        self.helps = {it: run(path, it, "--help").stdout for it in ("serve", "ping", "load")}
        self.version = run(path, "--version").stdout.split()[-1]
        self.tried = {}
        child = subprocess.Popen(
            [path, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.child = child
        self.target = self.admin = None
        while not (self.target and self.admin):
            line = child.stderr.readline()
            if not line:
                sys.exit("fleet: the server did not start")
            if found := re.search(r"tcp://(\S+)", line):
                self.target = found[1]
            if found := re.search(r"http://\S+", line):
                self.admin = found[0]
        self.page = self.get("/metrics")[1]

    def get(self, path):
        try:
            with urllib.request.urlopen(self.admin + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except OSError as error:
            return getattr(error, "code", str(error)), ""

    def default(self, command, option):
        """What the help of a command says that an option is without being given."""
        return re.search(rf"{option}\b[^\[]*\[([^\]]+)\]", self.helps[command])[1]

    def has(self, needed):
        command, option = needed.split()
        return re.search(rf"{option}\b", self.helps[command]) is not None

    def takes(self, args):
        """Runs a pod's command, and tells what is wrong with it: on the loopback, and for a moment."""
        key = tuple(args)
        if key not in self.tried:
            self.tried[key] = self.run_as_pod(args)
        return self.tried[key]

    def run_as_pod(self, args):
        command, *rest = args
        swap = {
            "--listen": "127.0.0.1:0",
            "--admin": "127.0.0.1:0",
            "-d": "200ms",
            "--warmup": "0",
            "-i": "10ms",
        }
        rest = [swap.get(before, it) for before, it in zip([None, *rest], rest)]
        # Targets: what stands behind the last option and its value.
        if command != "serve":
            last = max(i for i, it in enumerate(rest) if it.startswith("-"))
            rest = rest[: last + 2] + [self.target] * len(rest[last + 2 :])
            extra = ["-c", "2"] if command == "ping" else ["--timeout", "1s"]
            done = run(self.path, command, *extra, *rest)
            return "" if done.returncode == 0 else done.stderr
        child = subprocess.Popen([self.path, command, *rest], stderr=subprocess.PIPE, text=True)
        lines = []
        while not any("http://" in it for it in lines):
            lines.append(child.stderr.readline())
            if not lines[-1]:
                return "".join(lines) or "it ends at once"
        child.terminate()
        child.stderr.read()
        return "" if child.wait(10) == 0 else f"exit status {child.returncode} at SIGTERM"

    def stop(self):
        self.child.terminate()
        self.child.wait(10)
