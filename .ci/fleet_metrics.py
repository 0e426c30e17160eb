"""Whether alert rules and dashboard fit what the program shows, for .ci/fleet."""

import json
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml
from fleet_program import run

RULES_HEAD = """\
# Made of deploy/prometheus/rules.yml by `REGENERATE=1 .ci/fleet`: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: pingpong
  labels:
    app.kubernetes.io/name: pingpong
spec:
"""


def made_rules(plain):
    """The PrometheusRule that rules.yml makes."""
    text = plain[plain.index("groups:") :]
    return RULES_HEAD + "".join(f"  {line}" if line.strip() else line for line in text.splitlines(True))


class Metrics:
    """Checks of a fleet's rules and dashboard."""

    def rules(self):
        plain = self.text("deploy/prometheus/rules.yml")
        same = self.text("deploy/kubernetes/monitoring/rules.yaml") == made_rules(plain)
        self.check(same, "monitoring/rules.yaml is not made of rules.yml: REGENERATE=1 .ci/fleet")
        for what, file in (("check", "rules.yml"), ("test", "rules_test.yml")):
            done = run("promtool", what, "rules", file, cwd=self.root / "deploy/prometheus")
            self.check(done.returncode == 0, f"promtool {what} rules: {done.stdout}{done.stderr}")
        self.alerts = [rule for group in yaml.safe_load(plain)["groups"] for rule in group["rules"]]
        names = {it["alert"] for it in self.alerts}
        for it in self.alerts:
            keys = set(it["annotations"])
            self.check(keys == {"summary", "description"}, f"{it['alert']}: annotations {keys}")
            self.check(
                it["labels"]["severity"] in ("critical", "warning", "info"), f"{it['alert']}: severity"
            )
        tests = yaml.safe_load(self.text("deploy/prometheus/rules_test.yml"))["tests"]
        cases = [case for test in tests for case in test["alert_rule_test"]]
        loud = {case["alertname"] for case in cases if case.get("exp_alerts")}
        quiet = {case["alertname"] for case in cases if not case.get("exp_alerts")}
        self.check(loud == names, f"no test tells: {names ^ loud}")
        self.check(quiet == names, f"no test is silent about: {names ^ quiet}")

    def expressions(self):
        """Every metric, label and value that is asked for is one that the program shows."""
        known, values = {"up": {}}, {}
        for line in self.program.page.splitlines():
            if not line.startswith("#"):
                metric, labels = re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line).groups()
                found = known.setdefault(metric, {})
                for key, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
                    found.setdefault(key, set()).add(value)
                    values.setdefault(key, set()).add(value)
        # Prometheus puts these to every metric.
        outer = {"job", "instance"}
        board = json.loads(self.text("deploy/grafana/pingpong.json"))
        alerts = [(it["alert"], it["expr"]) for it in self.alerts]
        asked = []
        for panel in board["panels"]:
            asked += [(panel["title"], it["expr"]) for it in panel.get("targets", [])]
        asked += [(it["name"], it["expr"]) for it in board["annotations"]["list"]]
        asked += [
            (it["name"], re.sub(r"label_values\((.*), \w+\)", r"\1", it["query"]["query"]))
            for it in board["templating"]["list"]
            if it["type"] == "query"
        ]
        self.shown = asked
        asked = alerts + asked
        for where, expression in asked:
            metrics = re.findall(
                r"(?<![$\w])((?:pingpong|process)_\w+|up\b)(?!\()(?:\{([^}]*)\})?", expression
            )
            self.check(metrics, f"{where}: asks for nothing")
            labels = set(outer)
            for metric, matchers in metrics:
                self.check(metric in known, f"{where}: there is no {metric}")
                of_metric = known.get(metric, {})
                labels |= set(of_metric)
                for key, sign, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
                    if key in outer:
                        continue
                    self.check(key in of_metric, f"{where}: {metric} has no {key}")
                    for one in value.split("|") if "~" in sign else [value]:
                        self.check(one in of_metric.get(key, set()), f"{where}: {metric} has no {key}={one}")
            grouping = r"\b(?:by|without|on|ignoring|group_left)\s*\(([^)]*)\)"
            for key in re.findall(r"\w+", " ".join(re.findall(grouping, expression))):
                self.check(key in labels, f"{where}: no {key} to group by")
        # promtool reads all of them.
        plain = [expression.replace("$__rate_interval", "5m") for _, expression in asked]
        rules = [{"record": f"r:{i}", "expr": it} for i, it in enumerate(plain)]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}, file)
            file.flush()
            read = run("promtool", "check", "rules", file.name)
            self.check(read.returncode == 0, f"an expression: {read.stdout}{read.stderr}")
        self.notes.append(f"{len(asked)} expressions of {len(known)} series, {len(self.alerts)} alerts")

    def evaluated(self):
        """The real Prometheus loads the rules, scrapes the program as two instances, and answers every
        expression of the dashboard: with something, but for those that show what is rare."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            own = f"127.0.0.1:{free.getsockname()[1]}"
        port = self.program.admin.rsplit(":", 1)[1]
        scrape = {
            "job_name": "pingpong",
            "static_configs": [{"targets": [f"127.0.0.1:{port}", f"localhost:{port}"]}],
        }
        config = {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(self.root.resolve() / "deploy/prometheus/rules.yml")],
            "scrape_configs": [scrape],
        }

        def ask(what, **query):
            with urllib.request.urlopen(
                f"http://{own}/api/v1/{what}?{urllib.parse.urlencode(query)}", timeout=5
            ) as answer:
                return json.load(answer)["data"]

        run(self.program.path, "ping", "-c3", "-q", "-i", "10ms", "--tcp", "--udp", self.program.target)
        with tempfile.TemporaryDirectory() as home:
            Path(f"{home}/prometheus.yml").write_text(yaml.safe_dump(config))
            command = [
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                f"--web.listen-address={own}",
            ]
            child = subprocess.Popen(
                ["prometheus", *command], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                deadline = time.monotonic() + 60
                # Two scrapes of both at least: there are rates.
                while True:
                    try:
                        if len(ask("query", query="rate(pingpong_loop_turns_total[10s])")["result"]) == 2:
                            break
                    except OSError:
                        pass
                    if child.poll() is not None or time.monotonic() > deadline:
                        return self.check(False, "Prometheus does not scrape the program")
                    time.sleep(0.05)
                for where, expression in self.shown:
                    asked = (
                        expression.replace("$__rate_interval", "10s")
                        .replace("$job", ".+")
                        .replace("$instance", ".+")
                    )
                    try:
                        result = ask("query", query=asked)["result"]
                    except urllib.error.HTTPError as error:
                        self.check(False, f"{where}: {error.read().decode()}")
                        continue
                    self.check(result or "> 0" in expression, f"{where}: shows nothing: {expression}")
                rules = []
                while not rules or any(rule["health"] == "unknown" for rule in rules):
                    rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
                    self.check(time.monotonic() < deadline, "Prometheus does not evaluate the rules")
                    if self.problems:
                        break
                    time.sleep(0.05)
                for rule in rules:
                    self.check(rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}")
            finally:
                child.terminate()
                child.wait(30)
        return None

    def dashboard(self):
        board = json.loads(self.text("deploy/grafana/pingpong.json"))
        variables = {it["name"] for it in board["templating"]["list"]}
        ids = [panel["id"] for panel in board["panels"]]
        self.check(len(set(ids)) == len(ids), "dashboard: two panels have one number")
        taken = set()
        for panel in board["panels"]:
            at, title = panel["gridPos"], panel["title"]
            cells = {
                (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
            }
            self.check(not cells & taken, f"dashboard: {title} lies over another panel")
            self.check(at["x"] + at["w"] <= 24, f"dashboard: {title} is too wide")
            taken |= cells
            if panel["type"] == "row":
                continue
            self.check(panel.get("description"), f"dashboard: {title} does not say what it is")
            refs = [it["refId"] for it in panel["targets"]]
            self.check(refs == [chr(ord("A") + i) for i in range(len(refs))], f"dashboard: {title}: {refs}")
            for it in [panel, *panel["targets"]]:
                self.check(it["datasource"]["uid"] == "${datasource}", f"dashboard: {title}: its source")
        used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(board)))
        self.check(used == variables, f"dashboard: variables {used ^ variables}")
