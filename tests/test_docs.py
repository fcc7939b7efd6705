"""What the pages say is there, is there; what is there, the pages say."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from fuzz_images import FILES
from pydantic import BaseModel
from test_layers import LAYERS

from magenet_batch.degradation import KINDS as KINDS_OF_DEGRADATION
from magenet_batch.degradation import PRESETS
from magenet_batch.dicomweb.server import PAGE, PHOTOGRAPHS
from magenet_batch.errors import REASONS
from magenet_batch.imaging.formats import FORMATS
from magenet_batch.imaging.formats.base import ALWAYS_ALLOWED, PIXELS_PER_BYTE
from magenet_batch.imaging.metadata import MetadataPolicy
from magenet_batch.jobs.policy import (
    FADED,
    FLAGS,
    LOW_AGREEMENT_BELOW,
    POLICIES,
    THRESHOLDS,
    flags_for,
)
from magenet_batch.models.build import build_network
from magenet_batch.models.config import SIZES, magenet_config
from magenet_batch.models.restoration.config import RESTORATION_SIZES, RestorationConfig
from magenet_batch.quality.limits import LEAST, LEAST_SEEN, LIMITS, MOST
from magenet_batch.records.schema import COLUMNS
from magenet_batch.records.vocabulary import STATUSES
from magenet_batch.settings import MAX_PIXELS
from magenet_batch.training.config import PARTS, RunConfig
from magenet_batch.training.recipes.load import shipped_recipes, table_in
from magenet_batch.training.recipes.schema import (
    ARCHITECTURES,
    AffineRecipe,
    RestorationRecipe,
)

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
        "wrong_colour": 99,
        "structure_agreement": 0,
        "new_structure": 9,
        "darkened": 1,
        **dict.fromkeys(FADED.values(), 0),
        "grade_before": "good",
        "grade_after": "reject",
    }
    recognised = ("not_colour", "not_fundus", "several_fields")
    words = {"Status": STATUSES, "Reasons": REASONS, "Flags": (*flags_for(worst), *recognised)}
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
    for flag, name in FADED.items():
        assert f"| `{flag}` | `{name}` is below {LEAST[name]:g} |" in section
    for flag, name in {"invented": "new_structure", "darkened": "darkened"}.items():
        assert f"| `{flag}` | `{name}` is above {MOST[name]:g} |" in section
    assert f"`vessels_seen` is below {LEAST_SEEN:g}" in section


def test_every_policy_is_described_with_its_thresholds():
    section = page("docs/quality.md").split("## Policy\n")[1].split("\n## ")[0]
    for name, policy in POLICIES.items():
        cells = [getattr(policy, t) for t in THRESHOLDS]
        said = " | ".join("off" if cell is None else f"{cell:g}" for cell in cells)
        assert f"| `{name}` | {said} |" in section


def flat(table: dict[str, object], model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Keys of a table with their values; tables inside it are written with a dot."""
    found: dict[str, object] = {}
    for name, value in table.items():
        inner = table_in(model.model_fields[name].annotation)
        if inner is not None and isinstance(value, dict):
            found |= flat(value, inner, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


KINDS = {"magenet": RestorationRecipe, "affine` and `unet": AffineRecipe}
TABLES = [(kind, table) for kind, recipe in KINDS.items() for table in recipe.model_fields]


def sections(title: str) -> dict[str, str]:
    """Tables below a heading of the recipes page, by name."""
    part = page("docs/recipes.md").split(f"\n# {title}\n")[1].split("\n# ")[0]
    named = re.split(r"^## `\[(\w+)\]`\n", part, flags=re.M)[1:]
    return dict(zip(named[::2], named[1::2], strict=True))


@pytest.mark.parametrize(("kind", "table"), TABLES)
def test_every_recipe_key_is_described_with_its_default(kind: str, table: str):
    own, common = sections(f"Tables of `{kind}`"), sections("Tables of every recipe")
    assert not own.keys() & common.keys()
    section = (own | common)[table]
    described = re.findall(r"^\| `([\w.]+)` \| `(.*?)` \| \S", section, re.M)
    recipe = KINDS[kind]
    model = table_in(recipe.model_fields[table].annotation)
    assert model is not None
    defaults = flat(json.loads(recipe().model_dump_json())[table], model)
    assert described == [(key, json.dumps(value)) for key, value in defaults.items()]


@pytest.mark.parametrize("kind", KINDS)
def test_no_table_is_described_that_is_not_there(kind: str):
    described = sections(f"Tables of `{kind}`") | sections("Tables of every recipe")
    assert described.keys() == KINDS[kind].model_fields.keys()


def test_choices_of_recipe_keys_are_named():
    text = page("docs/recipes.md")
    run = RunConfig.model_fields
    choices = [
        *PRESETS, *KINDS_OF_DEGRADATION, *SIZES, *RESTORATION_SIZES, *shipped_recipes(), *PARTS,
        *ARCHITECTURES, *get_args(run["device"].annotation), *get_args(run["precision"].annotation),
    ]  # fmt: skip
    assert [word for word in choices if f"`{word}`" not in text] == []


def test_every_part_has_its_place_on_the_architecture_page():
    text = page("docs/architecture.md")
    diagram = text.split("```")[1]
    assert [part for part in LAYERS if not re.search(rf"\b{part}\b", diagram)] == []
    assert [p for p in LAYERS if not re.search(rf"^\|.*`{p}`", text, re.M)] == []


def test_every_kind_of_degradation_has_its_formula():
    section = page("docs/method.md").split("## Degradation\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| (\w+) \| .*\w", section, re.M)) - {"kind"} == set(
        KINDS_OF_DEGRADATION
    )


def test_sizes_on_the_pages_of_networks_are_counted():
    affine, restoring = page("docs/affine.md"), page("docs/method.md")
    for size in SIZES:
        network = build_network(magenet_config(size))
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        assert f"| `{size}` | {millions:.2f} | {network.reach} |" in affine
    for size, parts in RESTORATION_SIZES.items():
        network = build_network(RestorationConfig(size=size, **parts))
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        assert f"| `{size}` | {millions:.2f} |" in restoring


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


def test_instances_of_the_described_classes_are_listed():
    text = page("docs/dicom-conformance.md")
    classes = text.split("## Read\n")[1].split("| transfer syntax")[0]
    assert tuple(re.findall(r"^\|.*\| ([\d.]+) \|$", classes, re.M)) == PHOTOGRAPHS
    assert f"pages of {PAGE:,}" in text


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
