"""Pictures for the report, as SVG: no library, no network, nothing but text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from models.transform import Floats

COLOURS = ("#3b6fb6", "#d1683a", "#4f9d69", "#8a5fb0", "#c9a227", "#4aa3b8", "#b8475f", "#7a7a7a")
DOTS_MAX = 2_000
WIDTH, HEIGHT = 640, 300
LEFT, TOP = 48, 12


def colour_of(place: int) -> str:
    """Return a colour for the n-th segment; they repeat after eight."""
    return COLOURS[place % len(COLOURS)]


def scatter(scaled: Floats, segments: NDArray[np.int64], places: Mapping[int, int]) -> str:
    """Draw customers on the two directions in which they differ most, coloured by segment."""
    step = max(1, len(scaled) // DOTS_MAX)
    some, ids = scaled[::step], segments[::step]
    centred = some - some.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, -2:]
    flat = centred @ axes
    low, high = np.quantile(flat, 0.005, axis=0), np.quantile(flat, 0.995, axis=0)
    spread = np.where(high > low, high - low, 1.0)
    at = np.clip((flat - low) / spread, 0.0, 1.0)
    dots = "".join(
        f'<circle cx="{LEFT + x * (WIDTH - 2 * LEFT):.1f}" cy="{TOP + y * (HEIGHT - 2 * TOP):.1f}" r="2" '
        f'fill="{colour_of(places.get(segment, 0))}" fill-opacity=".6"/>'
        for (x, y), segment in zip(at.tolist(), ids.tolist(), strict=True)
    )
    return _svg(dots)


def lines(series: Mapping[str, Sequence[float]], at: Sequence[str], marks: Sequence[float] = ()) -> str:
    """Draw one line a series over the same moments; `marks` are dashed lines across."""
    values = [value for some in series.values() for value in some] + list(marks)
    if not values:
        return ""
    low, high = min(values), max(values)
    spread = (high - low) or 1.0

    def y_of(value: float) -> float:
        return TOP + (high - value) / spread * (HEIGHT - 3 * TOP - 12)

    def x_of(index: int) -> float:
        return LEFT + index / max(1, len(at) - 1) * (WIDTH - 2 * LEFT)

    parts = [
        f'<line x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{y_of(mark):.1f}" y2="{y_of(mark):.1f}" class="mark"/>'
        for mark in marks
    ]
    for place, (name, some) in enumerate(series.items()):
        points = " ".join(f"{x_of(index):.1f},{y_of(value):.1f}" for index, value in enumerate(some))
        colour = colour_of(place)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"><title>{escape(name)}</title>'
            f"</polyline>"
        )
        parts += [
            f'<circle cx="{x_of(index):.1f}" cy="{y_of(value):.1f}" r="3" fill="{colour}">'
            f"<title>{escape(name)}, {escape(at[index])}: {value:.3f}</title></circle>"
            for index, value in enumerate(some)
        ]
    parts += [f'<text x="2" y="{y_of(value) + 4:.1f}">{value:.3g}</text>' for value in (low, high)]
    parts += [
        f'<text x="{LEFT}" y="{HEIGHT - 4}">{escape(at[0])}</text>',
        f'<text x="{WIDTH - LEFT}" y="{HEIGHT - 4}" text-anchor="end">{escape(at[-1])}</text>',
    ]
    return _svg("".join(parts))


def _svg(content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{content}</svg>'
