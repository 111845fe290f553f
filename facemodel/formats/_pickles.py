"""Pickles of arrays, read without running anything that they name.

A pickle says which classes and functions are to be called with what. Here none of them is: the few that files of face
models name (numpy's arrays, scipy's sparse matrices, chumpy's variables, torch's tensors) have inert stand-ins that
only keep what they were given, and become arrays afterwards; any other name is refused, in words, before anything is
made. Enters: bytes. Leaves: dicts, lists, numbers, text, numpy arrays, scipy matrices. The readers of
`facemodel.formats` call it.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pickle import _Unpickler  # the one in Python: what the one in C allocates can't be bounded

import numpy as np
import scipy.sparse
import torch

from foundation.errors import PortraitError

LARGEST = 512 << 20  # bytes of a pickle
DEEPEST = 40  # levels of containers within each other
MOST = 10_000  # values that wait for the container that they go into
KINDS = re.compile(r"[<>|=]?(?:[?bBiufc]\d{1,2}|[SUV]\d{1,6})")  # of numpy's numbers and text


class _Refused(Exception):
    """A reason, in words, for which the file isn't read on."""


class _Kept:
    """What a pickle would have called, with what: never called."""

    __slots__ = ("args", "make", "state")

    def __init__(self, make: Callable[[_Kept], object], args: tuple) -> None:
        self.make, self.args, self.state = make, args, None


class _Name:
    """A class or function that a pickle may name. Nothing about it can be changed from within the pickle."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[_Kept], object]) -> None:
        self._make = make

    def __call__(self, *args) -> _Kept:
        return _Kept(self._make, args)


class _Reconstructor(_Name):
    """copy_reg's: a class, its base, a value; the object comes by the class's stand-in."""

    def __call__(self, *args) -> _Kept:
        if not args or not isinstance(args[0], _Name):
            raise _Refused("it makes an object of something that isn't a class")
        return args[0]()


def _bytes(value: object) -> bytes:
    if isinstance(value, str):  # Python 2 wrote bytes as text
        return value.encode("latin1")
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise _Refused("an array's content isn't bytes")


def _dtype(kept: _Kept) -> np.dtype | None:
    """None of an array of objects."""
    code, state = kept.args[0], kept.state or ()
    order = state[1] if len(state) > 1 and state[1] in ("<", ">", "=", "|") else ""
    if str(code).lstrip("<>|=").startswith("O"):
        return None
    if not isinstance(code, str) or not KINDS.fullmatch(code):
        raise _Refused(f"an array of kind {code!r}")
    return np.dtype(order + code.lstrip("<>|="))


def _shape(value: object) -> tuple[int, ...]:
    value = tuple(value) if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(n, int) and 0 <= n < 1 << 40 for n in value):
        raise _Refused("an array of impossible shape")
    return value


def _shaped(flat: np.ndarray, shape: tuple[int, ...], order: str) -> np.ndarray:
    if len(flat) != int(np.prod(shape, dtype=object)):
        raise _Refused("an array that is cut short")
    return flat.reshape(shape, order=order)


def _array(kept: _Kept) -> object:
    """numpy's _reconstruct, then __setstate__((version, shape, dtype, Fortran order, content))."""
    if not (isinstance(kept.args[0], _Name) and kept.args[0] is _NDARRAY):
        raise _Refused("it makes an array of something that isn't one")
    if kept.state is None:
        return np.zeros(0)
    *_, shape, dtype, fortran, content = kept.state
    shape, dtype = _shape(shape), dtype if isinstance(dtype, np.dtype) else None
    if dtype is None:  # objects: the only one, or all of them in a row
        if not isinstance(content, list):
            raise _Refused("an array's content isn't a list")
        return content[0] if shape == () and len(content) == 1 else content
    return _shaped(np.frombuffer(_bytes(content), dtype), shape, "F" if fortran else "C")


def _from_buffer(kept: _Kept) -> np.ndarray:
    content, dtype, shape, order = kept.args
    if not isinstance(dtype, np.dtype):
        raise _Refused("an array of objects")
    return _shaped(np.frombuffer(_bytes(content), dtype), _shape(shape), "F" if order == "F" else "C")


