"""The node: its object at the API server, and its series.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/ The kubelet itself tells neither
conditions nor what is allocatable.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bongsu.agent.collectors.base import NAN, Counter, Gauge, Metric, Reading
from bongsu.agent.collectors.containers.details import wire_text
from bongsu.agent.collectors.containers.pods import quantity

if TYPE_CHECKING:
    from bongsu.agent.collectors.containers.kubelet import Kubelet

# Cloud providers and the node problem detector add their own.
MAX_CONDITIONS = 20
_STATUS = {"True": 1.0, "False": 0.0}

METRICS: tuple[Metric, ...] = (
    Gauge("kubernetes_node_pods", "Pods on the node that have not ended."),
    Gauge("kubernetes_node_cpu_request_cores", "CPU that they request."),
    Gauge("kubernetes_node_memory_request_bytes", "Memory that they request."),
    Gauge("kubernetes_node_pods_allocatable", "Pods that the node may have."),
    Gauge("kubernetes_node_cpu_allocatable_cores", "CPU that pods may request."),
    Gauge("kubernetes_node_memory_allocatable_bytes", "Memory that pods may request."),
    Gauge("kubernetes_node_condition", "1 if it holds, 0 if not; if nobody can tell, 0 for Ready and else no value."),
    Gauge("kubernetes_node_unschedulable", "1 if new pods are kept away (cordoned), else 0."),
    Counter("kubernetes_kubelet_errors_total", "Questions that the kubelet or API server refused or answered wrongly."),
)


class Node(NamedTuple):
    """``conditions``: type -> 1, 0, or NaN for ``Unknown``. A node that is not known to be ready is not."""

    pods: float
    cpu_cores: float
    memory_bytes: float
    conditions: dict[str, float]
    is_unschedulable: bool


def read_node(answer: Mapping[str, Any]) -> Node:
    """Raises KeyError, TypeError, ValueError or AttributeError if it is no node."""
    status = answer["status"]
    allocatable = status["allocatable"]
    conditions = status.get("conditions") or []
    return Node(
        quantity(allocatable.get("pods")),
        quantity(allocatable.get("cpu")),
        quantity(allocatable.get("memory")),
        {
            wire_text(each["type"]): _STATUS.get(each.get("status"), 0.0 if each["type"] == "Ready" else NAN)
            for each in conditions[:MAX_CONDITIONS]
        },
        bool((answer.get("spec") or {}).get("unschedulable")),
    )


def node_readings(kubelet: "Kubelet") -> Iterable[Reading]:
    """As far as they are known."""
    sums, node = kubelet.sums, kubelet.node
    if sums is not None:
        yield Reading("kubernetes_node_pods", sums.pods)
        yield Reading("kubernetes_node_cpu_request_cores", sums.cpu_request_cores)
        yield Reading("kubernetes_node_memory_request_bytes", sums.memory_request_bytes)
    if node is not None:
        yield Reading("kubernetes_node_pods_allocatable", node.pods)
        yield Reading("kubernetes_node_cpu_allocatable_cores", node.cpu_cores)
        yield Reading("kubernetes_node_memory_allocatable_bytes", node.memory_bytes)
        for condition, holds in node.conditions.items():
            yield Reading("kubernetes_node_condition", holds, (("condition", condition),))
        yield Reading("kubernetes_node_unschedulable", float(node.is_unschedulable))
    yield Reading("kubernetes_kubelet_errors_total", kubelet.errors)
