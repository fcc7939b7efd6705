"""What the pages say is there, is there; what is there, the pages say."""

import re
from pathlib import Path

import pytest

from magenet_batch.recipes.schema import Recipe
from magenet_batch.schema import COLUMNS

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def test_every_column_is_described():
    page = (ROOT / "docs/rows.md").read_text()
    assert [c.name for c in COLUMNS if f"| `{c.name}` | {c.type} |" not in page] == []


def test_every_recipe_key_is_described():
    page = (ROOT / "docs/recipes.md").read_text()
    for table, field in Recipe.model_fields.items():
        section = page.split(f"## `[{table}]`")[1].split("\n## ")[0]
        missing = [k for k in field.annotation.model_fields if f"| `{k}` |" not in section]
        assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_relative_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
