"""What the pages say is there, is there; what is there, the pages say."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from fuzz_images import FILES
from pydantic import BaseModel
from test_layers import LAYERS

from magenet_batch.degradation import KINDS, PRESETS
from magenet_batch.errors import REASONS
from magenet_batch.imaging.formats import FORMATS
from magenet_batch.imaging.formats.base import ALWAYS_ALLOWED, PIXELS_PER_BYTE
from magenet_batch.imaging.metadata import MetadataPolicy
from magenet_batch.jobs.policy import FLAGS, LOW_AGREEMENT_BELOW, flags_for
from magenet_batch.models.build import build_network
from magenet_batch.models.config import SIZES, magenet_config
from magenet_batch.quality.fidelity import LIMITS
from magenet_batch.records.schema import COLUMNS
from magenet_batch.records.vocabulary import STATUSES
from magenet_batch.settings import MAX_PIXELS
from magenet_batch.training.recipes.load import shipped_recipes
from magenet_batch.training.recipes.schema import Recipe

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_column_is_described_and_no_other():
    described = page("docs/rows.md").split("## ")[0]
    wanted = [f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} |" for c in COLUMNS]
    assert [line for line in described.splitlines() if line.startswith("| `")] == wanted


def test_every_status_reason_and_flag_is_described():
    worst = {
        "vessel_new": 1,
        "vessel_lost": 1,
        "lesion_new": 9,
        "lesion_lost": 9,
        "colour_shift": 99,
        "structure_agreement": 0,
    }
    words = {"Status": STATUSES, "Reasons": REASONS, "Flags": flags_for(worst)}
    for title, expected in words.items():
        section = page("docs/rows.md").split(f"## {title}\n")[1].split("\n## ")[0]
        assert tuple(re.findall(r"^\| `(\w+)`", section, re.M)) == tuple(expected)


def test_every_flag_states_the_limits_that_raise_it():
    section = page("docs/rows.md").split("## Flags\n")[1].split("\n## ")[0]
    for flag, measures in FLAGS.items():
        row = next(line for line in section.splitlines() if line.startswith(f"| `{flag}`"))
        stated = dict(re.findall(r"`(\w+)` (?:is )?above ([\d.]+)", row))
        assert {name: float(limit) for name, limit in stated.items()} == {
            name: LIMITS[name] for name in measures
        }
    assert f"below {LOW_AGREEMENT_BELOW:g} |" in section


def keys(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Keys of a table with their defaults; tables inside it are written with a dot."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys(inner, f"{prefix}{name}.")
        else:
            found[prefix + name] = field.default
    return found


@pytest.mark.parametrize("table", sorted(Recipe.model_fields))
def test_every_recipe_key_is_described_with_its_default(table: str):
    section = page("docs/recipes.md").split(f"## `[{table}]`\n")[1].split("\n## ")[0]
    described = dict(re.findall(r"^\| `([\w.]+)` \| `(.*?)` \| \S", section, re.M))
    model = Recipe.model_fields[table].annotation
    assert model is not None
    assert described == {key: json.dumps(value) for key, value in keys(model).items()}


def test_choices_of_recipe_keys_are_named():
    text = page("docs/recipes.md")
    run = Recipe.model_fields["run"].annotation
    assert run is not None
    choices = [
        *PRESETS, *KINDS, *SIZES, *shipped_recipes(),
        *get_args(run.model_fields["device"].annotation),
        *get_args(run.model_fields["precision"].annotation),
    ]  # fmt: skip
    assert [word for word in choices if f"`{word}`" not in text] == []


def test_every_part_has_its_place_on_the_architecture_page():
    text = page("docs/architecture.md")
    diagram = text.split("```")[1]
    assert [part for part in LAYERS if not re.search(rf"\b{part}\b", diagram)] == []
    assert [p for p in LAYERS if not re.search(rf"^\|.*`{p}`", text, re.M)] == []


def test_every_kind_of_degradation_has_its_formula():
    section = page("docs/method.md").split("## Degradation\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| (\w+) \| .*\w", section, re.M)) - {"kind"} == set(KINDS)


def test_sizes_on_the_method_page_are_counted():
    text = page("docs/method.md")
    for size in SIZES:
        network = build_network(magenet_config(size))
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        assert f"| `{size}` | {millions:.2f} | {network.reach} |" in text


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(path: Path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{path.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{path.name} links to {link}"


def anchors(target: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_format_and_policy_is_described():
    text = page("docs/formats.md")
    read = text.split("## Read and written\n")[1].split("\n- ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", read, re.M)) == {found.name for found in FORMATS}
    policies = text.split("## Metadata\n")[1].split("\n- ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", policies, re.M)) == get_args(MetadataPolicy)
    assert f"{PIXELS_PER_BYTE:,} pixels per byte" in text
    assert f"{MAX_PIXELS // 10**6} million pixels" in text
    assert f"above {ALWAYS_ALLOWED // 10**6} million" in text
    assert f"the test suite reads {FILES:,}" in text
