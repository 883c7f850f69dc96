"""What other packages add: methods, losses, parsers, benchmarks, readers, caption formats, tasks.

A package names what it offers as an entry point of one of :data:`GROUPS` (docs/bring_your_own.md). Finding
one reads the metadata of what is installed; nothing of a package is imported before its name is used, so a
broken package breaks nothing else.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = {
    "method": "knowclip.methods",
    "loss": "knowclip.losses",
    "parser": "knowclip.parsers",
    "benchmark": "knowclip.benchmarks",
    "task": "knowclip.tasks",
    "reader": "knowclip.readers",
    "caption format": "knowclip.caption_formats",
}
"""What can be added -> the group of entry points that it is looked for in."""

T = TypeVar("T")


class PluginError(ValueError):
    """Something of another package that cannot be used; the message names the package and its version."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of another package: what it is, its name in recipes and commands, where it stands."""

    kind: str
    name: str
    entry: EntryPoint

    @property
    def origin(self) -> str:
        """``my-package 1.0``: the distribution that declares it, with its version."""
        distribution = self.entry.dist
        return "an unknown package" if distribution is None else f"{distribution.name} {distribution.version}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.origin} ({self.entry.value})"

    def sources(self) -> list[Path]:
        """Its Python files: its module, or all of the package that holds it."""
        spec = find_spec(_top(self.entry.module))
        if spec is None:
            return []
        if spec.submodule_search_locations:
            return sorted(path for f in spec.submodule_search_locations for path in Path(f).rglob("*.py"))
        return [Path(spec.origin)] if spec.origin and spec.origin.endswith(".py") else []

    def load(self, expected: type[T] | None = None) -> T:
        """Import it: an ``expected``, or without one something that can be called.

        Raises:
            PluginError: It cannot be imported, or is something else.
        """
        found = self._imported(self.entry.value)
        if not (callable(found) if expected is None else isinstance(found, expected)):
            wanted = "something to call" if expected is None else f"a {expected.__name__}"
            raise PluginError(f"{self} is {found!r}; the group {GROUPS[self.kind]} is for {wanted}")
        return found

    def load_class(self, parent: type[T], *, place: str | None = None) -> type[T]:
        """Import a class derived from ``parent``, which stands at ``place`` if not at the entry point.

        Raises:
            PluginError: It cannot be imported, or is something else.
        """
        found = self._imported(place or self.entry.value)
        if not (isinstance(found, type) and issubclass(found, parent) and found is not parent):
            where = f" at {place}" if place else ""
            raise PluginError(f"{self}{where} is {found!r}; a class derived from {parent.__name__} is wanted")
        return found

    def load_function(self, place: str) -> Callable[..., Any]:
        """Import a function of the package from ``place``, as ``module:function``.

        Raises:
            PluginError: It cannot be imported, or called.
        """
        found = self._imported(place)
        if not callable(found):
            raise PluginError(f"{self} at {place} is {found!r}; a function is wanted")
        return found

    def _imported(self, place: str) -> Any:
        module, colon, path = place.partition(":")
        # before the import: one that fails is told with its package too
        _LOADED.setdefault(self, set()).update(_top(name) for name in (module, self.entry.module))
        try:
            if not colon:
                raise ValueError(f"{place!r} is not of the form module:object")
            return attrgetter(path)(import_module(module))
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self} cannot be imported: {type(error).__name__}: {error}; mend or uninstall that package"
            ) from error

    def check_call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Refuse options that a function of the package does not take, or lacks.

        Raises:
            PluginError: Naming the option.
        """
        try:
            inspect.signature(function).bind(*arguments, **options)
        except TypeError as error:
            raise PluginError(
                f"{self}: {function.__qualname__} does not take what its section gives, {error}"
            ) from error

    def check_name(self, name: str) -> None:
        """Refuse another name than that of its entry point.

        Raises:
            PluginError: It calls itself ``name``.
        """
        if name != self.name:
            raise PluginError(f"{self} calls itself {name!r}: give it and its entry point one name")


_LOADED: dict[Plugin, set[str]] = {}
"""What was used, and the top-level packages that it was imported from."""


@cache
def found(kind: str) -> Mapping[str, tuple[Plugin, ...]]:
    """Name -> the plug-ins of a kind that have it, usually one; nothing is imported but metadata."""
    from importlib.metadata import entry_points

    named: dict[str, tuple[Plugin, ...]] = {}
    for entry in sorted(entry_points(group=GROUPS[kind]), key=lambda entry: (entry.name, entry.value)):
        named[entry.name] = (*named.get(entry.name, ()), Plugin(kind, entry.name, entry))
    return named


def names(kind: str, own: Collection[str]) -> list[str]:
    """Every name of a kind: knowclip's own, then those of other packages."""
    return [*own, *(name for name in found(kind) if name not in own)]