def _scalar(kept: _Kept) -> object:
    dtype, content = kept.args
    if not isinstance(dtype, np.dtype):
        raise _Refused("a number of unknown kind")
    return np.frombuffer(_bytes(content), dtype)[0]


def _state(kept: _Kept) -> dict:
    state = kept.state[0] if isinstance(kept.state, tuple) and kept.state else kept.state
    if not isinstance(state, dict):
        raise _Refused("an object without content")
    return state


def _sparse(make: type) -> Callable[[_Kept], object]:
    def matrix(kept: _Kept) -> object:
        state = _state(kept)
        shape = _shape(state["_shape"] if "_shape" in state else state["shape"])
        parts = [np.asarray(state[k]) for k in ("data", "indices", "indptr")]
        if parts[1].size and (parts[1].min() < 0 or parts[1].max() >= max(shape)):
            raise _Refused("a sparse matrix whose indices are out of range")
        return make(tuple(parts), shape=shape)  # checks the rest

    return matrix


def _chumpy(kept: _Kept) -> np.ndarray:
    return np.asarray(_state(kept)["x"], dtype=np.float64)


def _chumpy_select(kept: _Kept) -> np.ndarray:
    state = _state(kept)
    picked = np.asarray(state["a"]).ravel()[np.asarray(state["idxs"]).ravel()]
    shape = state.get("preferred_shape")
    return picked if shape is None else picked.reshape(_shape(shape))


def _latin1(kept: _Kept) -> bytes:
    text, *encoding = kept.args
    if not isinstance(text, str) or encoding not in ([], ["latin1"], ["latin-1"]):
        raise _Refused("text in an encoding that numpy doesn't use")
    return text.encode("latin1")


def _storage(kept: _Kept) -> object:
    """A tensor's numbers: torch's own file within the pickle, by its own reader that builds nothing but tensors."""
    content = io.BytesIO(_bytes(kept.args[0]))
    try:
        return torch.load(content, weights_only=True, map_location="cpu")
    except Exception as error:
        raise _Refused(f"a tensor that torch doesn't read ({type(error).__name__})") from None


def _tensor(kept: _Kept) -> np.ndarray:
    storage, offset, size, stride = kept.args[:4]
    if not isinstance(storage, torch.storage.TypedStorage):
        raise _Refused("a tensor without numbers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that typed storages will go: files have them
        flat = torch.tensor([], dtype=storage.dtype).set_(storage.untyped())
    return flat.as_strided(_shape(size), _shape(stride), int(offset)).contiguous().numpy()


def _plain_dict(kept: _Kept) -> dict:
    pairs = kept.args[0] if kept.args else kept.state
    return dict(pairs or {})


def _no_bytes(kept: _Kept) -> bytes:
    if kept.args:
        raise _Refused("bytes that are made of something else")
    return b""


def _never(kept: _Kept) -> object:
    raise _Refused("an object of a class that only arrays are made of")


_NDARRAY = _Name(_never)
_CSC, _CSR = _Name(_sparse(scipy.sparse.csc_matrix)), _Name(_sparse(scipy.sparse.csr_matrix))
NAMES: dict[tuple[str, str], _Name] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Name(_dtype),
    ("chumpy.ch", "Ch"): _Name(_chumpy),
    ("chumpy.reordering", "Select"): _Name(_chumpy_select),
    ("scipy.sparse.csc", "csc_matrix"): _CSC,
    ("scipy.sparse._csc", "csc_matrix"): _CSC,
    ("scipy.sparse.csr", "csr_matrix"): _CSR,
    ("scipy.sparse._csr", "csr_matrix"): _CSR,
    ("__builtin__", "bytes"): _Name(_no_bytes),  # how old protocols write none at all
    ("_codecs", "encode"): _Name(_latin1),
    ("collections", "OrderedDict"): _Name(_plain_dict),
    ("torch._utils", "_rebuild_tensor_v2"): _Name(_tensor),
    ("torch.storage", "_load_from_bytes"): _Name(_storage),
    ("copy_reg", "_reconstructor"): _Reconstructor(_never),
    ("copyreg", "_reconstructor"): _Reconstructor(_never),
    ("__builtin__", "object"): _Name(_never),
    ("builtins", "object"): _Name(_never),
} | {
    (f"numpy.{core}.{module}", name): _Name(make)
    for core in ("core", "_core")
    for module, name, make in (
        ("multiarray", "_reconstruct", _array),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _from_buffer),
    )
}


