"""manifests.py FOLDER BERTH METRICS: what a cluster would find out too late. Every file under FOLDER is YAML; names, labels and ports that
one names are those that another has; paths that are probed are answered; arguments are accepted by the program BERTH; the metric
that the autoscaler looks at is made of ones that the server has (METRICS: a text of /metrics). Prints what is wrong."""
import glob, os, re, subprocess, sys, urllib.error, urllib.request
import yaml

folder, berth, metrics_file = sys.argv[1:4]
url = sys.argv[4]
wrong = []


def check(good, what):
    if not good:
        wrong.append(what)


def load(name):
    with open(os.path.join(folder, name)) as file:
        return list(yaml.safe_load_all(file))[0]


kube = {}
for name in load("kubernetes/kustomization.yaml")["resources"]:
    check(os.path.exists(os.path.join(folder, "kubernetes", name)), f"kustomization.yaml names {name}, which is not there")
for path in glob.glob(os.path.join(folder, "k*", "*.yaml")):
    for document in yaml.safe_load_all(open(path)):
        if "kind" in document:
            kube[document["kind"]] = document
            check(re.fullmatch(r"[a-z0-9.]*/?v\d+((alpha|beta)\d+)?", document["apiVersion"]), f"{path}: apiVersion {document['apiVersion']}")
            name = document.get("metadata", {}).get("name", "x")
            check(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name), f"{path}: name {name}")

deployment = kube["Deployment"]
pod = deployment["spec"]["template"]
labels = pod["metadata"]["labels"]
for kind, selector in (("Deployment", deployment["spec"]["selector"]["matchLabels"]), ("Service", kube["Service"]["spec"]["selector"]),
                       ("PodDisruptionBudget", kube["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]),
                       ("NetworkPolicy", kube["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"])):
    check(selector.items() <= labels.items(), f"{kind} selects {selector}, pods have {labels}")
target = kube["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
check((target["kind"], target["apiVersion"], target["name"]) == ("Deployment", deployment["apiVersion"], deployment["metadata"]["name"]),
      f"the autoscaler scales {target}")
check(kube["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= deployment["spec"]["replicas"] > kube["PodDisruptionBudget"]["spec"]["maxUnavailable"],
      "replicas: the autoscaler's least, the deployment's and the disruption budget's do not go together")

served = pod["spec"]["containers"][0]
ports = {port["name"]: port["containerPort"] for port in served["ports"]}
check(kube["Service"]["spec"]["ports"][0]["targetPort"] in ports, "the service's port is none of the pod's")
allowed = [port["port"] for rule in kube["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
check(set(allowed) == set(ports.values()), f"the network policy lets {allowed} in, pods listen on {ports}")
check(pod["metadata"]["annotations"]["prometheus.io/port"] == str(ports["http"]), "another port is scraped")
volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
for one in pod["spec"]["initContainers"] + pod["spec"]["containers"]:
    check({mount["name"] for mount in one["volumeMounts"]} <= volumes, f"{one['name']}: a volume that is not there")
    check(one["securityContext"]["readOnlyRootFilesystem"] and not one["securityContext"]["allowPrivilegeEscalation"], f"{one['name']}: may write or rise")

runtime = kube["ServingRuntime"]
kserve = runtime["spec"]["containers"][0]
model = kube["InferenceService"]["spec"]["predictor"]["model"]
check(kserve["name"] == "kserve-container", "KServe asks for a container of that name")
check(model["runtime"] == runtime["metadata"]["name"] and model["modelFormat"]["name"] in [form["name"] for form in runtime["spec"]["supportedModelFormats"]]
      and model["protocolVersion"] in runtime["spec"]["protocolVersions"], "the InferenceService's model is none of the ServingRuntime's")

for container, port in ((served, ports["http"]), (kserve, kserve["ports"][0]["containerPort"])):
    check(f"--port={port}" in container["args"], f"{container['name']}: listens elsewhere than on {port}")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if probe in container:
            get = container[probe]["httpGet"]
            check(get["port"] in (port, "http"), f"{container['name']}: {probe} asks port {get['port']}")
            try:
                urllib.request.urlopen(url + get["path"])
            except urllib.error.HTTPError as error:
                check(False, f"{container['name']}: {probe} asks {get['path']}: {error.code}")
    # the same arguments, with a model that is here
    arguments = [re.sub(r"^[^=-]+=[^,]*", "m=random:bert-tiny", argument) for argument in container["args"]]
    ran = subprocess.run([berth] + arguments + ["--check-config"], capture_output=True, text=True)
    check(ran.returncode == 0, f"{container['name']}: berth {' '.join(arguments)}: {ran.stderr}")

adapter = load("kubernetes/prometheus-adapter.yaml")["rules"]["custom"][0]
wanted = kube["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
check(adapter["name"]["as"] == wanted, f"the adapter makes {adapter['name']['as']}, the autoscaler wants {wanted}")
have = open(metrics_file).read()
for metric in re.findall(r"berth_\w+", adapter["seriesQuery"] + adapter["metricsQuery"]):
    check(re.search(rf"^{metric}[ {{]", have, re.M), f"the server has no metric {metric}")

print("\n".join(wrong))
sys.exit(1 if wrong else 0)