def known(kind: str, name: str, own: Collection[str], advice: str = "") -> Plugin | None:
    """The plug-in of a name; None where the name is one of knowclip's ``own``.

    Args:
        kind: A key of ``GROUPS``.
        name: Looked for.
        own: Names that are not plug-ins'.
        advice: What else to say where there is no such name.

    Raises:
        PluginError: Two packages have it, or one has a name of knowclip's own.
        ValueError: There is none of that name.
    """
    offered = found(kind).get(name, ())
    if len(offered) + (name in own) > 1:
        sides = [*(["knowclip itself"] if name in own else []), *map(str, offered)]
        raise PluginError(
            f"the {kind} {name!r} is given twice, by {' and by '.join(sides)}: uninstall one of them, "
            f"or rename its entry point in the group {GROUPS[kind]}"
        )
    if name in own:
        return None
    if not offered:
        near = get_close_matches(name, names(kind, own), n=1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        every = ", ".join(names(kind, own)) or f"(no installed package has one: group {GROUPS[kind]})"
        raise ValueError(f"unknown {kind} {name!r}: choose one of {every}{advice}{hint}")
    return offered[0]


def find(kind: str, name: str, own: Mapping[str, T], expected: type[T] | None = None) -> T:
    """What stands under a name: knowclip's ``own``, or the plug-in, which is imported here.

    Raises:
        PluginError: The name is given twice, or its package cannot be used.
        ValueError: There is none of that name.
    """
    plugin = known(kind, name, own)
    return own[name] if plugin is None else plugin.load(expected)


def fingerprint(kind: str, name: str) -> bytes:
    """What decides what a plug-in does: its package's version and its code; nothing for our own names."""
    digest = blake2b(digest_size=16)
    for plugin in found(kind).get(name, ()):
        digest.update(plugin.origin.encode())
        for path in plugin.sources():
            digest.update(path.read_bytes())
    return digest.digest() if name in found(kind) else b""


def usable(kind: str, own: Collection[str], use: Callable[[str], object]) -> Iterator[str]:
    """The names of a kind that ``use`` has no trouble with, for lists; of the others it is warned why."""
    for name in names(kind, own):
        try:
            use(name)
        except PluginError as error:
            warnings.warn(str(error), stacklevel=2)
        else:
            yield name


def origin(kind: str, name: str) -> str:
    """``my-package 1.0`` for a name of another package, "" for one of knowclip's own."""
    offered = found(kind).get(name, ())
    return offered[0].origin if offered else ""


def loaded() -> tuple[Plugin, ...]:
    """The plug-ins that this process has used so far."""
    return tuple(_LOADED)


def involved(error: BaseException) -> Iterator[Plugin]:
    """The loaded plug-ins whose code an error came through: it, or one that led to it."""
    packages = set(_packages(error))
    yield from (plugin for plugin, own in _LOADED.items() if own & packages)


def _packages(error: BaseException | None) -> Iterator[str]:
    """Top-level names of the packages whose frames an error and its causes went through."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            yield _top(str(trace.tb_frame.f_globals.get("__name__", "")))
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def _top(module: str) -> str:
    return module.partition(".")[0]


def forget() -> None:
    """Look again for what is installed, for tests and notebooks that install something while they run."""
    found.cache_clear()
    _LOADED.clear()
    sys.path_importer_cache.clear()
