"""Typed values to JSON and back, as the annotations of a function say. Nothing is pickled.

What a step returns, and what a workflow is given, passes through JSON also the first time, so that
a resumed run sees the very same values. Understood: what msgspec understands (Struct, dataclass,
TypedDict, NamedTuple, Enum, datetime, Decimal, UUID, bytes, sets and more) and paths. Without an
annotation a value comes back as plain JSON data: a tuple as a list, a datetime as a string.
"""

from collections.abc import Callable
from pathlib import PurePath
from typing import Any, get_type_hints

import msgspec

from holdfast.errors import UsageError

Decode = Callable[[Any], Any]

# msgspec reports what it cannot write or read by any of these.
_ERRORS = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)


def _to_json(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    kind = type(value)
    raise TypeError(f"a value of type {kind.__module__}.{kind.__qualname__} is not JSON")


def _from_json(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    raise TypeError(f"the type {kind.__module__}.{kind.__qualname__} is not understood")


_encode = msgspec.json.Encoder(enc_hook=_to_json).encode
# Sets and dicts in one order, so that the same input has the same bytes in every process.
_encode_sorted = msgspec.json.Encoder(enc_hook=_to_json, order="deterministic").encode


def encode(value: Any, what: str, *, ordered: bool = False) -> bytes:
    """`value` as JSON. Raises `UsageError` saying that `what` cannot be stored, and why."""
    try:
        return _encode_sorted(value) if ordered else _encode(value)
    except _ERRORS as error:
        raise UsageError(
            f"{what} cannot be stored: {error}",
            hint="return or pass JSON data, dataclasses, msgspec Structs, datetimes or paths",
        ) from error


def decode(decoder: Decode, data: bytes | msgspec.Raw | msgspec.UnsetType, what: str) -> Any:
    """`data` as the decoder's type. Raises `UsageError` saying that `what` is of another type."""
    try:
        return decoder(data)
    except _ERRORS as error:
        raise UsageError(f"{what} does not fit its annotation: {error}") from error


def decoder_for(annotation: Any, what: str) -> Decode:
    """The decoder of an annotated type. Raises `UsageError` when it cannot be read from JSON."""
    try:
        return msgspec.json.Decoder(annotation, dec_hook=_from_json).decode
    except _ERRORS as error:
        raise UsageError(f"the annotation of {what} is not understood: {error}") from error


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The resolved annotations of `function`. Raises `UsageError` for one that does not resolve."""
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the annotations of {function.__qualname__} do not resolve: {error}",
            hint="import the type, or define it at the top of the module",
        ) from error


def result_decoder(function: Callable[..., Any]) -> Decode:
    """The decoder of what `function` returns."""
    what = f"the result of {function.__qualname__}"
    return decoder_for(hints_of(function).get("return", Any), what)


class _Input(msgspec.Struct, frozen=True):
    """A call's arguments, bound: what can be given by position stands in `args`."""

    args: list[msgspec.Raw] = []
    kwargs: dict[str, msgspec.Raw] = {}


_decode_input = msgspec.json.Decoder(_Input).decode


class Arguments:
    """The arguments of a function as JSON and back, each by its annotation."""

    def __init__(self, function: Callable[..., Any]) -> None:
        import inspect

        self._what = f"the input of {function.__qualname__}"
        self._signature = inspect.signature(function)
        self._by_position: list[Decode] = []
        self._by_name: dict[str, Decode] = {}
        self._plain = range(0)  # numbers of arguments that need no binding if none is named
        self._more_positions = self._more_names = decoder_for(Any, self._what)
        hints = hints_of(function)
        for name, parameter in self._signature.parameters.items():
            decoder = decoder_for(hints.get(name, Any), f"{name!r} in {self._what}")
            if parameter.kind is parameter.VAR_POSITIONAL:
                self._more_positions = decoder
            elif parameter.kind is parameter.VAR_KEYWORD:
                self._more_names = decoder
            elif parameter.kind is parameter.KEYWORD_ONLY:
                self._by_name[name] = decoder
            else:
                self._by_position.append(decoder)
        parameters = self._signature.parameters.values()
        if len(self._by_position) == len(parameters):  # none is only named, or any number of them
            needed = sum(parameter.default is parameter.empty for parameter in parameters)
            self._plain = range(needed, len(parameters) + 1)

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """The call as JSON, the same for every way to write it. Raises `UsageError`."""
        if not kwargs and len(args) in self._plain:
            return encode({"args": args, "kwargs": kwargs}, self._what, ordered=True)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self._what}: {error}") from error
        return encode({"args": bound.args, "kwargs": bound.kwargs}, self._what, ordered=True)

    def decode(self, data: bytes | msgspec.Raw) -> tuple[list[Any], dict[str, Any]]:
        """The typed arguments. Raises `UsageError` when they do not fit the function."""
        given = decode(_decode_input, data, self._what)
        missing = len(given.args) - len(self._by_position)
        decoders = self._by_position + [self._more_positions] * missing
        args = [decode(d, raw, self._what) for d, raw in zip(decoders, given.args, strict=False)]
        kwargs = {
            name: decode(self._by_name.get(name, self._more_names), raw, self._what)
            for name, raw in given.kwargs.items()
        }
        if not kwargs and len(args) in self._plain:
            return args, kwargs
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"{self._what}: {error}") from error
        return args, kwargs
