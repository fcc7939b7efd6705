"""The verdict says what the numbers say."""

import pytest

from magenet_batch.evaluation.summary import numbers, sheets
from magenet_batch.evaluation.table import Table
from magenet_batch.evaluation.verdict import verdict


def table_of(gains, *, preset="evaluation", rival=-1.0):
    table = Table()
    for image, gain in enumerate(gains):
        for method, value in (("identity", 20.0), ("clahe", 20 + rival), ("magenet", 20 + gain)):
            table.add({"psnr": value, "ssim": 0.5}, part="synthetic", preset=preset,
                      image=str(image), method=method)  # fmt: skip
    return table


@pytest.mark.parametrize(
    ("gains", "headline", "sentence"),
    [
        ([2.0] * 8, "Better than doing nothing.", "+2.00 dB"),
        ([-2.0, -1.0] * 4, "Worse than doing nothing.", "0 closer to the clean image than before"),
        ([1.0, -1.0] * 4, "Not shown to be better than doing nothing.", "on 8 images"),
        ([1.5], "One image is no evidence.", "by 1.50 dB (PSNR), on 1 image (evaluation)"),
    ],
)
def test_the_headline_follows_the_interval(gains, headline, sentence):
    found = verdict(table_of(gains))
    assert found.headline == headline and sentence in found.sentence


def test_one_image_has_no_interval_anywhere():
    table = table_of([1.5])
    assert "interval" not in verdict(table).sentence
    cells = [cell for sheet in sheets(table) for row in sheet.rows for cell in row]
    assert "+1.50 (1 image)" in cells and not [cell for cell in cells if "[" in cell]
    psnr = numbers(table)["synthetic"]["evaluation"]["magenet"]["psnr"]
    assert psnr == {"value": 21.5, "low": None, "high": None, "count": 1}


def test_losses_are_named():
    table = table_of([2.0] * 4, rival=3.0)
    table.rows += table_of([-0.5] * 4, preset="evaluation:blur").rows
    for image in range(3):
        for method, auc, kept in (("identity", 0.95, 1.0), ("magenet", 0.94, 0.9)):
            table.add({"auc": auc}, part="vessels", preset="mild", image=str(image), method=method)
            table.add({"contrast": kept}, part="lesions", preset="mild", image=str(image),
                      method=method)  # fmt: skip
    assert verdict(table).losses == (
        "blur: -0.50 dB against doing nothing, on 4 images.",
        "clahe is closer to the clean image by 1.00 dB, on 4 images.",
        "Vessels are found worse than without enhancement (mild): AUC -0.0100, on 3 images.",
        "Lesions lose contrast (mild): 0.90 of what the input has, in the median; below 0.97 in 3 "
        "of 3 images.",
    )


def test_nothing_lost_is_said():
    assert verdict(table_of([2.0] * 4)).losses == ("Nowhere that was measured.",)


@pytest.mark.parametrize(("decibel", "told"), [(50.0, False), (40.0, True)])
def test_clean_images_that_change_are_told(decibel, told):
    table = table_of([2.0] * 3)
    table.rows += table_of([decibel - 20.0] * 3, preset="clean").rows
    for row in [r for r in table.rows if r.preset == "clean" and r.method == "identity"]:
        table.rows[table.rows.index(row)] = type(row)(**(row.__dict__ | {"value": 60.0}))
    assert any("Clean images" in loss for loss in verdict(table).losses) == told


def test_without_clean_images_nothing_is_claimed():
    table = Table()
    for image in range(4):
        for method, value in (("identity", 0.2), ("magenet", 0.3 if image else 0.1)):
            table.add({"sharpness": value}, part="real", preset="clinic", image=str(image),
                      method=method)  # fmt: skip
    found = verdict(table)
    assert found.headline == "Whether it is better cannot be said without clean images."
    assert found.sentence == "clinic: sharper in 3 of 4 images."
    assert verdict(Table()).sentence == "Give --clean for a verdict."
