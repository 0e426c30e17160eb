"""What no validator knows of the manifests, the rules and the dashboard."""

import json
import re
import subprocess
import sys
import tempfile
import urllib.request

import yaml

built, admin = sys.argv[1:]
problems = []


def check(holds, what):
    if not holds:
        problems.append(what)


def documents(part):
    with open(f"{built}/{part}.yaml") as file:
        return [it for it in yaml.safe_load_all(file) if it]


def pods(part):
    for it in documents(part):
        if "template" in it.get("spec", {}):
            yield it["kind"], it["metadata"]["name"], it["spec"]["template"]


def restricted(name, pod, may_have_host_ports):
    """The restricted profile of pod security, as far as these pods could break it."""
    whole = pod.get("securityContext", {})
    check(whole.get("runAsNonRoot") is True and whole.get("runAsUser", 0) > 0, f"{name}: runs as root")
    check(whole.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{name}: no seccomp profile")
    check(pod.get("automountServiceAccountToken") is False, f"{name}: has a token of the cluster")
    for key in ("hostNetwork", "hostPID", "hostIPC", "volumes"):
        check(not pod.get(key), f"{name}: {key}")
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        check(own.get("allowPrivilegeEscalation") is False, f"{name}: may gain privileges")
        check(own.get("readOnlyRootFilesystem") is True, f"{name}: may write")
        check(own.get("capabilities") == {"drop": ["ALL"]}, f"{name}: has capabilities")
        check("memory" in container.get("resources", {}).get("limits", {}), f"{name}: no bound on memory")
        ports = [(it["name"], it["containerPort"], it["protocol"]) for it in container.get("ports", [])]
        if container["args"][0] == "serve":
            expected = [("tcp", 8888, "TCP"), ("udp", 8888, "UDP"), ("admin", 9100, "TCP")]
            check(ports == expected, f"{name}: ports {ports}")
            check(container["args"][1:] == ["--listen", ":8888", "--admin", ":9100"], f"{name}: arguments")
            for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
                get = container[probe]["httpGet"]
                check((get["path"], get["port"]) == (path, "admin"), f"{name}: {probe}")
                with urllib.request.urlopen(admin + path) as answer:
                    check(answer.read() == b"ok", f"{path} does not answer")
        if not may_have_host_ports:
            check(not any("hostPort" in it for it in container.get("ports", [])), f"{name}: host port")


for part in ("service", "nodes", "nodes-host-port", "load", "mesh"):
    for kind, name, template in pods(part):
        restricted(f"{part} {kind} {name}", template["spec"], part == "nodes-host-port")
        component = template["metadata"]["labels"]["app.kubernetes.io/component"]
        check(component == part.removesuffix("-host-port"), f"{part}: its pods are called {component}")
    for it in documents(part):
        check(it["metadata"]["namespace"] == "pingpong", f"{part}: another namespace")

for it in documents("service") + documents("nodes") + documents("mesh"):
    if it["kind"] == "Service":
        ports = [(p["name"], p["port"], p["targetPort"], p["protocol"]) for p in it["spec"]["ports"]]
        both = [("tcp", 8888, "tcp", "TCP"), ("udp", 8888, "udp", "UDP")]
        check(ports in (both, [("admin", 9100, "admin", "TCP")]), f"{it['metadata']['name']}: {ports}")
    if it["kind"] == "NetworkPolicy":
        first, second = it["spec"]["ingress"]
        check("from" not in first and {p["port"] for p in first["ports"]} == {"tcp", "udp"}, "who may ask")
        check([p["port"] for p in second["ports"]] == ["admin"] and second["from"], "who may scrape")

for kind, name, template in pods("nodes-host-port"):
    ports = [(p["protocol"], p.get("hostPort")) for p in template["spec"]["containers"][0]["ports"]]
    check(ports == [("TCP", 8888), ("UDP", 8888), ("TCP", None)], f"{name}: {ports}")

# A drain ends before the kubelet loses its patience.
for kind, name, template in pods("service"):
    pod = template["spec"]
    pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    check(pause + 5 + 2 <= pod["terminationGracePeriodSeconds"], f"{name}: killed while it drains")

# The rules are the same in both places.
with open("deploy/prometheus/rules.yml") as file:
    rules = yaml.safe_load(file)
for it in documents("monitoring"):
    if it["kind"] == "PrometheusRule":
        check(it["spec"] == rules, "the rules of deploy/kubernetes/monitoring are not deploy/prometheus/rules.yml")
    for end in it["spec"].get("endpoints", []) + it["spec"].get("podMetricsEndpoints", []):
        check((end["port"], end["path"]) == ("admin", "/metrics"), f"{it['kind']}: {end}")

# Each alert is tested, and quiet when all is well.
with open("deploy/prometheus/rules_test.yml") as file:
    quiet, loud = yaml.safe_load(file)["tests"]
names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
check({it["alertname"] for it in quiet["alert_rule_test"]} == names, "an alert is not tried where all is well")
loud_names = {it["alertname"] for it in loud["alert_rule_test"] if it.get("exp_alerts")}
check(loud_names == names, f"never told by a test: {names - loud_names}")

# Every metric that is asked for is one that there is, with that value of a reason.
with urllib.request.urlopen(admin + "/metrics") as answer:
    page = answer.read().decode()
known = {re.split(r"[ {]", line)[0] for line in page.splitlines() if not line.startswith("#")} | {"up"}
values = set(re.findall(r'(\w+)="([^"]*)"', page))
with open("deploy/grafana/pingpong.json") as file:
    dashboard = json.load(file)
expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
expressions += [it["expr"] for it in dashboard["annotations"]["list"]]
for expression in expressions:
    for metric in re.findall(r"\b(?:pingpong_|process_)\w+", expression):
        check(metric in known, f"there is no {metric}")
    for reason in re.findall(r'reason=~?"([^"]*)"', expression):
        for value in reason.split("|"):
            check(("reason", value) in values, f"there is no reason {value}")
# promtool reads every expression of the dashboard.
plain = [re.sub(r"\$__rate_interval", "5m", it) for it in expressions]
groups = {"groups": [{"name": "all", "rules": [{"record": f"r:{i}", "expr": it} for i, it in enumerate(plain)]}]}
with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
    yaml.safe_dump(groups, file)
    file.flush()
    read = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    check(read.returncode == 0, read.stderr)
ids = [panel["id"] for panel in dashboard["panels"]]
check(len(set(ids)) == len(ids), "two panels of one number")

print(f"{len(expressions)} expressions, {len(names)} alerts, {len(known)} metrics: {len(problems)} problems")
sys.exit("\n".join(problems) if problems else 0)
