"""What no validator knows of the manifests in deploy/kubernetes, for .ci/fleet."""

import http.server
import json
import os
import re
import shutil
import tempfile
import threading
from pathlib import Path

import kubernetes_validate
import yaml
from fleet_program import run

# The oldest that the docs promise, for the `sleep` of preStop, and the newest that there are schemas for.
KUBERNETES = ["1.30", "1.37"]
OPERATOR = "monitoring.coreos.com/v1"
PARTS = {
    # folder: namespace, how many objects
    "namespace": (None, 1),
    "service": ("pingpong", 5),
    "service-load-balancer": ("pingpong", 5),
    "nodes": ("pingpong", 2),
    "nodes-host-port": ("pingpong-hosts", 3),
    "load": ("pingpong", 2),
    "load-hlog": ("pingpong", 2),
    "mesh": ("pingpong", 2),
    "monitoring": ("pingpong", 3),
}
CLIENT_MAX_BYTES = 256 * 1024
SPARE_BYTES = 8 << 20
# kubelet, and the program itself, need a moment beside what they wait for.
SPARE_S = 5


def seconds(text):
    return float(re.fullmatch(r"([\d.]+)s", text)[1])


def memory_bytes(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)", text).groups()
    return int(number) << {"Ki": 10, "Mi": 20, "Gi": 30}[unit]


def matches(selector, labels):
    """Whether a label selector chooses what has these labels. One that is not there chooses nothing."""
    if selector is None:
        return False
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for it in selector.get("matchExpressions", []):
        assert it["operator"] == "In", it
        if labels.get(it["key"]) not in it["values"]:
            return False
    return True


