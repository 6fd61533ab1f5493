"""What a real API server (recordings of kube-apiserver 1.36.2) answers to refused requests, in our errors."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from backend_stubs import recorded

from tui.backend.api_errors import CredentialsRefusedError, status_error
from tui.core.errors import (
    ConflictError,
    Exit,
    FieldConflict,
    ForbiddenError,
    NotFoundError,
    StaleError,
    UnreachableError,
    WizardError,
)

REFUSALS: list[dict[str, Any]] = recorded("refusals.json")
SERVER = "https://127.0.0.1:6443"


def error_of(refusal: dict[str, Any], object: str = "configmaps datakit/datakit-conf") -> WizardError:
    body = refusal["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    return status_error(refusal["status"], text.encode(), object=object, server=SERVER)


def one(where: str, object: str = "configmaps datakit/datakit-conf") -> WizardError:
    (refusal,) = [each for each in REFUSALS if each["from"] == where]
    return error_of(refusal, object)


def test_every_recorded_refusal_has_its_error() -> None:
    assert len(REFUSALS) == 191
    kinds: Counter[tuple[int, str]] = Counter()
    for refusal in REFUSALS:
        error = error_of(refusal)
        kinds[refusal["status"], type(error).__name__] += 1
        message = refusal["body"]["message"] if isinstance(refusal["body"], dict) else refusal["body"].strip()
        if not isinstance(error, ConflictError):
            assert error.why == message.strip() or not message, refusal["from"]
        else:
            causes = refusal["body"]["details"]["causes"]
            assert [conflict.field for conflict in error.conflicts] == [cause["field"] for cause in causes]
            assert all(conflict.manager and '"' not in conflict.manager for conflict in error.conflicts)
    expected = {
        (400, "WizardError"),
        (401, "CredentialsRefusedError"),
        (403, "ForbiddenError"),
        (403, "UnreachableError"),
        (404, "NotFoundError"),
        (404, "UnreachableError"),
        (405, "WizardError"),
        (409, "ConflictError"),
        (409, "StaleError"),
        (410, "StaleError"),
        (415, "WizardError"),
        (422, "StaleError"),
        (422, "WizardError"),
        (500, "WizardError"),
        (500, "UnreachableError"),
    }
    assert set(kinds) == expected


def test_an_owner_is_named_without_its_version() -> None:
    error = one("03b-ssa-cm-conflict-force 4")
    assert isinstance(error, ConflictError)
    assert error.status == Exit.REFUSED
    assert error.conflicts == [
        FieldConflict(".data.etcd.conf", "alice"),
        FieldConflict(".data.container.conf", "kubectl-client-side-apply"),
    ]


def test_a_manager_with_a_subresource() -> None:
    cause = {"reason": "FieldManagerConflict", "field": ".status.x"}
    cause["message"] = 'conflict with "ctl" with subresource "status" using apps/v1'
    body = {"kind": "Status", "message": "Apply failed", "details": {"causes": [cause]}}
    error = status_error(409, json.dumps(body), object="x", server=SERVER)
    assert isinstance(error, ConflictError)
    assert error.conflicts == [FieldConflict(".status.x", "ctl")]


@pytest.mark.parametrize("where", ["03e-ssa-cm-errors 16", "03e-ssa-cm-errors 19", "03f-ssa-cm-create 6"])
def test_a_changed_version_another_uid_and_a_vanished_object_are_stale(where: str) -> None:
    error = one(where)
    assert isinstance(error, StaleError)
    assert error.status == Exit.REFUSED


def test_a_500_of_an_apply_is_the_callers_mistake() -> None:
    error = one("03e-ssa-cm-errors 7")
    assert not isinstance(error, UnreachableError)
    assert "invalid" in error.what
    assert ".dta: field not declared in schema" in error.why


def test_forbidden_says_what_would_grant_it() -> None:
    error = one("06c-forbidden 45")
    assert isinstance(error, ForbiddenError)
    assert error.what == "You lack a right: patch configmaps in namespace datakit"
    assert error.command.splitlines() == [
        "kubectl -n datakit create role datakit-wizard-grant --verb=patch --resource=configmaps "
        "--resource-name=datakit-conf",
        "kubectl -n datakit create rolebinding datakit-wizard-grant --role=datakit-wizard-grant --user=viewer",
    ]


def test_a_group_and_a_subresource_are_named_as_kubectl_names_them() -> None:
    error = one("06c-forbidden 26", "daemonsets datakit/datakit")
    assert "patch daemonsets.apps/status in namespace datakit" in error.what
    assert "--resource=daemonsets.apps/status" in error.command


def test_cluster_wide_rights_are_granted_by_a_cluster_role() -> None:
    error = one("06c-forbidden 43", "nodes")
    assert error.what == "You lack a right: list nodes"
    assert error.command.startswith("kubectl create clusterrole ")
    assert "create clusterrolebinding" in error.command


def test_exec_without_create_is_told_though_the_server_says_nothing() -> None:
    error = one("06e-exec-needs-get-and-create 4", "pods/exec datakit/p")
    assert isinstance(error, ForbiddenError)
    assert "get,create pods/exec in namespace datakit" in error.what
    assert "--verb=get,create --resource=pods/exec" in error.command


def test_anonymous_means_that_the_credentials_were_not_accepted() -> None:
    error = one("06d-unauthorized 13")
    assert type(error) is UnreachableError
    assert "nobody" in error.what


def test_unauthorized() -> None:
    error = one("06d-unauthorized 5")
    assert isinstance(error, CredentialsRefusedError)
    assert error.status == Exit.UNREACHABLE
    assert error.object == SERVER


@pytest.mark.parametrize("text", ["<html>login</html>", "", "{}", '{"kind": "Other"}', "null", "[1]"])
@pytest.mark.parametrize("status", [400, 404, 409, 422, 451])
def test_what_is_no_api_server(text: str, status: int) -> None:
    error = status_error(status, text, object="x", server=SERVER)
    assert type(error) is UnreachableError
    assert "not a Kubernetes API server" in error.what


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble(status: int) -> None:
    error = status_error(status, "upstream connect error", object="x", server=SERVER)
    assert isinstance(error, UnreachableError)
    assert str(status) in error.what


def test_objects_that_are_absent() -> None:
    assert isinstance(one("02d-reads-404-405 1"), NotFoundError)
