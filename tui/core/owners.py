"""Who else manages an object, by which signs, and what that tool's next sync does to the fields that we write.

What each tool does was replayed on a kube-apiserver 1.36 under its manager name (see tests/backend).
"""

from __future__ import annotations

from dataclasses import dataclass

from tui.core.ownership import managers
from tui.core.ports import Object
from tui.i18n import N_, _

HELM_RELEASE = "meta.helm.sh/release-name"
ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
ARGO_OPTIONS = "argocd.argoproj.io/sync-options"
FLEET = "objectset.rio.cattle.io/"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

KEEPS, MAY_REMOVE, REMOVES = "keeps", "may remove", "removes"  # what a next sync does to what we add
SETS_BACK, STOPS, LEAVES = "sets back", "stops", "leaves"  # what it does to a value of its own that we forced


@dataclass(frozen=True)
class Tool:
    """A tool that manages a whole object; `added` and `forced` say what its next sync does to our fields."""

    name: str
    sign: str
    added: str
    forced: str
    next_sync: str  # msgid
    source: bool = True  # whether it holds the object's source, so that the change belongs there too

    @property
    def note(self) -> str:
        """Name, sign and next sync in one line, translated."""
        return f"{self.name}: {_(self.next_sync)} ({self.sign})"


_HELM_3 = N_(
    "its next upgrade keeps fields added here, sets back values of its own that were forced, and with "
    "--force removes everything added"
)
_HELM_4 = N_("its next upgrade keeps fields added here, and stops with a conflict at values that were forced")
_ARGO = N_("its next sync keeps fields added here, and sets back values of its own that were forced")
_ARGO_REPLACE = N_("its next sync replaces the whole object (Replace=true) and removes everything added here")
_FLEET = N_(
    "its next deployment keeps fields added here and sets back its own values; with correctDrift it may remove them"
)
_KUBECTL = N_("the next `kubectl apply` of the manifest keeps fields added here, and sets back values that were forced")


def tools(obj: Object) -> list[Tool]:
    """The tools whose signs the object carries: labels, annotations and managers; who owns the source comes first."""
    metadata = obj.get("metadata", {})
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    known = dict.fromkeys(managers(obj))
    found: list[Tool] = []
    if HELM_RELEASE in marks or marks.get("app.kubernetes.io/managed-by") == "Helm" or _has(known, "helm"):
        sign = HELM_RELEASE if HELM_RELEASE in marks else "manager helm"
        sign = sign if sign in marks or _has(known, "helm") else "app.kubernetes.io/managed-by=Helm"
        if ("helm", "Apply") in known:
            found.append(Tool("Helm 4", sign, KEEPS, STOPS, _HELM_4))
        else:
            name = "Helm 3" if ("helm", "Update") in known else "Helm"
            found.append(Tool(name, sign, KEEPS, SETS_BACK, _HELM_3))
    if ARGO_TRACKING in marks or _has(known, "argocd-controller"):
        sign = ARGO_TRACKING if ARGO_TRACKING in marks else "manager argocd-controller"
        options = [option.strip() for option in marks.get(ARGO_OPTIONS, "").split(",")]
        if "Replace=true" in options:
            found.append(Tool("Argo CD", sign + ", Replace=true", REMOVES, SETS_BACK, _ARGO_REPLACE))
        else:
            found.append(Tool("Argo CD", sign, KEEPS, SETS_BACK, _ARGO))
    if fleet := next((mark for mark in marks if mark.startswith(FLEET)), ""):
        found.append(Tool("Rancher Fleet", fleet, MAY_REMOVE, SETS_BACK, _FLEET))
    if LAST_APPLIED in marks or _has(known, "kubectl-client-side-apply"):
        sign = "manager kubectl-client-side-apply" if _has(known, "kubectl-client-side-apply") else LAST_APPLIED
        found.append(Tool("kubectl apply", sign, KEEPS, SETS_BACK, _KUBECTL, source=False))
    return found


def _has(known: dict[tuple[str, str], None], manager: str) -> bool:
    return any(name == manager for name, _operation in known)


def owner_notes(obj: Object) -> list[str]:
    """Which other tools manage the whole object, and what that means for our fields, a line each."""
    return [tool.note for tool in tools(obj)]


def gitops_owner(obj: Object) -> str:
    """The tool that holds the object's source (Helm, Argo CD, Fleet), "" where no sign of one is seen."""
    return next((tool.name for tool in tools(obj) if tool.source), "")


# Managers under which a person or a one-off command writes: nothing sets their values back by itself.
_BY_HAND = {
    "kubectl-edit": "kubectl edit",
    "kubectl-patch": "kubectl patch",
    "kubectl-set": "kubectl set",
    "kubectl-replace": "kubectl replace",
    "kubectl-create": "kubectl create",
    "kubectl": "kubectl",
    "rancher": "Rancher",
    "Mozilla": "Rancher",  # its consoles write with the browser's User-Agent
    "before-first-apply": "",
}


def of_manager(obj: Object, manager: str, operation: str) -> Tool | None:
    """The tool that writes under this manager, as far as it is known."""
    names = {"helm": "Helm", "argocd-controller": "Argo CD", "kubectl-client-side-apply": "kubectl apply"}
    wanted = names.get(manager, "Rancher Fleet" if "fleet" in manager else "")
    return next((tool for tool in tools(obj) if wanted and tool.name.startswith(wanted)), None)


def forced_effect(obj: Object, manager: str, operation: str) -> str:
    """What becomes of a value that we force over this manager's: SETS_BACK, STOPS or LEAVES."""
    tool = of_manager(obj, manager, operation)
    if tool:
        return tool.forced
    return STOPS if operation == "Apply" else LEAVES


def forced_note(obj: Object, manager: str, operation: str) -> str:
    """The same in words, naming who it is."""
    tool = of_manager(obj, manager, operation)
    who = tool.name if tool else _BY_HAND.get(manager) or manager
    effect = forced_effect(obj, manager, operation)
    if effect == SETS_BACK:
        return _("{who} sets its own value again at its next sync; change it there as well.").format(who=who)
    if effect == STOPS:
        return _("{who} stops with a conflict at its next sync until its own value is changed.").format(who=who)
    return _("{who} wrote it by hand: nothing sets it back by itself.").format(who=who)


def resync(manager: str) -> str:
    """What to do so that an owner that applies writes its own value again."""
    if manager == "helm":
        return "helm upgrade RELEASE CHART --reuse-values"
    if manager == "argocd-controller":
        return "argocd app sync APPLICATION"
    return _("let {manager} apply its manifest again").format(manager=manager)
