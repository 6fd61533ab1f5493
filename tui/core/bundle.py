"""What a support ticket needs, as files: the report in each form, DataKit's objects and confs, receipts, log tails.

Reads only. Secrets are struck out twice: by the names of keys, as everywhere, and by their values, as far as known.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui.core import reports
from tui.core.checks import Facts, Report
from tui.core.diff import as_yaml, normalised
from tui.core.errors import ForbiddenError, WizardError
from tui.core.parallel import each
from tui.core.ports import Object
from tui.core.receipts import Receipt
from tui.core.redaction import STRUCK, secret_values, strike_secrets, struck
from tui.core.report_html import as_html
from tui.core.report_markdown import as_markdown
from tui.core.survey import AgentPod
from tui.i18n import _

LOG_FILE = "/var/log/datakit/log"  # where DataKit's errors are; `kubectl logs` has next to none
LOG_LINES = 400
MOST_RECEIPTS = 5


def files(
    facts: Facts, report: Report, *, about: str, receipts: Sequence[Receipt], secrets: Sequence[str], now_s: float
) -> dict[str, str]:
    """Every file of the bundle by its name; `about` is the text of `info`, `secrets` are values that must not appear.

    What cannot be read is named in `missing.txt` with the reason, and is no error.
    """
    made = {
        "about.txt": about,
        "report.txt": reports.as_text(report),
        "report.json": reports.as_json(report),
        "report.md": as_markdown(report, now_s=now_s),
        "report.html": as_html(report, now_s=now_s),
    }
    for receipt in receipts[:MOST_RECEIPTS]:
        if receipt.path is not None:
            made[f"receipts/{receipt.path.name}"] = receipt.path.read_text(encoding="utf-8")
    missing: list[str] = []
    known = list(secrets)
    try:
        datakit = facts.datakit
    except WizardError as error:
        missing.append(f"datakit: {error.what}")
    else:
        known += secret_values(datakit.object)
        made["datakit/daemonset.yaml"] = as_yaml(_shown(datakit.object))
        pods = [f"{pod.name} {pod.node} {'ready' if pod.ready else 'not ready'}" for pod in datakit.pods]
        made["datakit/pods.txt"] = "\n".join(pods) + "\n"
        made |= _confs(facts, missing)
        made |= _logs(facts, missing)
    if missing:
        made["missing.txt"] = "\n".join(missing) + "\n"
    return {name: _without(strike_secrets(text), known) for name, text in made.items()}


def _shown(obj: Object) -> Object:
    """The object as `kubectl get -o yaml` shows it, with managed fields (who owns what is half of a support case)."""
    plain = normalised(obj)
    managed = obj.get("metadata", {}).get("managedFields", [])
    metadata = {**plain.get("metadata", {}), "managedFields": managed}
    found: Object = struck({**plain, "metadata": metadata, "status": obj.get("status", {})})
    return found


def _confs(facts: Facts, missing: list[str]) -> dict[str, str]:
    try:
        confs = facts.confs
    except WizardError as error:
        missing.append(f"conf.d: {error.what}")
        return {}
    made = {}
    for conf in confs:
        if conf.text is None:
            text = _("{path}: the ConfigMap {name} lacks the key {key}")
            missing.append(text.format(path=conf.path, name=conf.config_map, key=conf.key))
        else:
            made[f"conf.d/{conf.path.rpartition('/conf.d/')[2]}"] = conf.text
    return made


def _logs(facts: Facts, missing: list[str]) -> dict[str, str]:
    """The last lines of DataKit's log file in each pod that the checks asked, too."""
    datakit, pods = facts.datakit, facts.asked_pods

    def tail(pod: AgentPod) -> str:
        argv = ["tail", "-n", str(LOG_LINES), LOG_FILE]
        done = facts.cluster.exec(datakit.namespace, pod.name, datakit.container, argv)
        if done.code:
            raise WizardError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode(errors="replace")

    made = {}
    for pod, answer in zip(pods, each(pods, tail), strict=True):
        if isinstance(answer, str):
            made[f"logs/{pod.node}.log"] = answer
            continue
        missing.append(f"{LOG_FILE}, {pod.node}: {answer.what}")
        if isinstance(answer, ForbiddenError):
            break
    return made


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, STRUCK)
    return text
