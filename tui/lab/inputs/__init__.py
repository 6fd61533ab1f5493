"""The inputs that an agent has besides the scrapes: containers, the cluster's objects and events, and the host.

Measurements, fields, tags and cycles are those of DataKit 1.84.1 (internal/plugins/inputs/container and its
neighbours); what a container uses is made up, by rules (`usage`).
"""
