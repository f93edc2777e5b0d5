"""Protobuf messages of systems that publish no Python package for them, declared field by field.

Only the fields that are read: what else a message holds is skipped by the parser.
"""

from __future__ import annotations

from functools import cache

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from rca.errors import SourceError

# field -> (number, type); a type with a dot is a message, "*" before it says repeated.
_DOUBLE, _INT64, _UINT64, _INT32, _STRING, _BYTES = "double", "int64", "uint64", "int32", "string", "bytes"
_FILES: dict[str, dict[str, dict[str, tuple[int, str]]]] = {
    # github.com/prometheus/prometheus, prompb/remote.proto and types.proto
    "prometheus": {
        "Label": {"name": (1, _STRING), "value": (2, _STRING)},
        "Sample": {"value": (1, _DOUBLE), "timestamp": (2, _INT64)},
        # A native histogram: only counted.
        "Histogram": {"timestamp": (15, _INT64)},
        "TimeSeries": {
            "labels": (1, "*.prometheus.Label"),
            "samples": (2, "*.prometheus.Sample"),
            "histograms": (4, "*.prometheus.Histogram"),
        },
        "MetricMetadata": {"type": (1, _INT32), "metric_family_name": (2, _STRING)},
        "WriteRequest": {"timeseries": (1, "*.prometheus.TimeSeries"), "metadata": (3, "*.prometheus.MetricMetadata")},
    },
    # github.com/grafana/loki, pkg/push/push.proto
    "logproto": {
        "Timestamp": {"seconds": (1, _INT64), "nanos": (2, _INT32)},
        "LabelPair": {"name": (1, _STRING), "value": (2, _STRING)},
        "Entry": {
            "timestamp": (1, ".logproto.Timestamp"),
            "line": (2, _STRING),
            "structured_metadata": (3, "*.logproto.LabelPair"),
        },
        "Stream": {"labels": (1, _STRING), "entries": (2, "*.logproto.Entry")},
        "PushRequest": {"streams": (1, "*.logproto.Stream")},
    },
    # github.com/googleapis/googleapis, google/rpc/status.proto
    "google.rpc": {"Status": {"code": (1, _INT32), "message": (2, _STRING)}},
}


@cache
def message_type(name: str) -> type[Message]:
    """The class of a message, such as ``prometheus.WriteRequest``."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


def parse_message(name: str, content: bytes, *, where: str) -> Message:
    """A message from its bytes.

    Raises:
        SourceError: other bytes.
    """
    message = message_type(name)()
    try:
        message.ParseFromString(content)
    except DecodeError as bad:
        raise SourceError(f"no {name}", where=where, remedy="Send the documented protobuf message") from bad
    return message


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    """A pool of our own: other packages of the process may register the same names."""
    pool = descriptor_pool.DescriptorPool()
    field_type = descriptor_pb2.FieldDescriptorProto
    for package, messages in _FILES.items():
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for field, (number, kind) in fields.items():
                declared = message.field.add(name=field, number=number)
                repeated, kind = kind.startswith("*"), kind.removeprefix("*")
                declared.label = field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL
                if "." in kind:
                    declared.type, declared.type_name = field_type.TYPE_MESSAGE, kind
                else:
                    declared.type = field_type.Type.Value(f"TYPE_{kind.upper()}")
        pool.Add(file)
    return pool
