"""Reads requests of Prometheus' remote write, versions 1.0 and 2.0, and writes those of 1.0.

The encoded labels of a series are its key: whoever has seen them before need not decode them.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cramjam
from google.protobuf.message import DecodeError

from bongsu.core.descriptions import TYPES, Description, family_of
from bongsu.core.errors import InvalidInput, TooLarge, UnsupportedEncoding
from bongsu.core.series import Kind
from bongsu.wire import remote_write_pb2 as pb

CONTENT_TYPE = b"application/x-protobuf"
VERSION_1, VERSION_2 = b"prometheus.WriteRequest", b"io.prometheus.write.v2.Request"

Labels = tuple[tuple[str, str], ...]

_NAME = "__name__"
# The tag of the value of a sample, and the value.
_DOUBLE = struct.Struct("<Bd")


@dataclass(slots=True)
class Decoded:
    """Some samples: of each, the encoded labels of its series (``labels_of`` decodes them), time in ms and value.

    ``kinds``: of keys for which the sender tells it; ``descriptions``: of metrics, by name; ``histograms``: how many
    there are besides, which are left out.
    """

    keys: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    kinds: dict[bytes, Kind] = field(default_factory=dict)
    descriptions: dict[str, Description] = field(default_factory=dict)
    histograms: int = 0

    def add(self, key: bytes, series: pb.TimeSeries | pb.TimeSeries2) -> None:
        """Adds the samples of a series."""
        self.histograms += len(series.histograms)
        for sample in series.samples:
            self.keys.append(key)
            self.times.append(sample.timestamp)
            self.values.append(sample.value)


def decompress(body: bytes, limit: int) -> bytes:
    """The body of a request, which is a snappy block.

    Raises:
        TooLarge: it says that it is larger than ``limit`` bytes; nothing was decompressed.
        UnsupportedEncoding: it is not snappy.
    """
    size = shift = 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        raise UnsupportedEncoding("The body is not compressed with snappy.", code="malformed_body", field="body")
    if size > limit:
        raise TooLarge(
            f"The body is larger than {limit} bytes after decompression.",
            code="body_too_large",
            field="body",
            limit=limit,
        )
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise UnsupportedEncoding(
            "The body is not compressed with snappy.", code="malformed_body", field="body"
        ) from None


def series_of(body: bytes) -> tuple[list[bytes], dict[str, Description]]:
    """The encoded series of a request of version 1.0, and descriptions of metrics by name.

    Raises:
        InvalidInput: the body is not such a request.
    """
    message = pb.WriteRequest()
    _parse(message, body)
    described = {each.metric_family_name: _description(each.type, each.help, each.unit) for each in message.metadata}
    return list(message.timeseries), described


def _description(type_: int, text: str, unit: str) -> Description:
    return Description(TYPES[type_] if type_ < len(TYPES) else TYPES[0], text, unit)


def decode_series(series: Sequence[bytes]) -> Decoded:
    """The samples of encoded series. Raises InvalidInput if one is malformed."""
    result = Decoded()
    message = pb.TimeSeries()
    for entry in series:
        _parse(message, entry)
        result.add(encode_labels([(label.name, label.value) for label in message.labels]), message)
    return result


def has_only_labels(key: bytes) -> bool:
    """Whether the bytes are encoded labels and nothing else."""
    message = pb.TimeSeries()
    try:
        message.ParseFromString(key)
    except DecodeError:
        return False
    return not (message.samples or message.exemplars or message.histograms)


_KINDS = {
    pb.Metadata.METRIC_TYPE_COUNTER: Kind.COUNTER,
    pb.Metadata.METRIC_TYPE_GAUGE: Kind.GAUGE,
    pb.Metadata.METRIC_TYPE_INFO: Kind.GAUGE,
    pb.Metadata.METRIC_TYPE_STATESET: Kind.GAUGE,
}


def read_2(body: bytes) -> Decoded:
    """A request of version 2.0. Raises InvalidInput if the body is not such a request."""
    message = pb.Request()
    _parse(message, body)
    symbols: Sequence[str] = message.symbols
    names, texts = [_piece(1, symbol) for symbol in symbols], [_piece(2, symbol) for symbol in symbols]
    result = Decoded()
    for index, series in enumerate(message.timeseries):
        references = series.labels_refs
        if len(references) % 2 or (references and max(references) >= len(symbols)):
            raise InvalidInput(
                f"timeseries[{index}].labels_refs must be pairs of indexes of the {len(symbols)} symbols.",
                code="malformed_body",
                field=f"timeseries[{index}].labels_refs",
            )
        key = b"".join(
            _label(names[name] + texts[value]) for name, value in zip(references[::2], references[1::2], strict=True)
        )
        kind = _KINDS.get(series.metadata.type)
        if kind is not None:
            result.kinds[key] = kind
        result.add(key, series)
        _describe(result, series, symbols)
    return result


def _describe(result: Decoded, series: pb.TimeSeries2, symbols: Sequence[str]) -> None:
    told = series.metadata
    if not (told.type or told.help_ref):
        return
    if max(told.help_ref, told.unit_ref) >= len(symbols):
        raise InvalidInput(
            f"metadata.help_ref and unit_ref must be indexes of the {len(symbols)} symbols.",
            code="malformed_body",
            field="timeseries.metadata",
        )
    labels = zip(series.labels_refs[::2], series.labels_refs[1::2], strict=True)
    metric = next((symbols[value] for name, value in labels if symbols[name] == _NAME), "")
    description = _description(told.type, symbols[told.help_ref], symbols[told.unit_ref])
    result.descriptions[family_of(metric, description.type)] = description


def _parse(message: pb.WriteRequest | pb.TimeSeries | pb.Request, body: bytes) -> None:
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise InvalidInput(
            "The body is not a remote write request of the version that its Content-Type names.",
            code="malformed_body",
            field="body",
        ) from None


def encode_labels(labels: Sequence[tuple[str, str]]) -> bytes:
    """The key of a series: its labels as senders of version 1.0 encode them."""
    return b"".join(_label(_piece(1, name) + _piece(2, value)) for name, value in labels)


def encode_request(samples: Iterable[tuple[bytes, int, float]]) -> bytes:
    """The compressed body of a request of version 1.0. Of each sample: the key of its series, time in ms and value."""
    pieces: list[bytes] = []
    times: dict[int, bytes] = {}
    for key, time_ms, value in samples:
        time = times.get(time_ms)
        if time is None:  # negative times have ten bytes
            time = times[time_ms] = b"\x10" + _varint(time_ms & 0xFFFF_FFFF_FFFF_FFFF)
        sample = _DOUBLE.pack(0x09, value) + time
        pieces += (b"\n", _varint(len(key) + len(sample) + 2), key, b"\x12", _varint(len(sample)), sample)
    return bytes(cramjam.snappy.compress_raw(b"".join(pieces)))


def labels_of(key: bytes) -> Labels:
    """The labels of a series, in the order of the sender."""
    return tuple((label.name, label.value) for label in pb.TimeSeries.FromString(key).labels)


def _label(content: bytes) -> bytes:
    return b"\n" + _varint(len(content)) + content


def _piece(number: int, text: str) -> bytes:
    encoded = text.encode()
    return bytes([number << 3 | 2]) + _varint(len(encoded)) + encoded if encoded else b""


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
