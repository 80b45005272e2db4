"""Entries of the literal tables that come from outside the package.

A plugin is a Python module with tables of its own, named as ours are: TASKS, MODELS,
ACTIVATIONS, LOSSES, OPTIMIZERS, ORDER_PARAMETERS. `load` imports one because a user
asked for it, `load_installed` those installed under the entry point group
`grokmap.plugins` that a sweep to be trained names, and `register` takes the tables of a
notebook. Nothing else makes a plugin's code run.

A plugin has a version: its `__version__`, else a hash of its source. Runs that are
trained with an entry of a plugin carry "NAME VERSION" in their identity.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib.abc import SourceLoader
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from grokmap import disk
from grokmap.errors import SpecError, short
from grokmap.losses import LOSSES
from grokmap.models import ACTIVATIONS, MODELS, Activation, Model
from grokmap.optimizers import OPTIMIZERS, Optimizer
from grokmap.order_parameters import ALWAYS, COSTS, ORDER_PARAMETERS, OrderParameter
from grokmap.spec.words import CHOSEN_CONTROLS, SYSTEM_SIZES, Combination
from grokmap.tasks import TASKS, Task

GROUP = "grokmap.plugins"
MAX_SOURCE_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}", re.ASCII)
_PLUGIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{0,63}", re.ASCII)
# Columns of trajectories and maps that are no recorded quantity.
_RESERVED = ("run_id", "step", "delay_ratio", *ALWAYS)


class Table(NamedTuple):
    """A table that plugins may add to.

    attribute: what a plugin module calls it; entries: ours, which grows; kind: of its
    values, for messages and checks (None: any function).
    """

    attribute: str
    entries: dict[str, Any]
    kind: type | None


# By the key of a sweep that chooses from it.
TABLES: dict[str, Table] = {
    "task": Table("TASKS", TASKS, Task),
    "model": Table("MODELS", MODELS, Model),
    "activation": Table("ACTIVATIONS", ACTIVATIONS, Activation),
    "loss": Table("LOSSES", LOSSES, None),
    "optimizer": Table("OPTIMIZERS", OPTIMIZERS, Optimizer),
    "order_parameters": Table("ORDER_PARAMETERS", ORDER_PARAMETERS, OrderParameter),
}


class Plugin(NamedTuple):
    """What was registered under one name; entries: by key of `TABLES`, then by name."""

    name: str
    version: str
    entries: dict[str, dict[str, Any]]

    @property
    def label(self) -> str:
        """NAME VERSION, as it stands in resolved sweeps and in identities."""
        return f"{self.name} {self.version}"


LOADED: dict[str, Plugin] = {}


def register(
    name: str, version: str, entries: Mapping[str, Mapping[str, Any]]
) -> Plugin:
    """Adds a plugin's entries to the tables; the same plugin again changes nothing.

    Args:
      name: of the plugin, as sweeps name it.
      version: changes whenever what it trains changes.
      entries: by key of `TABLES`, then by name.

    Raises:
      SpecError: an entry of another type, a name that is no plain word or is taken, or
        another plugin of this name; nothing is added then.
    """
    given = {key: dict(entries[key]) for key in TABLES if entries.get(key)}
    plugin = Plugin(name, version, given)
    before = LOADED.get(name)
    if before is not None and before == plugin:
        return before
    problems = list(_problems(plugin))
    if before:
        problems.append(
            f"plugin {name!r}: registered before, as version {before.version}, with "
            "other entries; start a new process to change it"
        )
    if problems:
        raise SpecError(problems)
    for key, added in given.items():
        TABLES[key].entries.update(
            {k: _on_request(entry) for k, entry in added.items()}
        )
    LOADED[name] = plugin
    return plugin


def _on_request(entry: Any) -> Any:
    """An order parameter of a plugin is recorded only where a sweep names it: else
    loading it would change what other sweeps record, and their run ids."""
    if isinstance(entry, OrderParameter):
        return entry._replace(on_request=True)
    return entry


def _problems(plugin: Plugin) -> Iterable[str]:
    if not _PLUGIN.fullmatch(plugin.name):
        yield (
            f"plugin {short(repr(plugin.name))}: a name has letters, digits, '_', '.' "
            "and '-' only, begins with a letter or '_', and is at most 100 long"
        )
    if not isinstance(plugin.version, str) or not _VERSION.fullmatch(plugin.version):
        yield (
            f"plugin {plugin.name}: version {short(repr(plugin.version))}: a text of "
            "letters, digits, '.', '_', '+', '!' and '-', such as '1.0'"
        )
    if not plugin.entries:
        known = ", ".join(table.attribute for table in TABLES.values())
        yield f"plugin {plugin.name}: has no entry; give one of {known}"
    for key, added in plugin.entries.items():
        for name, entry in added.items():
            where = f"plugin {plugin.name}: {TABLES[key].attribute}[{name!r}]"
            for problem in (*_name_problems(key, name), *_entry_problems(key, entry)):
                yield f"{where}: {problem}"


def _name_problems(key: str, name: Any) -> Iterable[str]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield (
            "a name has letters, digits and '_' only, begins with a letter, and is at "
            "most 60 long"
        )
    elif key == "order_parameters" and name in _RESERVED:
        yield "is the name of a column that every result has; choose another"
    elif name in TABLES[key].entries:
        other = origin(key, name)
        of = f"plugin {other}" if other else "grokmap itself"
        yield f"the name is taken by {of}; choose another"


def _entry_problems(key: str, entry: Any) -> Iterable[str]:
    kind = TABLES[key].kind
    if kind is None:
        if not callable(entry):
            yield f"a function, not {short(repr(entry))}"
        return
    if not isinstance(entry, kind):
        given = short(repr(entry))
        yield f"a {kind.__module__.rpartition('.')[0]}.{kind.__name__}, not {given}"
        return
    if isinstance(entry, OrderParameter) and entry.cost not in COSTS[1:]:
        known = " or ".join(COSTS[1:])
        yield f"cost {short(repr(entry.cost))}: {known}"
    for field, keys in (("sizes", SYSTEM_SIZES), ("controls", CHOSEN_CONTROLS)):
        for word in getattr(entry, field, ()):
            if word not in keys:
                given = short(repr(word))
                yield f"{field}: no such key {given}; known: {', '.join(keys)}"


def origin(key: str, name: str) -> str:
    """The plugin that an entry comes from; empty where it is one of ours."""
    for plugin in LOADED.values():
        if name in plugin.entries.get(key, {}):
            return plugin.name
    return ""


def used(names: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """NAME VERSION of the plugins that some names come from.

    names: by key of `TABLES`; other keys are passed over.
    """
    origins = {origin(key, n) for key in TABLES for n in names.get(key, ())} - {""}
    return tuple(LOADED[name].label for name in sorted(origins))


def of_training(chosen: Combination) -> tuple[str, ...]:
    """NAME VERSION of the plugins whose entries runs of a combination train with."""
    if not LOADED:
        return ()
    return used({key: (name,) for key, name in chosen._asdict().items()})


def missing(labels: Iterable[str]) -> list[str]:
    """A line for each plugin that a sweep needs and that is not loaded as it needs it.

    labels: NAME or NAME VERSION.
    """
    problems = []
    for label in labels:
        name, _, version = label.partition(" ")
        plugin = LOADED.get(name)
        if plugin is None:
            wanted = f" (version {version})" if version else ""
            problems.append(
                f"needs the plugin {name!r}{wanted}, which is not loaded; give "
                "--plugin and the path of its file, or the name of its module"
            )
        elif version and version != plugin.version:
            problems.append(
                f"needs the plugin {name!r} as version {version}, and version "
                f"{plugin.version} is loaded; its runs would be others: give "
                "--plugin the version it needs, or train into another folder"
            )
    return problems


def load(source: str) -> Plugin:
    """Imports a plugin that the user asked for, and registers its tables.

    source: the path of a .py file; the name of an installed plugin (`GROUP`); or the
      name of a module that can be imported.

    Raises:
      SpecError: it cannot be found, raises, or has no sound table.
    """
    if source.endswith(".py") or "/" in source:
        return _load_file(Path(source))
    for point in _installed():
        if point.name == source:
            return _load_module(source, point.module)
    if not _PLUGIN.fullmatch(source):
        raise SpecError(f"--plugin {short(repr(source))}: {_WAYS}")
    return _load_module(source, source)


_WAYS = (
    "give the path of a .py file, the name of an installed plugin, or the name of a "
    "module that Python can import"
)


def load_installed(labels: Iterable[str]) -> None:
    """Loads those of the plugins a sweep names that are installed (`GROUP`).

    Raises:
      SpecError: as `load`.
    """
    wanted = {label.partition(" ")[0] for label in labels} - LOADED.keys()
    for point in _installed() if wanted else ():
        if point.name in wanted:
            _load_module(point.name, point.module)


def _installed() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


class _Source(SourceLoader):
    """A module from bytes that were read once: what is hashed is what runs."""

    def __init__(self, file: Path, data: bytes) -> None:
        self.file, self.data = file, data

    def get_filename(self, fullname: str) -> str:
        return str(self.file)

    def get_data(self, path: str | bytes) -> bytes:
        return self.data


def _load_file(file: Path) -> Plugin:
    name = file.stem
    try:
        data = disk.read_bytes(file, MAX_SOURCE_BYTES)
    except (OSError, ValueError) as error:
        raise SpecError(
            f"--plugin {short(str(file))}: cannot be read: {disk.reason(error)}"
        ) from None
    # Not under its bare name, which may be that of another module.
    spec = spec_from_loader(f"grokmap_plugin_{name}", _Source(file, data))
    assert spec is not None
    module = module_from_spec(spec)
    version = _source_version([data])
    before = LOADED.get(name)
    if before and sys.modules.get(spec.name) and before.version == version:
        return before
    sys.modules[spec.name] = module  # flax and dataclasses look modules up there
    _run(name, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    return _registered(name, module, version)


def _load_module(name: str, module: str) -> Plugin:
    imported = _run(name, lambda: importlib.import_module(module))
    return _registered(name, imported, _source_version(_sources(imported)))


def _run(name: str, run: Callable[[], Any]) -> Any:
    """What runs a plugin's own code; an error in it is one line.

    Raises:
      SpecError: naming the file and the line.
    """
    try:
        return run()
    except SpecError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            what = f"no module {error.name!r}"
            raise SpecError(f"--plugin {name}: {what}; {_WAYS}") from None
        raise SpecError(f"plugin {name}: {_place(error)}") from None
    except Exception as error:
        raise SpecError(f"plugin {name}: {_place(error)}") from None


def _place(error: Exception) -> str:
    """FILE, line N: the error, by the innermost line outside of libraries."""
    what = f"{type(error).__name__}: {disk.reason(error)}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: SyntaxError: {error.msg}"
    here = Path(__file__).parent
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", str(here)))
        and not {"importlib", "site-packages"} & set(Path(frame.filename).parts)
    ]
    if not frames:
        return what
    return f"{frames[-1].filename}, line {frames[-1].lineno}: {what}"


def _sources(module: ModuleType) -> list[bytes]:
    """The source of a module; of a package, that of all its modules."""
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return []
    files = [Path(file)]
    if hasattr(module, "__path__"):
        files = sorted(Path(file).parent.rglob("*.py"))
    return [path.read_bytes() for path in files]


def _source_version(sources: list[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for source in sources:
        digest.update(len(source).to_bytes(8, "big") + source)
    return f"source-{digest.hexdigest()}" if sources else ""


def _registered(name: str, module: ModuleType, source: str) -> Plugin:
    entries: dict[str, Any] = {}
    for key, table in TABLES.items():
        added = vars(module).get(table.attribute, {})
        if not isinstance(added, Mapping):
            given = short(repr(added))
            raise SpecError(f"plugin {name}: {table.attribute}: a dict, not {given}")
        # A plugin may import one of our tables to look at it.
        entries[key] = {} if added is table.entries else added
    return register(name, getattr(module, "__version__", source), entries)
