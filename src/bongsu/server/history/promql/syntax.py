"""The tree of a PromQL text. Bongsu's own types over those of the parser, which is Rust's promql-parser."""

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import promql_parser
import re2

from bongsu.core.errors import InvalidInput
from bongsu.server.history.promql.labels import NAME

# Each level of the tree costs three frames of Python's stack, which has a thousand.
DEEPEST = 100
MOST_OPERATORS = 200
LONGEST_BYTES = 32 * 1024

START, END = "start", "end"

_QUOTED = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*""", re.DOTALL)
_SELECTED = re.compile(r"\{[^{}]*\}")
_OPERATOR = re.compile(r"[-+*/%^]|[=!<>]+|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Matcher:
    """``op``: ``=``, ``!=``, ``=~`` or ``!~``. A label that a series does not have counts as empty."""

    name: str
    op: str
    value: str

    def matches(self, text: str) -> bool:
        """Whether a value of the label passes. Regular expressions match the whole of it."""
        if self.op in ("=", "!="):
            return (text == self.value) is (self.op == "=")
        return (_compiled(self.value).fullmatch(text) is not None) is (self.op == "=~")


@dataclass(frozen=True, slots=True)
class Shift:
    """When a selector looks: ``at_ms`` fixes the time (``start`` and ``end`` are those of the query), ``offset_ms``
    goes back from it."""

    offset_ms: int = 0
    at_ms: int | str | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    """``any_of``: series that match all matchers of any of these lists. ``range_ms`` None: the newest sample."""

    any_of: tuple[tuple[Matcher, ...], ...]
    shift: Shift
    range_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Subquery:
    """``step_ms`` None: the default."""

    inner: "Node"
    shift: Shift
    range_ms: int
    step_ms: int | None


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Negation:
    inner: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``by`` False: all labels but ``labels``."""

    operator: str
    inner: "Node"
    parameter: "Node | None"
    by: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matching:
    """How series of two vectors find each other. ``many``: the side (``left``, ``right``) of which several series may
    match one of the other; ``include``: labels that the result takes from the other side."""

    on: bool
    labels: tuple[str, ...]
    many: str | None
    include: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: "Node"
    right: "Node"
    matching: Matching
    return_bool: bool


Node = Selector | Subquery | Number | Text | Negation | Call | Aggregate | Binary

SET_OPERATORS = frozenset({"and", "or", "unless"})
COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})

_MATCH_OPS = (
    (promql_parser.MatchOp.Equal, "="),
    (promql_parser.MatchOp.NotEqual, "!="),
    (promql_parser.MatchOp.Re, "=~"),
    (promql_parser.MatchOp.NotRe, "!~"),
)


def parse(text: str) -> Node:
    """The tree of a query.

    Raises:
        InvalidInput: it is none, or uses what Bongsu cannot do.
    """
    if len(text.encode()) > LONGEST_BYTES:
        raise InvalidInput(
            f"A query may have at most {LONGEST_BYTES:,} bytes.",
            code="invalid_promql",
            field="query",
            limit=LONGEST_BYTES,
        )
    _check_nesting(text)
    return _parsed(text)


@lru_cache(1_024)
def _parsed(text: str) -> Node:
    try:
        tree = promql_parser.parse(text)
    except ValueError as error:
        raise invalid(str(error).strip() or "It is empty.") from None
    return _node(tree, 0)


def invalid(reason: str) -> InvalidInput:
    """The error of a query that cannot be evaluated."""
    return InvalidInput(reason[:1].upper() + reason[1:], code="invalid_promql", field="query")


def _check_nesting(text: str) -> None:
    """The parser calls itself for each bracket and operator, and would end the process when its stack is full: with the
    1 MiB of a thread on some systems at 600 of them."""
    code = _SELECTED.sub("", _QUOTED.sub("", text))
    depth = deepest = 0
    for character in code:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    for count, limit, what in (
        (deepest, DEEPEST, "brackets within each other"),
        (len(_OPERATOR.findall(code)), MOST_OPERATORS, "operators"),
    ):
        if count > limit:
            message = f"A query may have at most {limit} {what}."
            raise InvalidInput(message, code="invalid_promql", field="query", limit=limit)


