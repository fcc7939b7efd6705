"""A new kind is one new file and one line of the registry; published samples stay."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import magenet_batch
from magenet_batch.degradation.registry import KINDS, REGISTRY, WAY_OF_LIGHT, kind_called
from magenet_batch.errors import UsageError

VIGNETTE = '''
"""A toy: the picture loses a share of its light."""

from dataclasses import dataclass

from magenet_batch.degradation.kinds.base import SHARE, Kind, column, span


@dataclass(frozen=True, kw_only=True)
class Dimmed:
    dimmed: float = 0.0


KIND = Kind(
    name="dimmed",
    place=45,
    present=lambda p: p.dimmed > 0,
    sample=lambda rng, severity: Dimmed(dimmed=span(rng, severity, 0.1, 0.5)),
    apply=lambda x, params, height: x * (1 - column(params, "dimmed", x)),
    losses=lambda p: (p.dimmed,),
    limits={"dimmed": SHARE},
    whole=False,
)
'''

SCRIPT = """
import json
import sys
from dataclasses import replace
import numpy as np
import torch
from magenet_batch.degradation import KINDS, DegradationParams, preset, sample_degradation
from magenet_batch.degradation.apply import apply_degradation
from magenet_batch.degradation.severity import severity

assert KINDS[2] == "dimmed" and len(KINDS) == 12, KINDS
how = preset("evaluation:dimmed")
params = sample_degradation(np.random.default_rng(1), how)
assert params.kinds() == ("dimmed",) and params.dimmed > 0.1
assert DegradationParams.from_record(params.to_record()) == params
x = torch.full((1, 3, 8, 8), 0.5)
got = apply_degradation(x, [params], mask_B1HW=torch.ones(1, 1, 8, 8), height=99)
assert torch.allclose(got, x * (1 - params.dimmed))
assert abs(severity(params) - params.dimmed) < 1e-9
try:
    DegradationParams(dimmed=2.0)
except ValueError as error:
    assert "dimmed" in str(error)
else:
    raise AssertionError("not refused")
drawn = sample_degradation(np.random.default_rng(3), preset("evaluation"))
print(drawn.to_record())
"""


def test_a_new_kind_is_a_file_and_a_line(tmp_path: Path):
    package = Path(magenet_batch.__file__).parent
    copy = tmp_path / "magenet_batch"
    copy.mkdir()
    for name in ("__init__.py", "errors.py"):
        shutil.copy(package / name, copy / name)
    shutil.copytree(package / "degradation", copy / "degradation")
    (copy / "degradation/kinds/dimmed.py").write_text(VIGNETTE)
    registry = copy / "degradation/registry.py"
    text = registry.read_text(encoding="utf-8")
    text = text.replace("    colour,\n", "    colour,\n    dimmed,\n", 1)  # its import
    text = text.replace("    halo.Halo,\n", "    dimmed.Dimmed,\n    halo.Halo,\n", 1)
    registry.write_text(text, encoding="utf-8")

    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

    import json

    import numpy as np

    from magenet_batch.degradation import preset, sample_degradation

    here = sample_degradation(np.random.default_rng(3), preset("evaluation"))
    there = json.loads(done.stdout)
    assert there.pop("dimmed") == 0
    assert there == json.loads(here.to_record())


def test_kinds_are_listed_as_reports_have_them_and_happen_as_light_does():
    assert KINDS == (
        "colour", "gradient", "halo", "hole", "blur", "spots", "haze", "yellow", "noise", "jpeg",
        "scatter",
    )  # fmt: skip
    assert [kind.name for kind in WAY_OF_LIGHT] == [
        "blur", "yellow", "scatter", "haze", "gradient", "halo", "hole", "spots", "colour", "noise",
        "jpeg",
    ]  # fmt: skip


def test_every_field_of_a_kind_is_checked():
    for kind in REGISTRY:
        fields = kind_called(kind.name).sample.__annotations__["return"]
        names = vars(sys.modules[kind.sample.__module__])[fields].__dataclass_fields__
        assert set(names) == {*kind.limits, *kind.choices, *kind.decode}, kind.name


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'haze'"):
        kind_called("hase")
