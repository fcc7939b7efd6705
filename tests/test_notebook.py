"""The example notebook runs, and what is committed of it is small and in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebooks" / "enhance.ipynb"


def test_the_notebook_is_committed_with_its_outputs_and_small():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] for cell in code[1:])
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [output["output_type"] for cell in code for output in cell["outputs"]]
    assert "error" not in kinds
    assert sum("text/html" in o.get("data", {}) for cell in code for o in cell["outputs"]) == 2
    assert NOTEBOOK.stat().st_size < 300_000
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "/home/" not in text and "/tmp/" not in text and "/root/" not in text


@pytest.mark.slow
def test_the_notebook_runs(monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    package = str(NOTEBOOK.parents[2])
    monkeypatch.setenv("PYTHONPATH", package)  # the checkout, wherever the kernel is installed
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=280, kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    ).execute()  # fmt: skip
    (shown,) = [o for o in notebook.cells[3].outputs if o.output_type == "execute_result"]
    assert shown["data"]["text/html"].count("<img") == 2
