"""A nightly `check` as manifests: a CronJob with the least rights, whose outcome DataKit carries to the studio."""

from __future__ import annotations

from tui.core.diff import as_yaml
from tui.core.ports import Object
from tui.core.rights import role
from tui.core.survey import CLUSTER_TAG
from tui.i18n import _

NAME = "datakit-wizard-check"
SECRET, SECRET_KEY = "datakit-wizard-api-key", "api-key"
MEASUREMENT = "datakit_wizard"
SCHEDULE = "17 3 * * *"
DEADLINE_S = 900

# DataKit takes line protocol from other addresses than its own, too (1.84.1: /v1/write/<category> is whitelisted).
_RUN = """\
set -u
status=0
datakit-wizard check -o openmetrics --wait 3m >/tmp/check.txt || status=$?
cat /tmp/check.txt
datakit-wizard preview /etc/datakit-wizard/check.conf /tmp/check.txt -o lp >/tmp/check.lp
python3 -c '
import os, urllib.request as request
points = open("/tmp/check.lp", "rb").read()
request.urlopen(request.Request("http://%s:9529/v1/write/metric" % os.environ["HOST_IP"], points), timeout=30)
'
exit $status
"""

_DOCKERFILE = """\
# {about}
FROM python:3.12-slim
COPY . /src
RUN pip install --no-cache-dir /src && rm -r /src
USER 65534
ENTRYPOINT ["datakit-wizard"]
"""


def files(namespace: str, cluster_name: str, *, image: str, endpoint: str) -> dict[str, str]:
    """Every file by its path below the folder. Without an `endpoint` the studio is left out of the check."""
    documents = {
        "rbac.yaml": role(namespace, verify_only=True, account=NAME),
        "configmap.yaml": as_yaml(_config_map(namespace, cluster_name)),
        "cronjob.yaml": as_yaml(_cron_job(namespace, image, endpoint)),
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(documents),
    }
    return {
        **documents,
        "kustomization.yaml": as_yaml(kustomization),
        "Dockerfile": _DOCKERFILE.format(about=_("Build it in a checkout, as {image}.").format(image=image)),
        "README.md": _readme(namespace, image, endpoint),
    }


def conf(cluster_name: str) -> str:
    """The conf that makes points of the checks' OpenMetrics: measurement `datakit_wizard`, with the cluster's name."""
    tag = f'\n  [inputs.prom.tags]\n    {CLUSTER_TAG} = "{cluster_name}"\n' if cluster_name else ""
    return f"""\
[[inputs.prom]]
  urls = ["http://datakit-wizard/check"]
  source = "{NAME}"
  metric_types = ["gauge"]
  tags_ignore = ["context"]

  [[inputs.prom.measurements]]
    prefix = "{MEASUREMENT}_"
    name = "{MEASUREMENT}"
{tag}"""


def _config_map(namespace: str, cluster_name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": namespace},
        "data": {"check.conf": conf(cluster_name)},
    }


def _cron_job(namespace: str, image: str, endpoint: str) -> Object:
    env: list[Object] = [
        {"name": "HOME", "value": "/tmp"},
        {"name": "LANG", "value": "C.UTF-8"},
        {"name": "HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
    ]
    if endpoint:
        env += [
            {"name": "GUANCE_END_POINT", "value": endpoint},
            {"name": "GUANCE_ACCESS_TOKEN", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": SECRET_KEY}}},
        ]
    container: Object = {
        "name": "check",
        "image": image,
        "command": ["sh", "-c", _RUN.replace("datakit-wizard check", f"datakit-wizard check -n {namespace}")],
        "env": env,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "conf", "mountPath": "/etc/datakit-wizard", "readOnly": True},
        ],
    }
    pod: Object = {
        "serviceAccountName": NAME,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "conf", "configMap": {"name": NAME}}],
    }
    job: Object = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": DEADLINE_S,
        "template": {"spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "schedule": SCHEDULE,
            "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": job},
        },
    }


def _readme(namespace: str, image: str, endpoint: str) -> str:
    parts = ["# datakit-wizard check", ""]
    parts += [_("1. Build the image in a checkout of datakit-wizard, and push it to where the cluster finds it:"), ""]
    parts += [f"       docker build -f {_('THIS-FOLDER')}/Dockerfile -t {image} .", ""]
    if endpoint:
        parts += [_("2. Give it an API key that may read (it is written nowhere else):"), ""]
        parts += [
            f"       kubectl -n {namespace} create secret generic {SECRET} --from-file={SECRET_KEY}={_('KEY-FILE')}",
            "",
        ]
    else:
        parts += [_("2. No studio was given: whether the metrics arrive stays unproven, and each run says so."), ""]
    parts += [_("3. Apply it:"), "", f"       kubectl apply -k {_('THIS-FOLDER')}", ""]
    parts += [_("4. Alert on what it sends to DataKit, measurement `{name}`:").format(name=MEASUREMENT), ""]
    rows = [
        ("verdict > 0", _("a required check failed (2), or could not be made (1)")),
        ("check_status >= 2, BY id", _("which check: 1 is a warning, 2 a failure, 3 skipped")),
        (
            "certificate_not_after_seconds",
            _("when a certificate of etcd's ends: less than 30 days ahead, check_status of etcd/cert-dates is 1"),
        ),
    ]
    parts += [f"   - `{name}`: {text}" for name, text in rows]
    parts += ["", _("The Job fails as well, which DataKit counts in `kube_job.failed`."), ""]
    return "\n".join(parts)
