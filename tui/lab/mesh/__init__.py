"""The practice lab's service mesh: Istio's control plane and gateways, Bookinfo behind sidecars, and their traffic."""
