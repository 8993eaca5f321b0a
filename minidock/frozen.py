"""`Frozen`: a record that never changes, as a frozen dataclass is, for what every command loads.

``@dataclass(frozen=True)`` writes a class's methods as source text and compiles them: 0.4 ms a class, and 4 ms for the modules
that it needs for it (`inspect`, `ast`, `tokenize`). A command's start has no time for that. Here the methods are written once,
for all records, and read the class's annotations. mypy knows what is meant (PEP 681) and checks every call.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which is 6 ms
if TYPE_CHECKING:
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Frozen:
    """Its fields are the annotations of its class, in their order, after those of the class that it extends; a value beside one
    is its default, shared by all records. A ``ClassVar`` is no field.

    Made by position or by name (TypeError for an unknown, a doubled or a missing one); equal if of one class and equal field by
    field. `_fields` are their names, as in a named tuple; ``vars(record)`` is the record as a dictionary, which is also how
    it is sent as JSON.
    """

    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        own = [name for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar")]
        cls._fields = (*getattr(cls, "_fields", ()), *own)
        cls._defaults = {**getattr(cls, "_defaults", {}), **{name: value for name, value in vars(cls).items() if name in own}}

    if not TYPE_CHECKING:  # mypy makes the signature of each record's own from its fields

        def __init__(self, *values: Any, **named: Any) -> None:
            fields = vars(self)
            fields.update(self._defaults)
            fields.update(zip(self._fields, values, strict=False))
            fields.update(named)
            doubled = named and not named.keys().isdisjoint(self._fields[: len(values)])
            if doubled or len(values) > len(self._fields) or fields.keys() != set(self._fields):
                raise TypeError(f"{type(self).__name__}{self._fields} made with {values} and {named}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot change field {name!r} of a {type(self).__name__}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete field {name!r} of a {type(self).__name__}")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self)[name] for name in self._fields))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={vars(self)[name]!r}' for name in self._fields)})"

    def replace(self, **changes: Any) -> Self:
        """The same record with other values for the fields named in `changes`."""
        return type(self)(**{**vars(self), **changes})