class _Reader(_Unpickler):
    """Python's own, less what could call, change or hash something that isn't in `NAMES`."""

    dispatch = dict(_Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> _Name:
        found = NAMES.get((str(module), str(name)))
        if found is None:
            raise _Refused(f"it names {_printable(f'{module}.{name}')}, which no face model needs; it wasn't built")
        return found

    def persistent_load(self, pid: object) -> object:
        raise _Refused("it points to objects outside of the file")

    def _forbidden(self) -> None:
        raise _Refused("it has sets, extensions or other means that no face model needs")

    def _load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Kept):
            raise _Refused("it changes an object that isn't its own")
        self.stack[-1].state = state

    def _load_newobj(self) -> None:
        args, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(args, tuple):
            raise _Refused("it makes an object of something that isn't a class")
        self.append(name(*args))

    def _keyed(original: Callable) -> Callable:  # noqa: N805 (a decorator of this body)
        def load(self) -> None:
            # Keys are what gets hashed: nested tuples of tuples would take for ever.
            keys = [self.stack[-2]] if original is _Unpickler.load_setitem else self.stack[::2]
            if not all(type(k) in (str, int, bytes) for k in keys):
                raise _Refused("it has a dictionary whose keys aren't names or numbers")
            original(self)

        return load

    def _load_list(self) -> None:
        if len(self.stack) > MOST:
            raise _Refused("it nests its content deeper than any face model does")
        self.append([])

    def _load_bytes(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        if size > LARGEST:
            raise _Refused("an array that is cut short")
        content = self.read(size)
        self.append(bytearray(content))

    for _code in (0x8F, 0x90, 0x91, 0x82, 0x83, 0x84, 0x97, 0x98):  # sets, extensions, buffers outside
        dispatch[_code] = _forbidden
    dispatch[0x81] = _load_newobj
    dispatch[0x92] = _forbidden  # the same with named arguments
    dispatch[ord("b")] = _load_build
    dispatch[ord("s")] = _keyed(_Unpickler.load_setitem)
    dispatch[ord("u")] = _keyed(_Unpickler.load_setitems)
    dispatch[ord("d")] = _keyed(_Unpickler.load_dict)
    dispatch[ord("]")] = _load_list
    dispatch[0x96] = _load_bytes


def read_pickle(data: bytes) -> object:
    """What a pickle holds. PortraitError, with the reason alone: who calls knows the file's name and what to do."""
    if len(data) > LARGEST:
        raise PortraitError(f"it is larger than any face model's pickle ({len(data) >> 20} MB)")
    try:
        return _resolve(_Reader(io.BytesIO(data), encoding="latin1").load(), {}, 0)
    except _Refused as error:
        raise PortraitError(str(error)) from None
    except Exception as error:  # whatever garbled bytes do to the machine that reads them
        raise PortraitError(f"it breaks off or is garbled ({type(error).__name__})") from None


def looks_pickled(data: bytes) -> bool:
    """Whether bytes begin as a pickle does and end as one."""
    return (data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or bool(
        re.match(rb"(?:\(d|\(l|\(i|c[a-z_.]+\n)", data)
    )


def _resolve(value: object, done: dict[int, object], depth: int) -> object:
    """The value with what was kept turned into arrays; each object once, however often it is pointed at."""
    if depth > DEEPEST:
        raise _Refused("it nests its content deeper than any face model does")
    if not isinstance(value, _Kept | dict | list | tuple | _Name):
        return value
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, _Name):
        return value
    down = depth + 1
    if isinstance(value, dict):
        made = {k: _resolve(v, done, down) for k, v in value.items()}
    elif isinstance(value, _Kept):
        value.args = tuple(_resolve(v, done, down) for v in value.args)
        value.state = _resolve(value.state, done, down)
        made = value.make(value)
    else:
        made = type(value)(_resolve(v, done, down) for v in value)
    done[id(value)] = (value, made)  # the value is kept alive, so that its id isn't used again
    return made


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:80]