class Manifests:
    """Checks of a fleet's objects: each by itself, and whether they fit together."""

    # --- objects by themselves

    def objects(self, part, documents):
        namespace, count = PARTS[part]
        self.check(len(documents) == count, f"{part}: {len(documents)} objects instead of {count}")
        for it in documents:
            name = f"{part}: {it['kind']} {it['metadata']['name']}"
            if it["apiVersion"] == OPERATOR:
                self.operator_object(name, it)
            else:
                for version in KUBERNETES:
                    try:
                        kubernetes_validate.validate(it, version, strict=True)
                    except Exception as error:  # pylint: disable=broad-except
                        self.check(False, f"{name}: not valid in {version}: {error}")
            if it["kind"] == "Namespace":
                profile = it["metadata"]["labels"].get("pod-security.kubernetes.io/enforce")
                wanted = "privileged" if part == "nodes-host-port" else "restricted"
                self.check(profile == wanted, f"{name}: profile {profile}")
            else:
                self.check(it["metadata"].get("namespace") == namespace, f"{name}: not in {namespace}")

    def operator_object(self, name, it):
        """Its kinds have no schema in Kubernetes. The models leave out what they do not know."""
        from cloudcoil.models.prometheus_operator import v1  # pylint: disable=import-outside-toplevel

        try:
            model = getattr(v1, it["kind"]).model_validate(it)
        except Exception as error:  # pylint: disable=broad-except
            return self.check(False, f"{name}: not valid: {error}")
        known = json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))
        return self.check(known["spec"] == it["spec"], f"{name}: a field that the operator does not know")

    def pod(self, part, workload):
        name = f"{part}: {workload['kind']}"
        pod = workload["spec"]["template"]["spec"]
        self.restricted(name, pod, part == "nodes-host-port")
        self.check(pod.get("automountServiceAccountToken") is False, f"{name}: has a token of the cluster")
        self.check(pod.get("enableServiceLinks") is False, f"{name}: has every Service in its environment")
        for container in pod["containers"]:
            own = container.get("securityContext", {})
            self.check(own.get("readOnlyRootFilesystem") is True, f"{name}: may write")
            self.check(
                container["image"] == f"pingpong:{self.program.version}",
                f"{name}: image {container['image']}",
            )
            self.resources(name, container)
            self.ports_and_probes(name, pod, container)
            self.command(name, workload, container)

    def restricted(self, name, pod, may_have_host_ports):
        """The profile `restricted` of Pod Security Standards, each of its controls."""
        whole = pod.get("securityContext", {})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            self.check(not pod.get(key), f"{name}: {key}")
        self.check(not whole.get("sysctls"), f"{name}: sysctls")
        allowed = {
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "persistentVolumeClaim",
            "projected",
        }
        for volume in pod.get("volumes", []):
            self.check(set(volume) - {"name"} <= allowed | {"secret"}, f"{name}: volume {volume}")
        for container in pod["containers"] + pod.get("initContainers", []):
            own = container.get("securityContext", {})
            either = {**whole, **own}
            self.check(either.get("runAsNonRoot") is True, f"{name}: may run as root")
            self.check(either.get("runAsUser") == 65532, f"{name}: not the image's user")
            profile = either.get("seccompProfile", {}).get("type")
            self.check(profile in ("RuntimeDefault", "Localhost"), f"{name}: seccomp profile {profile}")
            self.check(own.get("allowPrivilegeEscalation") is False, f"{name}: may gain privileges")
            self.check(own.get("capabilities") == {"drop": ["ALL"]}, f"{name}: has capabilities")
            self.check(not own.get("privileged"), f"{name}: privileged")
            for key in ("procMount", "seLinuxOptions", "appArmorProfile", "windowsOptions"):
                self.check(key not in either, f"{name}: {key}")
            host_ports = [it["hostPort"] for it in container.get("ports", []) if "hostPort" in it]
            wanted = [8888, 8888] if may_have_host_ports else []
            self.check(host_ports == wanted, f"{name}: host ports {host_ports}")

    @staticmethod
    def memory_limit(pod):
        return memory_bytes(pod["containers"][0]["resources"]["limits"]["memory"])

    def resources(self, name, container):
        limits = container.get("resources", {}).get("limits", {})
        requests = container.get("resources", {}).get("requests", {})
        self.check({"cpu", "memory"} <= set(requests), f"{name}: asks for nothing")
        self.check("memory" in limits, f"{name}: no bound on memory")
        self.check("cpu" not in limits, f"{name}: its CPU is throttled")
        args = container["args"]
        if args[0] == "serve" and "memory" in limits:
            clients = (
                int(args[args.index("--max-connections") + 1]) if "--max-connections" in args else 1 << 20
            )
            worst = clients * CLIENT_MAX_BYTES + SPARE_BYTES
            self.check(
                worst <= memory_bytes(limits["memory"]), f"{name}: {clients} clients may be too much memory"
            )

    def ports_and_probes(self, name, pod, container):
        args = dict(zip(container["args"], container["args"][1:]))
        wanted = []
        if container["args"][0] == "serve":
            port = int(args["--listen"].removeprefix(":"))
            wanted = [("tcp", port, "TCP"), ("udp", port, "UDP")]
        if "--admin" in args:
            wanted.append(("admin", int(args["--admin"].removeprefix(":")), "TCP"))
        ports = [(it["name"], it["containerPort"], it["protocol"]) for it in container.get("ports", [])]
        self.check(ports == wanted, f"{name}: ports {ports} instead of {wanted}")
        probes = {}
        if "--admin" in args:
            probes["livenessProbe"] = "/livez"
        if container["args"][0] == "serve":
            probes["readinessProbe"] = "/readyz"
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            get = container.get(probe, {}).get("httpGet", {})
            self.check(get.get("path") == probes.get(probe), f"{name}: {probe} {get}")
            if get:
                self.check(get.get("port") == "admin", f"{name}: {probe} at {get.get('port')}")
                self.check(
                    self.program.get(get["path"]) == (200, "ok"), f"{name}: {get['path']} does not answer"
                )
        if container["args"][0] == "serve":
            pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            drain = seconds(args.get("--drain-timeout") or self.program.default("serve", "--drain-timeout"))
            grace = pod["terminationGracePeriodSeconds"]
            self.check(pause + drain + SPARE_S <= grace, f"{name}: killed while it drains")
            # Who is behind a Service has to go on until the proxies know that it goes.
            behind = name.startswith("service")
            self.check((pause > 0) == behind, f"{name}: a preStop of {pause} s")

    def command(self, name, workload, container):
        """What the pod runs is run here. What needs a later version says so, until it is there."""
        needed = workload["metadata"].get("annotations", {}).get("pingpong/needs")
        if needed and not self.program.has(needed):
            self.notes.append(f"{name}: not run: it needs {needed}")
            return
        self.check(
            not needed,
            f"{name}: the program has {needed} now: take out the annotation, and the word of it in docs",
        )
        wrong = self.program.takes(container["args"])
        self.check(not wrong, f"{name}: its command fails: {wrong.strip()}")

    # --- objects together

    def pods(self):
        """All pods that there can be: where they come from, labels, ports."""
        for part, documents in self.parts.items():
            for it in documents:
                if "template" in it.get("spec", {}):
                    ports = it["spec"]["template"]["spec"]["containers"][0].get("ports", [])
                    by_name = {port["name"]: port["protocol"] for port in ports}
                    yield (
                        part,
                        it["metadata"]["namespace"],
                        it["spec"]["template"]["metadata"]["labels"],
                        by_name,
                    )

    def chosen(self, namespaces, selector):
        return {
            part
            for part, namespace, labels, _ in self.pods()
            if namespace in namespaces and matches(selector, labels)
        }

    def selections(self):
        """Every selector chooses the pods of its own part, and no others."""
        for part, documents in self.parts.items():
            own = {"service", "service-load-balancer"} if part.startswith("service") else {part}
            own |= {"load", "load-hlog"} if part.startswith("load") else set()
            for it in documents:
                spec, kind = it.get("spec", {}), it["kind"]
                name, namespace = (
                    f"{part}: {kind} {it['metadata']['name']}",
                    {it["metadata"].get("namespace")},
                )
                selectors = []
                if kind == "Service":
                    selectors = [{"matchLabels": spec["selector"]}]
                elif kind == "NetworkPolicy":
                    # One that is empty chooses all pods of the namespace.
                    selectors = [spec["podSelector"]]
                elif kind == "PodDisruptionBudget" or kind in ("Deployment", "DaemonSet"):
                    selectors = [spec.get("selector")]
                if "template" in spec:
                    spread = spec["template"]["spec"].get("topologySpreadConstraints", [])
                    selectors += [constraint["labelSelector"] for constraint in spread]
                for selector in selectors:
                    chosen = self.chosen(namespace, selector)
                    self.check(chosen == own, f"{name}: chooses {sorted(chosen)} instead of {sorted(own)}")
                if kind == "Service":
                    self.service(name, it, own)
                if kind == "PodMonitor":
                    chosen = self.chosen(set(spec["namespaceSelector"]["matchNames"]), spec["selector"])
                    wanted = {"nodes", "nodes-host-port", "mesh"}
                    self.check(chosen == wanted, f"{name}: chooses {sorted(chosen)}")
                    self.scraped(name, it, spec["podMetricsEndpoints"], chosen)
                if kind == "ServiceMonitor":
                    chosen = {
                        service["metadata"]["name"]
                        for service in self.parts["service"]
                        if service["kind"] == "Service"
                        and matches(spec["selector"], service["metadata"]["labels"])
                        and any(
                            port["name"] == spec["endpoints"][0]["port"] for port in service["spec"]["ports"]
                        )
                    }
                    self.check(chosen == {"pingpong-admin"}, f"{name}: chooses {chosen}")
                    self.scraped(name, it, spec["endpoints"], {"service"})

    def scraped(self, name, it, endpoints, parts):
        for end in endpoints:
            self.check(self.program.get(end["path"])[0] == 200, f"{name}: there is no {end['path']}")
            for part, _, _, ports in self.pods():
                if part in parts:
                    self.check(end["port"] in ports, f"{name}: {part} has no port {end['port']}")
        # The rules look for jobs that are called so.
        self.check(it["spec"]["jobLabel"] == "app.kubernetes.io/name", f"{name}: another name of the job")

    def service(self, name, it, own):
        ports = {(p["name"], p["port"], p["protocol"]) for p in it["spec"]["ports"]}
        wanted = {
            "pingpong": {("tcp", 8888, "TCP"), ("udp", 8888, "UDP")},
            "pingpong-admin": {("admin", 9100, "TCP")},
        }[it["metadata"]["name"]]
        self.check(ports == wanted, f"{name}: ports {ports}")
        for port in it["spec"]["ports"]:
            for part, _, _, of_pod in self.pods():
                if part in own:
                    where = of_pod.get(port["targetPort"])
                    self.check(where == port["protocol"], f"{name}: {port['name']} leads to {where}")
        if it["spec"].get("type") == "LoadBalancer":
            local = it["spec"].get("externalTrafficPolicy") == "Local"
            self.check(local, f"{name}: hides who its clients are")

    def admission(self):
        """Who may reach which port: everybody the service, monitoring alone the pages."""
        seen = set()
        for part, documents in self.parts.items():
            for it in documents:
                if it["kind"] != "NetworkPolicy":
                    continue
                seen.add(part)
                name, spec = f"{part}: NetworkPolicy", it["spec"]
                self.check("Ingress" in spec["policyTypes"], f"{name}: lets everybody in")
                everybody, some = set(), set()
                for rule in spec["ingress"]:
                    self.check(rule.get("ports"), f"{name}: every port")
                    ports = {(port["port"], port["protocol"]) for port in rule.get("ports", [])}
                    (some if rule.get("from") else everybody).update(ports)
                    if rule.get("from"):
                        who = [
                            {
                                "namespaceSelector": {
                                    "matchLabels": {"kubernetes.io/metadata.name": "monitoring"}
                                }
                            }
                        ]
                        self.check(rule["from"] == who, f"{name}: admits {rule['from']}")
                of_pod = next(set(ports.items()) for own, _, _, ports in self.pods() if own == part)
                pages = {it for it in of_pod if it[0] == "admin"}
                self.check(everybody == of_pod - pages, f"{name}: everybody may reach {everybody}")
                self.check(some == pages, f"{name}: monitoring may reach {some}")
                serves = part.startswith(("service", "nodes"))
                silent = "Egress" in spec["policyTypes"] and spec.get("egress") == []
                self.check(silent == serves, f"{name}: what it may send")
        with_pods = {part for part, _, _, _ in self.pods()}
        self.check(seen == with_pods, f"no policy: {with_pods - seen}")

    def targets(self):
        """The command that writes the mesh's targets, by the real kubectl, of a cluster that is a script."""
        nodes = {
            "kind": "NodeList",
            "apiVersion": "v1",
            "metadata": {},
            "items": [
                {
                    "kind": "Node",
                    "apiVersion": "v1",
                    "metadata": {"name": name},
                    "status": {"addresses": addresses},
                }
                for name, addresses in (
                    (
                        "a",
                        [
                            {"type": "Hostname", "address": "a"},
                            {"type": "InternalIP", "address": "198.51.100.1"},
                        ],
                    ),
                    ("b", [{"type": "InternalIP", "address": it} for it in ("198.51.100.2", "2001:db8::1")]),
                )
            ],
        }
        resource = {
            "name": "nodes",
            "singularName": "node",
            "namespaced": False,
            "kind": "Node",
            "verbs": ["list"],
        }
        answers = {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [resource]},
            "/api/v1/nodes": nodes,
        }

        class Cluster(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(answers.get(self.path.split("?")[0], {})).encode()
                self.send_response(200 if self.path.split("?")[0] in answers else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with (
            http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as cluster,
            tempfile.TemporaryDirectory() as home,
        ):
            threading.Thread(target=cluster.serve_forever, daemon=True).start()
            mesh = Path(home) / "mesh"
            shutil.copytree(self.root / "deploy/kubernetes/mesh", mesh)
            options = [f"--server=http://127.0.0.1:{cluster.server_port}", f"--cache-dir={home}"]
            command = ["get", "nodes", "-o", "go-template-file=targets.gotemplate"]
            written = run(
                "kubectl", *options, *command, cwd=mesh, env={**os.environ, "KUBECONFIG": "/dev/null"}
            )
            cluster.shutdown()
            self.check(written.returncode == 0, f"mesh: targets: {written.stderr}")
            (mesh / "targets.yaml").write_text(written.stdout)
            built = run("kubectl", "kustomize", str(mesh))
            self.check(built.returncode == 0, f"mesh: targets: {built.stderr}")
            for it in yaml.safe_load_all(built.stdout):
                if it["kind"] == "DaemonSet":
                    args = it["spec"]["template"]["spec"]["containers"][0]["args"]
                    addresses = ["198.51.100.1", "198.51.100.2", "2001:db8::1"]
                    self.check(args[-4:] == [":9100", *addresses], f"mesh: its targets are {args}")
