"""A request through the mesh: what a person sends where nothing has passed yet."""

from __future__ import annotations

from tui.core.mesh import Mesh

_PAGE = "productpage"


def request(mesh: Mesh, context: str, *, gateway: bool = False) -> str:
    """A command that sends a request through the mesh; of Bookinfo the page that reaches all of its services.

    With `gateway` it goes in at the ingress gateway. "" where there is no Bookinfo, whose addresses are known.
    """
    page = next((one for one in mesh.workloads if one.name.startswith(_PAGE)), None)
    sender = next((one for one in mesh.workloads if page and one.namespace == page.namespace and one.ready), None)
    if page is None or sender is None:
        return ""
    url = f"http://{_PAGE}:9080/{_PAGE}"
    if gateway:
        way_in = next((one for one in mesh.gateways if "ingress" in one.name), None)
        if way_in is None:
            return ""
        url = f"http://{way_in.service or way_in.name}.{way_in.namespace}/{_PAGE}"
    containers = (sender.object or {}).get("spec", {}).get("template", {}).get("spec", {}).get("containers") or [{}]
    return (
        f"kubectl --context {context} -n {page.namespace} exec deploy/{sender.name} "
        f"-c {containers[0].get('name', 'app')} -- \\\n  curl -sS {url}"
    )
