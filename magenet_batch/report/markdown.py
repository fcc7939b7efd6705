"""The report for chats and notes: Markdown with the main numbers."""

from __future__ import annotations

from magenet_batch.records.schema import FIDELITY_MEASURES, QUALITY_MEASURES
from magenet_batch.records.vocabulary import GRADES
from magenet_batch.report.advice import next_steps
from magenet_batch.report.limits import limit_text
from magenet_batch.report.text import speed
from magenet_batch.report.totals.totals import BETTER, ReportTotals
from magenet_batch.report.words import number, percent, visible, words


def to_markdown(found: ReportTotals) -> str:
    """A page of Markdown: what became of the archive, what to do next, then the main numbers."""
    outcome = found.outcome
    first, *others = outcome.lines() or ["No images yet."]
    lines = [f"# {found.title}", "", f"**{first}**", ""]
    lines += [line if line[0] != " " else f"- {line.strip()}" for line in others]
    steps = next_steps(found)
    if steps:
        lines += ["", "## What to do next", ""]
    for place, step in enumerate(steps, 1):
        # a folder's name is the only text from files in it
        lines.append(f"{place}. {_plain(step.text)}")
        lines += [f"   - {_cell(name)}" for name in step.images]
    lines += _grade_lines(found)
    if found.failures:
        lines += ["", "| failed because | images | for example |", "| --- | ---: | --- |"]
        for reason, failure in sorted(found.failures.items(), key=lambda f: -f[1].count):
            example = _cell(failure.examples[0][0]) if failure.examples else ""
            lines.append(f"| {_plain(words(reason))} | {failure.count:,} | {example} |")
    if found.flags:
        lines += ["", "| flag | images |", "| --- | ---: |"]
        lines += [f"| {_plain(words(f))} | {count:,} |" for f, count in found.flags.most_common()]
    lines += _expert_lines(found)
    fast = speed(found)
    names = ", ".join(f"{_plain(n)} ({h})" for n, h in sorted(found.weights))
    lines += ["", f"Weights: {names or '–'}. Version: {', '.join(sorted(found.versions)) or '–'}."]
    if fast["seconds"]:
        lines.append(
            f"{fast['seconds']:,.0f} s, {number(fast['images_per_s'])} images/s, "
            f"{number(fast['megapixels_per_s'])} megapixels/s."
        )
    lines += ["", "For research. Not a medical device."]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that may come from files, with nothing in it that Markdown takes for markup."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#!" else c for c in visible(text))


def _cell(text: str) -> str:
    """A name inside a Markdown table: as code, so that nothing in it is markup."""
    clean = visible(text).replace("|", "\\|").replace("`", "'")
    return f"`{clean if len(clean) <= 120 else clean[:117] + '...'}`"


def _grade_lines(found: ReportTotals) -> list[str]:
    """Grades before against grades as delivered; nothing without grades."""
    before = found.grades.before
    if found.assessed_only and before.total():
        total = before.total()
        lines = ["", "| grade | images | share |", "| --- | ---: | ---: |"]
        return lines + [f"| {g} | {before[g]:,} | {percent(before[g] / total)} |" for g in GRADES]
    flow = found.grades.flow
    if not flow:
        return []
    lines = ["", f"| grade before | {' | '.join(GRADES)} |", "| --- |" + " ---: |" * len(GRADES)]
    for grade in GRADES:
        cells = " | ".join(f"{flow[grade, after]:,}" for after in GRADES)
        lines.append(f"| {grade} | {cells} |")
    return lines


def _expert_lines(found: ReportTotals) -> list[str]:
    """Medians of all measures, with their limits."""
    lines = ["", "## For experts"]
    if found.assessed_only:
        lines += ["", "| quality (median) | |", "| --- | ---: |"]
        lines += [
            f"| {words(name)} | {number(found.before[name].quantile(0.5))} |"
            for name in QUALITY_MEASURES
        ]
        return lines
    lines += [
        "",
        "| quality (median) | before | after | better in |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in QUALITY_MEASURES:
        better, compared = found.better[name]
        share = percent(better / compared) if compared and name in BETTER else "–"
        medians = [number(h[name].quantile(0.5)) for h in (found.before, found.after)]
        lines.append(f"| {words(name)} | {medians[0]} | {medians[1]} | {share} |")
    lines += ["", "| fidelity | unit | median | 5 % | 95 % | limit |",
              "| --- | --- | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for name, (unit, _) in FIDELITY_MEASURES.items():
        h = found.fidelity[name]
        values = " | ".join(number(h.quantile(q)) for q in (0.5, 0.05, 0.95))
        lines.append(f"| {words(name)} | {unit} | {values} | {limit_text(name) or '–'} |")
    return lines
