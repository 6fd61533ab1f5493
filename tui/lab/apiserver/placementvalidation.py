"""What the server refuses in where a pod may run and what it finds there: affinity, spread, addresses, gates.

The rules of Kubernetes 1.36 (pkg/apis/core/validation), in its words.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from tui.lab.apiserver import names
from tui.lab.apiserver.errors import Invalid, duplicate, forbidden_field, invalid, required, unsupported
from tui.lab.apiserver.metavalidation import label_selector

Obj = dict[str, Any]
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_MOST_NAMESERVERS, _MOST_SEARCHES = 3, 32


def affinity(found: Obj, where: str) -> list[Invalid]:
    """What is wrong with a pod's affinity."""
    out: list[Invalid] = []
    nodes, here = found.get("nodeAffinity") or {}, f"{where}.nodeAffinity"
    if _REQUIRED in nodes:
        terms, below = nodes[_REQUIRED]["nodeSelectorTerms"] or [], f"{here}.{_REQUIRED}.nodeSelectorTerms"
        if not terms:
            out.append(required(below, "must have at least one node selector term"))
        for index, term in enumerate(terms):
            out += _node_term(term, f"{below}[{index}]")
    for index, each in enumerate(nodes.get(_PREFERRED) or ()):
        below = f"{here}.{_PREFERRED}[{index}]"
        out += _weight(each, below) + _node_term(each["preference"], f"{below}.preference")
    for name in ("podAffinity", "podAntiAffinity"):
        pods, here = found.get(name) or {}, f"{where}.{name}"
        for index, term in enumerate(pods.get(_REQUIRED) or ()):
            out += _pod_term(term, f"{here}.{_REQUIRED}[{index}]")
        for index, each in enumerate(pods.get(_PREFERRED) or ()):
            below = f"{here}.{_PREFERRED}[{index}]"
            out += _weight(each, below) + _pod_term(each["podAffinityTerm"], f"{below}.podAffinityTerm")
    return out


def _weight(each: Obj, where: str) -> list[Invalid]:
    return (
        [] if 1 <= each["weight"] <= 100 else [invalid(f"{where}.weight", each["weight"], "must be in the range 1-100")]
    )


