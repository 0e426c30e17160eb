"""What .ci/fleet checks: deploy/kubernetes, deploy/prometheus and deploy/grafana, and that they fit the
program and each other. Nothing here needs a cluster."""

import importlib.util
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

sys.dont_write_bytecode = True
from fleet_container import Contained  # noqa: E402
from fleet_manifests import PARTS, Manifests  # noqa: E402
from fleet_metrics import Metrics, made_rules  # noqa: E402
from fleet_program import Program, run  # noqa: E402


class Fleet(Manifests, Metrics, Contained):
    """The files below one folder, and what is wrong with them."""

    def __init__(self, root, program):
        self.root = Path(root)
        self.program = program
        self.problems = []
        self.notes = []
        self.parts = {}
        self.ran = 0

    def check(self, holds, what):
        if not holds:
            self.problems.append(what)
        return holds

    def text(self, path):
        return (self.root / path).read_text()

    def everything(self):
        for part in PARTS:
            built = run("kubectl", "kustomize", str(self.root / "deploy/kubernetes" / part))
            self.check(built.returncode == 0, f"{part}: kustomize: {built.stderr.strip()}")
            self.parts[part] = [it for it in yaml.safe_load_all(built.stdout) if it]
        folders = {it.name for it in (self.root / "deploy/kubernetes").iterdir()}
        self.check(folders == set(PARTS), f"folders that nobody checks: {folders ^ set(PARTS)}")
        for part, documents in self.parts.items():
            self.objects(part, documents)
            for it in documents:
                if "template" in it.get("spec", {}):
                    self.pod(part, it)
        self.selections()
        self.admission()
        self.targets()
        self.rules()
        self.expressions()
        self.dashboard()
        self.merging()
        self.docs()
        return self.problems

    def merging(self):
        """Of the logs of three pods no value is lost, each with its report before and its own beginning."""
        path = self.root / "deploy/kubernetes/load-hlog/merge.py"
        spec = importlib.util.spec_from_file_location("merge", path)
        merge = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(merge)
        from hdrh.histogram import HdrHistogram  # pylint: disable=import-outside-toplevel

        whole = HdrHistogram(1, 3600 * 10**9, 3)
        with tempfile.TemporaryDirectory() as folder:
            names = []
            for pod in range(3):
                names.append(f"{folder}/{pod}.log")
                with open(names[-1], "w") as log:
                    log.write('{"schema":1,"latency":{"count":15,"p99_us":1.5}}\n')
                    log.write("#[Histogram log format version 1.3]\n")
                    log.write(f"#[StartTime: {1795639400 + pod * 0.137:.3f} (seconds since epoch)]\n")
                    log.write(
                        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
                    )
                    for second in range(5):
                        interval = HdrHistogram(1, 3600 * 10**9, 3)
                        for value in range(3):
                            latency = 10 ** (3 + value + pod)
                            interval.record_value(latency)
                            whole.record_value(latency)
                        top = interval.get_max_value() / 1e6
                        log.write(f"{second:.3f},1.000,{top:.3f},{interval.encode().decode()}\n")
            merged = merge.merge(names)
        self.check(merged.get_total_count() == 45, f"merge.py: {merged.get_total_count()} values of 45")
        for percentile in (1, 50, 90, 99):
            one, other = (it.get_value_at_percentile(percentile) for it in (merged, whole))
            self.check(one == other, f"merge.py: p{percentile} is {one} instead of {other}")

    def docs(self):
        page = self.text("docs/kubernetes.md")
        rows = set(re.findall(r"^\| `(Pingpong\w+)` \|", page, re.M))
        names = {it["alert"] for it in self.alerts}
        self.check(rows == names, f"docs/kubernetes.md: alerts {rows ^ names}")
        folders = set(re.findall(r"^\| `([\w-]+)` \|", page, re.M)) - rows
        self.check(folders == set(PARTS), f"docs/kubernetes.md: folders {folders ^ set(PARTS)}")
        # The first kustomization in it is one that works.
        example = re.search(r"```yaml\n(.*?)```", page, re.S)[1]
        with tempfile.TemporaryDirectory() as site:
            shutil.copytree(self.root / "deploy", f"{site}/pingpong/deploy")
            Path(f"{site}/kustomization.yaml").write_text(example)
            built = run("kubectl", "kustomize", site)
        self.check(built.returncode == 0, f"docs/kubernetes.md: its example: {built.stderr}")
        for it in yaml.safe_load_all(built.stdout):
            if it["kind"] == "Deployment":
                container = it["spec"]["template"]["spec"]["containers"][0]
                image = f"registry.example/pingpong:{self.program.version}"
                self.check(
                    container["image"] == image, f"docs/kubernetes.md: its example has {container['image']}"
                )
                self.check(
                    "--max-per-client=100" in container["args"],
                    "docs/kubernetes.md: its example patches nothing",
                )
                wrong = self.program.takes(container["args"])
                self.check(not wrong, f"docs/kubernetes.md: its example's command fails: {wrong}")


def bugs():
    return yaml.safe_load(Path(".ci/fleet-bugs.yml").read_text())


def plant(program, only):
    """Plants each bug in a copy, and sees that it is found, by the words that it has to be found by."""
    found = missed = 0
    for line in bugs():
        name, file, old, new, told = (line[key] for key in ("bug", "file", "old", "new", "told"))
        if only and only != name:
            continue
        with tempfile.TemporaryDirectory() as copy:
            for folder in ("deploy", "docs"):
                shutil.copytree(folder, f"{copy}/{folder}")
            path = Path(copy) / file
            text = path.read_text()
            path.write_text(text.replace(old, new, 1))
            if file == "deploy/prometheus/rules.yml":
                (Path(copy) / "deploy/kubernetes/monitoring/rules.yaml").write_text(
                    made_rules(path.read_text())
                )
            try:
                fleet = Fleet(copy, program)
                problems = fleet.everything()
                # Some seconds, for those that nothing else has found.
                if not any(told in it for it in problems):
                    fleet.evaluated()
            except Exception as error:  # pylint: disable=broad-except
                problems = [f"{type(error).__name__}: {error}"]
        hit = [it for it in problems if told in it]
        print(
            f"{name:32} {hit[0].strip().splitlines()[0][:120] if hit else f'NOT FOUND: {problems}'}",
            flush=True,
        )
        found, missed = found + bool(hit), missed + (not hit)
    print(f"{found} found, {missed} missed")
    return missed == 0 and found > 0


def main():
    words = sys.argv[1:]
    if os.environ.get("REGENERATE"):
        text = made_rules(Path("deploy/prometheus/rules.yml").read_text())
        Path("deploy/kubernetes/monitoring/rules.yaml").write_text(text)
    planting = words[:1] == ["--plant"]
    path = "target/release/pingpong" if planting or not words else words[0]
    program = Program(path)
    try:
        if planting:
            sys.exit(0 if plant(program, words[1] if len(words) > 1 else None) else 1)
        fleet = Fleet(".", program)
        problems = fleet.everything()
        fleet.evaluated()
        fleet.contained()
        for it in bugs():
            fleet.check(
                it["old"] in fleet.text(it["file"]), f"fleet-bugs.yml: {it['bug']} cannot be planted any more"
            )
    finally:
        program.stop()
    fleet.notes.append(f"{fleet.ran} pods ran as containers")
    for note in fleet.notes:
        print(note)
    for problem in problems:
        print("fleet:", problem, file=sys.stderr)
    print(f"{len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
