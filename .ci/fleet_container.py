"""The program in a container, as a pod's security context has it: by runc, without a cluster."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from fleet_program import run

TOOLS = Path("target/fleet/debian").resolve()
RUNC = str(TOOLS / "usr/sbin/runc")
# What stands for the runtime's default profile: that of Podman and CRI-O.
SECCOMP = TOOLS / "usr/share/containers/seccomp.json"
READY_S = 20


def default_profile():
    """The profile as runc reads it, for who has no capability."""
    whole = json.loads(SECCOMP.read_text())
    rules = []
    for rule in whole["syscalls"]:
        needed, spared = rule.get("includes", {}), rule.get("excludes", {})
        arches = needed.get("arches")
        if needed.get("caps") or (arches and "amd64" not in arches) or "amd64" in spared.get("arches", []):
            continue
        rules.append({key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key)})
    profile = {
        "defaultAction": whole["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }
    if "defaultErrnoRet" in whole:
        profile["defaultErrnoRet"] = whole["defaultErrnoRet"]
    return profile


def root_of(program, folder):
    """A root with the program, what it links with, and a name that Services have in a cluster."""
    root = Path(folder) / "rootfs"
    for name in ("dev", "proc", "sys", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(program, root / "pingpong")
    (root / "etc/hosts").write_text("127.0.0.1 localhost pingpong\n::1 localhost\n")
    for library in re.findall(r"(/\S+) \(0x", run("ldd", program).stdout):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    return root


class Container:
    """One that runs. `beside`: it shares the network of that one, as if it were the cluster's."""

    def __init__(self, folder, root, pod, args, memory_bytes, beside=None):
        self.name = f"pingpong-fleet-{os.getpid()}-{Path(folder).name}"
        os.makedirs(folder, exist_ok=True)
        run(RUNC, "spec", cwd=folder)
        path = Path(folder) / "config.json"
        config = json.loads(path.read_text())
        whole, container = pod["securityContext"], pod["containers"][0]
        own = container["securityContext"]
        process = config["process"]
        process |= {"terminal": False, "args": ["/pingpong", *args]}
        process["user"] = {"uid": whole["runAsUser"], "gid": whole["runAsGroup"]}
        process["capabilities"] = {kind: [] for kind in process["capabilities"]}
        process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 16384}]
        process["noNewPrivileges"] = not own["allowPrivilegeEscalation"]
        config["root"] = {"path": str(root), "readonly": own["readOnlyRootFilesystem"]}
        config["linux"]["seccomp"] = default_profile()
        config["linux"]["resources"]["memory"] = {"limit": memory_bytes}
        config["linux"]["cgroupsPath"] = f"/{self.name}"
        if beside:
            for namespace in config["linux"]["namespaces"]:
                if namespace["type"] == "network":
                    namespace["path"] = f"/proc/{beside.pid()}/ns/net"
        path.write_text(json.dumps(config))
        command = [RUNC, "run", "--pid-file", "pid", self.name]
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        self.folder = Path(folder)
        self.child = subprocess.Popen(command, cwd=folder, **pipes)

    def pid(self):
        """runc writes it when the program runs already."""
        path = self.folder / "pid"
        while not (path.exists() and path.read_text()) and self.child.poll() is None:
            time.sleep(0.01)
        return int(path.read_text())

    def wait_for(self, word):
        """Its log, up to a line that has the word; or all of it, if it ends before."""
        lines = []
        while not lines or (lines[-1] and word not in lines[-1]):
            lines.append(self.child.stderr.readline())
        return "".join(lines)

    def inside(self, *command):
        """A command of this host's, in the container's network."""
        return run("nsenter", "-t", str(self.pid()), "-n", *command)

    def end(self):
        if self.child.poll() is None:
            run(RUNC, "kill", self.name, "KILL")
        self.child.communicate(timeout=READY_S)
        run(RUNC, "delete", "--force", self.name)


class Contained:
    """Pods of a fleet, as containers."""

    def contained(self):
        works = run(RUNC, "list").returncode == 0 and os.geteuid() == 0
        if not works:
            # A submission's machine can.
            self.check(os.environ.get("CI") != "true", "no containers on this machine")
            self.notes.append("no pod was run as a container: runc does not work here")
            return
        with tempfile.TemporaryDirectory() as folder:
            root = root_of(self.program.path, folder)
            for part in ("service", "nodes"):
                self.serving(part, f"{folder}/{part}", root)

    def serving(self, part, folder, root):
        """It starts with the pod's own command, its probes are answered, its clients too, the load job's
        reaches it by the Service's name, and it ends as the kubelet ends it."""
        pod, memory = self.pod_of(part)
        args = pod["containers"][0]["args"]
        server = Container(folder, root, pod, args, memory)
        try:
            log = server.wait_for("http://")
            if not self.check("http://" in log, f"{part}: in a container: {log}"):
                return
            self.check("WARN" not in log, f"{part}: in a container: {log}")
            status = Path(f"/proc/{server.pid()}/status").read_text()
            for what, value in (
                ("Uid", "65532"),
                ("CapBnd", "0" * 16),
                ("NoNewPrivs", "1"),
                ("Seccomp", "2"),
            ):
                got = re.search(rf"^{what}:\s+(\S+)", status, re.M)[1]
                self.check(got == value, f"{part}: in a container: {what} is {got}")
            server.inside("ip", "link", "set", "lo", "up")
            for path in ("/livez", "/readyz"):
                fetch = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:9100{path}').read())"
                answer = server.inside("python3", "-c", fetch)
                self.check(
                    answer.stdout.strip() == "b'ok'", f"{part}: in a container: {path}: {answer.stderr}"
                )
            pinged = server.inside(self.program.path, "ping", "-c1", "-q", "--tcp", "--udp", "127.0.0.1:8888")
            self.check(pinged.returncode == 0, f"{part}: in a container: {pinged.stdout}{pinged.stderr}")
            if part == "service":
                self.loading("load", f"{folder}-load", root, server)
                if self.program.has("load --hlog"):
                    self.loading("load-hlog", f"{folder}-hlog", root, server)
            began = time.monotonic()
            run(RUNC, "kill", server.name, "TERM")
            code = server.child.wait(READY_S)
            took = time.monotonic() - began
            self.check(
                code == 0 and took < 5, f"{part}: in a container: exit status {code} after {took:.1f} s"
            )
            self.ran += 1
        finally:
            server.end()

    def loading(self, part, folder, root, server):
        pod, memory = self.pod_of(part)
        words = pod["containers"][0]["args"]
        short = {"-d": "300ms", "--warmup": "0"}
        args = [short.get(before, it) for before, it in zip([None, *words], words, strict=False)]
        job = Container(folder, root, pod, args, memory, beside=server)
        try:
            out, log = job.child.communicate(timeout=60)
            report = json.loads(out.splitlines()[0]) if out else {"ok": False}
            self.check(job.child.returncode == 0 and report["ok"], f"{part}: in a container: {out}{log}")
            if part == "load-hlog":
                self.check("#[Histogram log" in out, f"{part}: no interval log behind its report")
            self.ran += 1
        finally:
            job.end()

    def pod_of(self, part):
        for it in self.parts[part]:
            if "template" in it.get("spec", {}):
                pod = it["spec"]["template"]["spec"]
                return pod, self.memory_limit(pod)
        raise LookupError(part)
