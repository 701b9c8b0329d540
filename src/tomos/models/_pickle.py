"""A reader of pickles that knows tensor records and nothing else.

A pickle is a program for a stack machine (Python's `pickletools` documents the opcodes). This one
carries out the few opcodes that plain containers and torch's tensor records need, on values of its
own: a global is a name, never an object that was imported, and "calling" one is a lookup in
`_RECORDS`. Nothing that the file names is imported or run.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from tomos.types import PackageError

# A state dictionary of 1,000 tensors takes about 40,000 instructions.
MAX_WORK = 500_000
MAX_DEPTH = 64


@dataclass(frozen=True)
class Global:
    """A name that the pickle asked for."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Where a tensor's values lie: `key` names a run of `count` values of torch type `dtype`."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view into a storage, in values, not bytes."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


# torch's storage classes -> its dtypes; complex, quantised and sparse records are refused.
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_KNOWN = {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    *(f"torch.{name}" for name in STORAGES),
    *(f"torch.{name}" for name in STORAGES.values()),
}


class RefusedError(Exception):
    """What the pickle wants that is not a tensor record."""


def read(file: IO[bytes], where: str) -> Any:
    """The value of the next pickle in `file`, with `Tensor` for every tensor in it.

    `file` is left just behind the pickle. Raises PackageError, naming what was asked for, when it
    holds anything but numbers, text, containers and tensors.
    """
    try:
        return _Machine().run(file)
    except RefusedError as refusal:
        raise PackageError(
            f"{where}: expected tensors and plain containers only, got {refusal}; nothing of "
            "it was run. Save the weights as safetensors, or the state_dict alone, where they are"
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, UnicodeError) as error:
        raise PackageError(f"{where}: damaged, or not a file of torch.save ({error})") from None


