"""Markdown tables of measured gates; nothing here measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gate_registry import Limits

_FEW = 6  # parts that are shown in a gate's row; if there are more, only those that fail
WORDS = {True: "pass", False: "FAIL", None: "-"}
LIMITS = ("must", "aim")
HEAD = ("gate", "measured", "must", "aim", "verdict", "images", "worst image")


def overview(gates: Mapping[str, Any]) -> str:
    """One row for each gate in Markdown; failing values are bold."""
    lines = [f"| {' | '.join(HEAD[:5])} |", "|" + " --- |" * 5]
    for one in gates.values():
        held = {label: part for label, part in one["parts"].items() if part["must"] is not None}
        if len(held) > _FEW:
            holds = sum(part["holds"] is True for part in held.values())
            failing = {label: part for label, part in held.items() if part["holds"] is False}
            text = "; ".join([f"{holds} of {len(held)}", *_values(failing)])
            limits = [" / ".join(dict.fromkeys(_limits(held, which))) for which in LIMITS]
        else:
            text = "; ".join(_values(held))
            different = [_limits(held, which) for which in LIMITS]
            limits = [" / ".join(x if len(set(x)) > 1 else x[:1]) for x in different]
        lines.append(f"| {' | '.join([_title(one), text, *limits, WORDS[one['holds']]])} |")
    return "\n".join(lines)


def brief(weights: Mapping[str, Mapping[str, Any]]) -> str:
    """One short row for each gate in Markdown: how many of its limits hold, by weights."""
    lines = [f"| gate | {' | '.join(f'`{name}`' for name in weights)} |"]
    lines.append("|" + " --- |" * (1 + len(weights)))
    several = list(weights.values())
    for name, one in several[0].items():
        lines.append(f"| {' | '.join([_title(one), *(_met(gates[name]) for gates in several)])} |")
    return "\n".join(lines)


def _met(one: Mapping[str, Any]) -> str:
    parts = [part for part in one["parts"].values() if part["must"] is not None]
    met = f"{sum(part['holds'] is True for part in parts)} of {len(parts)}"
    return f"{met}, {WORDS[one['holds']]}"


def _title(one: Mapping[str, Any]) -> str:
    return one["title"] + (f" ({one['unit']})" if one["unit"] else "")


def _values(parts: Mapping[str, Any]) -> list[str]:
    texts = {label: shown(part["value"], part["digits"]) for label, part in parts.items()}
    return [
        f"{label} **{text}**" if parts[label]["holds"] is False else f"{label} {text}"
        for label, text in texts.items()
    ]


def _limits(parts: Mapping[str, Any], which: str) -> list[str]:
    return [limits_of(part).text(part[which]) for part in parts.values()]


def limits_of(part: Mapping[str, Any]) -> Limits:
    return Limits(part["sense"], part["must"], part["aim"], part["digits"])


def table(gates: Mapping[str, Any]) -> str:
    """All gates with their parts in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + " --- |" * len(HEAD)]
    for name, one in gates.items():
        lines.append(f"| **{name}**: {_title(one)} | | | | **{WORDS[one['holds']]}** | | |")
        for label, part in one["parts"].items():
            limits = limits_of(part)
            cells = [
                label, shown(part["value"], limits.digits), limits.text(limits.must),
                limits.text(limits.aim), "" if limits.must is None else WORDS[part["holds"]],
                str(part["images"] or ""), worst(part),
            ]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def worst(part: Mapping[str, Any]) -> str:
    found = part["worst"]
    if found is None:
        return ""
    name = found["image"].replace("|", r"\|")
    return f"{name}: {shown(found['value'], max(2, part['digits']))}"


def shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def summary(gates: Mapping[str, Any]) -> str:
    """How many gates pass, and which do not."""
    holds = [one["holds"] for one in gates.values()]
    fails = [name for name, one in gates.items() if one["holds"] is False]
    open_ones = [name for name, one in gates.items() if one["holds"] is None]
    text = f"{holds.count(True)} of {len(holds)} gates hold"
    text += f"; these do not: {', '.join(fails)}" if fails else ""
    return text + (f"; not decided: {', '.join(open_ones)}" if open_ones else "") + "."
