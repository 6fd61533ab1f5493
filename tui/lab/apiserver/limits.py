"""What this practice control plane leaves out of Kubernetes, in one place, and how it says so.

- Objects are held of the kinds in types.txt: Namespace, Node, Pod, ConfigMap, Secret, Service, ServiceAccount, Event,
  DaemonSet, Deployment, ReplicaSet, StatefulSet, Job, CronJob, PersistentVolumeClaim, Endpoints, ControllerRevision,
  PodDisruptionBudget, Role, ClusterRole, RoleBinding, ClusterRoleBinding, Lease, and the access reviews.
  The other kinds that discovery lists have no objects: lists of them are empty, a GET is 404, a write is 501.
- Subresources: status of the kinds above; log, exec, proxy and binding of pods. The others (scale, eviction, attach,
  portforward, ephemeralcontainers, resize, token, proxy of nodes and services) are 501.
- ClusterRoles view, edit and admin have the rules that the aggregation controller would give them.
- Services get IPv4 addresses alone.
- Events are kept as v1; events.k8s.io/v1 shows them, and refuses writes with 501.
- exec is served over websockets alone, SPDY is 501.
- No garbage collector: what waits for a finalizer stays until somebody removes it. Namespaces are emptied and go.
- Nobody is kept from granting rights that he does not hold: the rights to write roles and bindings suffice.
- Of a pod's spec it does not check Windows' options, AppArmor, sysctls, and label keys that affinity or spread take
  from the pod.
  A refused change of a running pod is told without the difference of the two specs.
- No bearer tokens are issued, so every token is 401. No webhooks, no custom resources, no aggregated APIs.
"""

from __future__ import annotations

from tui.lab.apiserver import errors
from tui.lab.apiserver.resources import Resource

REVIEWS = {
    "SelfSubjectReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview",
    "LocalSubjectAccessReview",
}  # fmt: skip


def refuse_write(resource: Resource, subresource: str = "") -> None:
    """ApiError 501 for a write to something that is left out."""
    name = errors.qualified(resource.plural + (f"/{subresource}" if subresource else ""), resource.group)
    if resource.shape is None or subresource or resource.group == "events.k8s.io":
        raise errors.not_implemented(
            f"this practice control plane does not serve {'' if subresource else 'writes to '}{name}"
        )