def _node_term(term: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    for index, each in enumerate(term.get("matchExpressions") or ()):
        out += _node_requirement(each, f"{where}.matchExpressions[{index}]")
    for index, each in enumerate(term.get("matchFields") or ()):
        out += _node_field(each, f"{where}.matchFields[{index}]")
    return out


def _node_requirement(each: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    operator, values = each["operator"], each.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            out.append(required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            out.append(forbidden_field(f"{where}.values", text))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            out.append(required(f"{where}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        out.append(invalid(f"{where}.operator", operator, "not a valid selector operator"))
    return out + [invalid(f"{where}.key", each["key"], problem) for problem in names.qualified_name(each["key"])]


def _node_field(each: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    operator, values = each["operator"], each.get("values") or []
    if operator not in ("In", "NotIn"):
        out.append(invalid(f"{where}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        out.append(required(f"{where}.values", text))
    if each["key"] != "metadata.name":
        return [*out, invalid(f"{where}.key", each["key"], "not a valid field selector key")]
    for index, value in enumerate(values):
        out += [invalid(f"{where}.values[{index}]", value, problem) for problem in names.dns_subdomain(value)]
    return out


def _pod_term(term: Obj, where: str) -> list[Invalid]:
    out: list[Invalid] = []
    for name in ("labelSelector", "namespaceSelector"):
        if term.get(name) is not None:
            out += label_selector(term[name], f"{where}.{name}")
    for name in term.get("namespaces") or ():
        out += [invalid(f"{where}.namespace", name, problem) for problem in names.dns_label(name)]
    key = term.get("topologyKey", "")
    if not key:
        out.append(required(f"{where}.topologyKey", "can not be empty"))
    return out + [invalid(f"{where}.topologyKey", key, problem) for problem in names.qualified_name(key)]


def spread(constraints: list[Obj], where: str) -> list[Invalid]:
    """What is wrong with topologySpreadConstraints."""
    out: list[Invalid] = []
    for index, each in enumerate(constraints):
        here = f"{where}[{index}]"
        key, unsatisfiable = each["topologyKey"], each["whenUnsatisfiable"]
        if each["maxSkew"] <= 0:
            out.append(invalid(f"{here}.maxSkew", each["maxSkew"], "must be greater than zero"))
        if not key:
            out.append(required(f"{here}.topologyKey", "can not be empty"))
        if unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
            allowed = ["DoNotSchedule", "ScheduleAnyway"]
            out.append(unsupported(f"{here}.whenUnsatisfiable", unsatisfiable, allowed))
        later = [(other["topologyKey"], other["whenUnsatisfiable"]) for other in constraints[index + 1 :]]
        if (key, unsatisfiable) in later:
            shown = f"{{{key}, {unsatisfiable}}}"
            out.append(duplicate(f"{here}.{{topologyKey, whenUnsatisfiable}}", shown))
        out += _domains(each, here)
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if each.get(name, "Honor") not in ("Honor", "Ignore"):
                out.append(unsupported(f"{here}.{name}", each[name], ["Honor", "Ignore"]))
        if each.get("labelSelector") is not None:
            out += label_selector(each["labelSelector"], f"{here}.labelSelector")
    return out


def _domains(each: Obj, where: str) -> list[Invalid]:
    if "minDomains" not in each:
        return []
    out: list[Invalid] = []
    count, unsatisfiable = each["minDomains"], each["whenUnsatisfiable"]
    if count <= 0:
        out.append(invalid(f"{where}.minDomains", count, "must be greater than zero"))
    if unsatisfiable != "DoNotSchedule":
        text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}"
        out.append(invalid(f"{where}.minDomains", count, text))
    return out


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def host_aliases(aliases: list[Obj], where: str) -> list[Invalid]:
    """What is wrong with hostAliases."""
    out: list[Invalid] = []
    for index, each in enumerate(aliases):
        here = f"{where}[{index}]"
        if not _is_address(each["ip"]):
            out.append(invalid(f"{here}.ip", each["ip"], _ADDRESS))
        for at, name in enumerate(each.get("hostnames") or ()):
            out += [invalid(f"{here}.hostnames[{at}]", name, problem) for problem in names.dns_subdomain(name)]
    return out


def dns(found: Obj | None, policy: str, where: str) -> list[Invalid]:
    """What is wrong with dnsConfig under a dnsPolicy."""
    if found is None:
        return [required(where, "must provide `dnsConfig` when `dnsPolicy` is None")] if policy == "None" else []
    out: list[Invalid] = []
    servers, searches = found.get("nameservers") or [], found.get("searches") or []
    if policy == "None" and not servers:
        text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        out.append(required(f"{where}.nameservers", text))
    if len(servers) > _MOST_NAMESERVERS:
        text = f"must not have more than {_MOST_NAMESERVERS} nameservers"
        out.append(invalid(f"{where}.nameservers", servers, text))
    for index, server in enumerate(servers):
        if not _is_address(server):
            out.append(invalid(f"{where}.nameservers[{index}]", server, _ADDRESS))
    if len(searches) > _MOST_SEARCHES:
        out.append(invalid(f"{where}.searches", searches, f"must not have more than {_MOST_SEARCHES} search paths"))
    for index, search in enumerate(searches):
        problems = [] if search == "." else names.search_domain(search.removesuffix("."))
        out += [invalid(f"{where}.searches[{index}]", search, problem) for problem in problems]
    for index, option in enumerate(found.get("options") or ()):
        if not option.get("name"):
            out.append(required(f"{where}.options[{index}]", "must not be empty"))
    return out


def gates(spec: Obj, where: str) -> list[Invalid]:
    """What is wrong with readinessGates and schedulingGates."""
    out: list[Invalid] = []
    for index, each in enumerate(spec.get("readinessGates") or ()):
        kind = each.get("conditionType", "")
        here = f"{where}.readinessGates[{index}].conditionType"
        out += [invalid(here, kind, problem) for problem in names.qualified_name(kind)]
    for index, each in enumerate(spec.get("schedulingGates") or ()):
        name = each.get("name", "")
        here = f"{where}.schedulingGates[{index}]"
        out += [invalid(here, name, problem) for problem in names.qualified_name(name)]
    return out