def _node(tree: Any, depth: int) -> Node:
    if depth > MOST_OPERATORS:
        raise invalid("the query is nested too deeply")
    match tree:
        case promql_parser.ParenExpr():
            return _node(tree.expr, depth + 1)
        case promql_parser.NumberLiteral():
            return Number(tree.val)
        case promql_parser.StringLiteral():
            return Text(tree.val)
        case promql_parser.VectorSelector():
            return _selector(tree, None)
        case promql_parser.MatrixSelector():
            return _selector(tree.vector_selector, _ms(tree.range))
        case promql_parser.SubqueryExpr():
            step_ms = None if tree.step is None else _ms(tree.step)
            assert tree.range is not None
            return Subquery(_node(tree.expr, depth + 1), _shift(tree), _ms(tree.range), step_ms)
        case promql_parser.UnaryExpr():
            return Negation(_node(tree.expr, depth + 1))
        case promql_parser.Call():
            arguments = tuple(_node(argument, depth + 1) for argument in tree.args)
            return Call(tree.func.name, arguments)
        case promql_parser.AggregateExpr():
            return _aggregate(tree, depth)
        case promql_parser.BinaryExpr():
            return _binary(tree, depth)
    raise invalid(f"{type(tree).__name__} is not supported")


def _aggregate(tree: Any, depth: int) -> Aggregate:
    parameter = None if tree.param is None else _node(tree.param, depth + 1)
    modifier = tree.modifier
    by = modifier is None or modifier.type == promql_parser.AggModifierType.By
    labels = () if modifier is None else tuple(modifier.labels)
    return Aggregate(str(tree.op), _node(tree.expr, depth + 1), parameter, by, labels)


def _binary(tree: Any, depth: int) -> Binary:
    modifier = tree.modifier
    left, right = _node(tree.lhs, depth + 1), _node(tree.rhs, depth + 1)
    if modifier is None:
        return Binary(str(tree.op), left, right, Matching(False, (), None, ()), False)
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise invalid("fill is not supported")
    many = None
    if modifier.card == promql_parser.VectorMatchCardinality.ManyToOne:
        many = "left"
    elif modifier.card == promql_parser.VectorMatchCardinality.OneToMany:
        many = "right"
    on = modifier.matching is not None and modifier.matching.type == promql_parser.LabelModifierType.Include
    labels = () if modifier.matching is None else tuple(modifier.matching.labels)
    matching = Matching(on, labels, many, tuple(modifier.group_labels or ()))
    return Binary(str(tree.op), left, right, matching, bool(modifier.return_bool))


def _selector(tree: Any, range_ms: int | None) -> Selector:
    named = () if tree.name is None else (Matcher(NAME, "=", tree.name),)
    alternatives = [*([tree.matchers.matchers] if tree.matchers.matchers else []), *tree.matchers.or_matchers]
    any_of = tuple((*named, *map(_matcher, matchers)) for matchers in alternatives or [[]])
    return Selector(any_of, _shift(tree), range_ms)


def _matcher(tree: Any) -> Matcher:
    matcher = Matcher(tree.name, next(op for theirs, op in _MATCH_OPS if theirs == tree.op), tree.value)
    if matcher.op in ("=~", "!~"):
        _compiled(matcher.value)
    return matcher


def _shift(tree: Any) -> Shift:
    offset_ms = 0 if tree.offset is None else _ms(tree.offset)
    at = tree.at
    if at is None:
        return Shift(offset_ms)
    if at.type == promql_parser.AtModifierType.Start:
        return Shift(offset_ms, START)
    if at.type == promql_parser.AtModifierType.End:
        return Shift(offset_ms, END)
    return Shift(offset_ms, round(at.at.timestamp() * 1000))


def _ms(duration: dt.timedelta) -> int:
    return duration // dt.timedelta(milliseconds=1)


@lru_cache(1_024)
def _compiled(pattern: str) -> Any:
    return compiled(pattern)


def compiled(pattern: str) -> Any:
    """A regular expression of RE2, in which ``.`` matches line breaks too. Its time is linear in the text.

    Raises:
        InvalidInput: it is none.
    """
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise invalid(f"{pattern[:200]!r} is no regular expression: {reason}") from None


def default_matchers(node: Node) -> tuple[Matcher, ...]:
    """The matchers of a selector, from which ``absent`` takes the labels of its answer; none of other expressions."""
    return node.any_of[0] if isinstance(node, Selector) and len(node.any_of) == 1 else ()