_MARK = object()


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def run(self, file: IO[bytes]) -> Any:
        for opcode, argument, _ in pickletools.genops(file):
            self.count(1)
            if opcode.name == "STOP":
                value = self.stack.pop()
                self.walk(value)
                return value
            step = _STEPS.get(opcode.name)
            if step is None:
                raise RefusedError(f"the instruction {opcode.name}")
            step(self, argument)
        raise ValueError("no end")

    def count(self, work: int) -> None:
        self.work += work
        if self.work > MAX_WORK:
            raise RefusedError(f"more than {MAX_WORK} instructions and values")

    def walk(self, value: Any, depth: int = 0) -> None:
        """Refuse what is nested deeply, in itself, or without end by repetition: those who read the
        value walk through it freely."""
        self.count(1)
        if depth > MAX_DEPTH:
            raise RefusedError(f"containers nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict | list | tuple):
            for inner in value.values() if isinstance(value, dict) else value:
                self.walk(inner, depth + 1)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        """Pop everything above the last mark, and the mark."""
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("no mark")
        taken = self.stack[start + 1 :]
        del self.stack[start:]
        return taken

    def pop(self, n: int) -> list[Any]:
        if len(self.stack) < n:
            raise ValueError("too little on the stack")
        taken = self.stack[-n:] if n else []
        del self.stack[len(self.stack) - n :]
        return taken

    def store(self, key: Any) -> None:
        self.memo[len(self.memo) if key is None else int(key)] = self.stack[-1]

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise ValueError("items for something that is no dictionary")
        target.update(_dict(pairs))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ValueError("items for something that is no list")
        target.extend(values)

    def global_(self, name: str) -> None:
        if name not in _KNOWN:
            raise RefusedError(f"the global {name!r}")
        self.push(Global(name))

    def stack_global(self) -> None:
        module, name = self.pop(2)
        self.global_(f"{module}.{name}")

    def reduce(self) -> None:
        function, arguments = self.pop(2)
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise RefusedError(f"a call of {_named(function)}")
        record = _RECORDS.get(function.name)
        if record is None:
            raise RefusedError(f"a call of {_named(function)}")
        self.count(sum(len(a) for a in arguments if isinstance(a, list | tuple)))
        self.push(record(*arguments))

    def build(self) -> None:
        """Attributes: an OrderedDict's `_metadata` (versions of layers) is all torch writes."""
        (state,) = self.pop(1)
        if not isinstance(self.stack[-1], dict) or not isinstance(state, dict):
            raise RefusedError(f"attributes of {_named(self.stack[-1])}")

    def persistent(self) -> None:
        (key,) = self.pop(1)
        if not isinstance(key, tuple) or len(key) < 5 or not isinstance(key[2], str):
            raise RefusedError(f"a persistent record that is {_named(key)}")
        kind, name, _, count = key[1:5]
        if not isinstance(kind, Global) or kind.name.removeprefix("torch.") not in STORAGES:
            raise RefusedError(f"a storage of {_named(kind)}")
        if len(key) > 5 and key[5] is not None:
            raise RefusedError("a storage that is a view of another")
        self.push(Storage(name, STORAGES[kind.name.removeprefix("torch.")], _count(count)))


def _named(value: Any) -> str:
    """A value in a message: by its kind, since writing out a hostile one may never end."""
    return repr(value.name) if isinstance(value, Global) else f"a {type(value).__name__}"


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**48:
        raise ValueError(f"expected a count, got {_named(value)} that is none")
    return value


def _counts(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or len(values) > 16:
        raise ValueError("expected at most 16 counts")
    return tuple(_count(value) for value in values)


def _dict(pairs: list[Any]) -> dict:
    """Keys are text or numbers: the hash of a tuple of tuples of ... may never end."""
    for key in pairs[::2]:
        if not isinstance(key, str | int | float | bytes | None):
            raise RefusedError(f"a dictionary key that is {_named(key)}")
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without storage")
    tensor = Tensor(storage, _count(offset), _counts(size), _counts(stride))
    if len(tensor.size) != len(tensor.stride):
        raise ValueError(f"a tensor of size {tensor.size} and stride {tensor.stride}")
    number, last = 1, tensor.offset
    for n, step in zip(tensor.size, tensor.stride, strict=True):
        number, last = number * n, last + max(n - 1, 0) * step
    # A stride of zero makes terabytes out of one value.
    if number > storage.count or (number and last >= storage.count):
        raise ValueError(f"a tensor of size {tensor.size} in {storage.count} values")
    return tensor


def _parameter(data: Any, *_: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError("a parameter without tensor")
    return data


def _ordered(pairs: Any = ()) -> OrderedDict:
    flat = [part for pair in pairs for part in _pair(pair)]
    return OrderedDict(_dict(flat))


def _pair(pair: Any) -> Any:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError("expected pairs")
    return pair


def _size(size: Any = ()) -> tuple[int, ...]:
    return _counts(size)


_RECORDS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
}


def _constant(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(make())


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = (
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"),
)
_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    **{name: _constant(make) for name, make in _CONSTANTS.items()},
    **dict.fromkeys((*_NUMBERS, *_TEXTS), _Machine.push),
    "PROTO": lambda machine, argument: None,
    "FRAME": lambda machine, argument: None,
    "POP": lambda machine, argument: machine.pop(1),
    "POP_MARK": lambda machine, argument: machine.since_mark(),
    "DUP": lambda machine, argument: machine.push(machine.stack[-1]),
    "DICT": lambda machine, argument: machine.push(_dict(machine.since_mark())),
    "LIST": lambda machine, argument: machine.push(machine.since_mark()),
    "TUPLE": lambda machine, argument: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, argument: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, argument: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, argument: machine.push(tuple(machine.pop(3))),
    "SETITEM": lambda machine, argument: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, argument: machine.set_items(machine.since_mark()),
    "APPEND": lambda machine, argument: machine.append(machine.pop(1)),
    "APPENDS": lambda machine, argument: machine.append(machine.since_mark()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.store),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"),
        lambda machine, argument: machine.push(machine.memo[int(argument)]),
    ),
    # genops gives "module name", parted by the only space
    "GLOBAL": lambda machine, argument: machine.global_(argument.replace(" ", ".")),
    "STACK_GLOBAL": lambda machine, argument: machine.stack_global(),
    "REDUCE": lambda machine, argument: machine.reduce(),
    "BUILD": lambda machine, argument: machine.build(),
    "BINPERSID": lambda machine, argument: machine.persistent(),
}
