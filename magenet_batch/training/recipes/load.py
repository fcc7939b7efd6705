"""Read recipes: TOML, inheritance, changes from the command line, helpful errors."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from magenet_batch.errors import RecipeError, nearest
from magenet_batch.models.config import SIZES
from magenet_batch.models.restoration.config import RESTORATION_SIZES
from magenet_batch.training.recipes.schema import ARCHITECTURES, Recipe, RestorationRecipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Tables = dict[str, Any]

_FREE_TO_CHANGE = {
    "run": {"output", "device", "threads", "loaders", "name", "parts"},
    "schedule": {"steps", "minutes"},
    "sensor": {"steps", "minutes"},
    "light": {"steps", "minutes"},
    "validation": None,
}
"""Keys that may change when a run is resumed."""

_TABLES = {table for kind in ARCHITECTURES.values() for table in kind.model_fields}


def load_recipe(path: Path | str, *, changes: Sequence[str] = ()) -> Recipe:
    """Read and validate a recipe.

    Args:
        path: a TOML file, or the name of a shipped recipe such as `small`. Its key `extends` names
            another recipe, relative to it, whose tables it overrides.
        changes: `table.key=value` with a TOML value, applied last; text needs no quotes.

    Returns:
        The validated recipe.

    Raises:
        RecipeError: the recipe is invalid; the message says where, and suggests the nearest
            spelling.
    """
    path = find_recipe(path)
    tables = _read(path, seen=())
    for change in changes:
        _apply_change(tables, change)
    model = tables.setdefault("model", {})
    if not isinstance(model, dict):
        raise RecipeError(f"{path}: model is a table: write [model] and its keys below")
    architecture = model.get("architecture") or _architecture_of(model.get("size"))
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        hint = nearest(str(architecture), ARCHITECTURES)
        raise RecipeError(f"{path}: model.architecture = {architecture!r}: {hint}")
    kind = ARCHITECTURES[architecture]
    sizes = RESTORATION_SIZES if kind is RestorationRecipe else SIZES
    size = model.setdefault("size", "small")
    if not isinstance(size, str) or size not in sizes:
        raise RecipeError(f"{path}: model.size = {size!r}: {nearest(str(size), sizes)}")
    defaults = {
        k: v.model_dump() if isinstance(v, BaseModel) else v for k, v in sizes[size].items()
    }
    tables["model"] = _switched_off(_merged(defaults, tables["model"]), kind)
    try:
        return kind.model_validate_json(json.dumps(tables))
    except ValidationError as error:
        said = "; ".join(_explain(e, kind) for e in error.errors())
        raise RecipeError(f"{path}: {said}") from error


def _architecture_of(size: Any) -> str:
    """Architecture that a size belongs to, if only one has it."""
    return "unet" if size == "unet" else "magenet"


def fingerprint(recipe: Recipe) -> str:
    """Hash of everything that must not change for a run to be resumed."""
    tables = recipe.model_dump(mode="json")
    for table, keys in _FREE_TO_CHANGE.items():
        if table not in tables:
            continue
        for key in keys if keys is not None else list(tables[table]):
            tables[table].pop(key, None)
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()[:16]


def shipped_recipes() -> dict[str, Path]:
    """The recipes in the package, by name."""
    package = Path(__file__).parent
    folder = package / "shipped"  # in an installed package
    if not folder.is_dir():
        folder = package.parents[2] / "recipes"  # in a checkout
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_recipe(path: Path | str) -> Path:
    """Path of a recipe given by file or by shipped name.

    Raises:
        RecipeError: there is neither.
    """
    wanted = Path(path)
    if wanted.is_file():
        return wanted
    shipped = shipped_recipes()
    if wanted.stem in shipped and wanted.parent in (Path(), Path("recipes")):
        return shipped[wanted.stem]
    raise RecipeError(f"no recipe {wanted}; {nearest(wanted.stem, shipped)}")


def _read(path: Path, *, seen: tuple[Path, ...]) -> Tables:
    if path.resolve() in seen:
        raise RecipeError(f"{path}: 'extends' is circular")
    try:
        tables: Tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise RecipeError(f"{path} cannot be read as TOML: {error}") from error
    parent = tables.pop("extends", None)
    if parent is None:
        return tables
    if not isinstance(parent, str) or not (path.parent / parent).is_file():
        raise RecipeError(f"{path}: extends = {parent!r} file not found next to this recipe")
    return _merged(_read(path.parent / parent, seen=(*seen, path.resolve())), tables)


def _merged(below: Tables, above: Tables) -> Tables:
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def _switched_off(model: Tables, kind: type[BaseModel]) -> Tables:
    """Replace `false` by None for parts of a network, because TOML has no null."""
    fields = (table_in(kind.model_fields["model"].annotation) or kind).model_fields
    parts = {name for name, field in fields.items() if table_in(field.annotation)}
    return {key: None if value is False and key in parts else value for key, value in model.items()}


def _apply_change(tables: Tables, change: str) -> None:
    name, equals, text = change.partition("=")
    table, dot, key = name.strip().partition(".")
    if not equals or not dot:
        raise RecipeError(f"--set {change}: use the form TABLE.KEY=VALUE")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, KeyError, RecursionError):
        value = text.strip()
    *path, last = key.split(".")
    into = tables.setdefault(table, {})
    for part in path:
        into = into.setdefault(part, {}) if isinstance(into, dict) else None
    if not isinstance(into, dict):
        raise RecipeError(f"--set {change}: no table for '{last}'")
    into[last] = value


def _explain(error: Any, kind: type[BaseModel]) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "value_error":
        said = str(error["ctx"]["error"])
        return f"{where}: {said}" if where else said
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}"
    if where in _TABLES - kind.model_fields.keys():
        architectures = [name for name, other in ARCHITECTURES.items() if other is kind]
        return f"{where}: no table of architecture {' or '.join(map(repr, architectures))}"
    model = kind
    for part in error["loc"][:-1]:
        if part in model.model_fields:
            model = table_in(model.model_fields[part].annotation) or model
    return f"{where}: unknown key; {nearest(str(error['loc'][-1]), model.model_fields)}"


def table_in(annotation: Any) -> type[BaseModel] | None:
    """Model of the table at a key, even if it can be switched off; None for a plain value."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None
