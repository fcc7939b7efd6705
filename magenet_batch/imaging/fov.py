"""Find the field of view: the lit disc of a fundus photograph, often cut by the frame.

The picture is reduced to a small fixed size, the level of the dark border is measured at its
corners, the lit region is separated from it, and a circle is fitted to the part of its outline that
is not the picture's own frame. Dark sectors, burnt-in dates and notches do not disturb the fit,
because it is a consensus (RANSAC; Fischler and Bolles, CACM 1981) of short arcs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

_ANALYSIS_SIZE = 320  # longest side, pixels
_ANALYSED_RADIUS = 160  # largest radius of a field of view that is known, pixels
_TRIES = 400
_TOLERANCE = 0.012  # maximum distance of outline points from the circle, relative to the radius
_LEAST_CONSENSUS = 0.45  # minimum share of the free outline that must lie on the circle
_SHARES = (0.25, 0.12, 0.4, 0.06)  # thresholds that are tried, relative to the typical lit level
_LEAST_DARK = 0.75  # minimum share of the area outside the circle that must be border
_MOST_TEXTURE = 0.10  # maximum texture, relative to the mean level, of a picture without border


@dataclass(frozen=True)
class FieldOfView:
    """A disc in a picture, possibly cut by straight lines.

    Attributes:
        x: centre from the left, pixels.
        y: centre from the top, pixels.
        radius: radius, pixels.
        left: left end of the lit region, pixels: the frame, or a cut inside it.
        top: top end.
        right: right end.
        bottom: bottom end.
        width: width of the picture, pixels.
        height: height of the picture, pixels.
    """

    x: float
    y: float
    radius: float
    left: float
    top: float
    right: float
    bottom: float
    width: int
    height: int

    @property
    def coverage(self) -> float:
        """Share of the full disc that is in the picture, 0..1."""
        small = self.scaled(256 / max(self.width, self.height))
        lit = small.mask(small.height, small.width).sum()
        return float(min(1.0, lit / (np.pi * small.radius**2)))

    def scaled(self, factor: float) -> FieldOfView:
        """The same field of view in a picture resized by a factor."""
        return FieldOfView(
            x=self.x * factor,
            y=self.y * factor,
            radius=self.radius * factor,
            left=self.left * factor,
            top=self.top * factor,
            right=self.right * factor,
            bottom=self.bottom * factor,
            width=max(1, round(self.width * factor)),
            height=max(1, round(self.height * factor)),
        )

    def without_rim(self, share: float) -> FieldOfView:
        """The same field of view without a rim of this width in radii, where edge artefacts lie."""
        rim = share * self.radius
        return replace(
            self, radius=self.radius - rim, left=max(self.left, self.x - self.radius) + rim,
            top=max(self.top, self.y - self.radius) + rim,
            right=min(self.right, self.x + self.radius) - rim,
            bottom=min(self.bottom, self.y + self.radius) - rim,
        )  # fmt: skip

    def mask(self, height: int, width: int) -> np.ndarray:
        """The field of view as (height, width) bool, for the picture resized to that size."""
        sx, sy = width / self.width, height / self.height
        rows = (np.arange(height, dtype=np.float32) + 0.5) / sy
        columns = (np.arange(width, dtype=np.float32) + 0.5) / sx
        inside = (columns[None] - self.x) ** 2 + (rows[:, None] - self.y) ** 2 <= self.radius**2
        inside &= ((rows >= self.top) & (rows <= self.bottom))[:, None]
        inside &= (columns >= self.left) & (columns <= self.right)
        return inside

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of the lit region in the picture resized to that size."""
        sx, sy = width / self.width, height / self.height
        top = max(0, int((max(self.top, self.y - self.radius)) * sy))
        bottom = min(height, int(np.ceil(min(self.bottom, self.y + self.radius) * sy)))
        left = max(0, int((max(self.left, self.x - self.radius)) * sx))
        right = min(width, int(np.ceil(min(self.right, self.x + self.radius) * sx)))
        return top, bottom, left, right


def find_fov(pixels: np.ndarray) -> FieldOfView | None:
    """Find the field of view of a photograph.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.

    Returns:
        The field of view; None if there is none: a black or blank picture, or no disc.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < 16:
        return None
    factor = min(1.0, _ANALYSIS_SIZE / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    small = reduced_levels(pixels, size)
    light = cv2.GaussianBlur(brightest(small), (0, 0), 1.2)
    border, contrast = _border_level(light), float(np.percentile(light, 95))
    if contrast - border < 5:
        return None
    if _has_border(light, border, contrast):
        found = _from_outline(light, border)
    else:
        found = _whole_frame(small)
    return None if found is None else _at_size(found, small.shape[:2], height, width)


def brightest(pixels: np.ndarray) -> np.ndarray:
    """The brightest channel of each pixel, (H, W): many times as fast as `max(2)`."""
    red, green, blue = cv2.split(pixels)
    light: np.ndarray = cv2.max(cv2.max(red, green), blue)
    return light


def analysis_copy(pixels: np.ndarray, fov: FieldOfView) -> np.ndarray:
    """Reduce a picture so that its field of view has a radius of at most 160 pixels.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        fov: its field of view.

    Returns:
        (h, w, 3) float32 levels 0..255, at least 8 pixels wide and high.
    """
    scale = analysis_scale(fov)
    height, width = (max(8, round(side * scale)) for side in pixels.shape[:2])
    return reduced_levels(pixels, (width, height))


def analysis_scale(fov: FieldOfView) -> float:
    """Scale of the analysis copy of a picture, at most 1."""
    return min(1.0, _ANALYSED_RADIUS / fov.radius)


def reduced_levels(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Reduce a picture to (width, height), as float32 levels 0..255, from some of its pixels."""
    step = max(1, min(pixels.shape[0] // size[1], pixels.shape[1] // size[0]) // 3)
    small = cv2.resize(pixels[::step, ::step], size, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / (257.0 if pixels.dtype == np.uint16 else 1.0)


def _corners(light: np.ndarray) -> list[np.ndarray]:
    """Levels in the four corner triangles, a sixteenth of the shorter side each."""
    side = max(3, min(light.shape) // 16)
    triangle = np.add.outer(np.arange(side), np.arange(side)) < side
    flips = (light, light[:, ::-1], light[::-1], light[::-1, ::-1])
    return [view[:side, :side][triangle] for view in flips]


def _border_level(light: np.ndarray) -> float:
    """Level of the unlit border: the median of the two darkest corners."""
    darkest = sorted(float(np.median(corner)) for corner in _corners(light))
    return float(np.mean(darkest[:2]))


def _has_border(light: np.ndarray, border: float, bright: float) -> bool:
    """Whether at least two corners are dark compared with the picture."""
    dark = border + 0.35 * (bright - border)
    levels = [float(np.median(corner)) for corner in _corners(light)]
    centre = float(np.median(light[light.shape[0] // 4 : -light.shape[0] // 4]))
    return sum(level < dark for level in levels) >= 2 and border < 0.6 * max(centre, bright / 2)


def _from_outline(light: np.ndarray, border: float) -> FieldOfView | None:
    """Fit a circle to the outline of the lit region, with the best of several thresholds."""
    best: tuple[float, FieldOfView] | None = None
    lit = light[light > border + 3]
    if lit.size < 0.02 * light.size:
        return None
    typical = float(np.median(lit)) - border
    for share in _SHARES:
        region = _largest_region(light > border + max(2.5, share * typical))
        fitted = None if region is None else _fit(region)
        if fitted is None or not _dark_around(light, border, typical, fitted[1]):
            continue
        if best is None or fitted[0] > best[0] + 0.02:
            best = fitted
        if best[0] > 0.9:
            break
    return best[1] if best is not None and best[0] >= _LEAST_CONSENSUS else None


def _dark_around(light: np.ndarray, border: float, typical: float, fov: FieldOfView) -> bool:
    """Whether the area outside the circle is border, unlike in a photograph of another scene."""
    wider = replace(
        fov,
        radius=1.06 * fov.radius,
        left=fov.left - 3,
        top=fov.top - 3,
        right=fov.right + 3,
        bottom=fov.bottom + 3,
    )
    outside = light[~wider.mask(*light.shape)]
    if outside.size < 12:  # the corners are hardly cut
        return True
    return float((outside < border + max(8.0, 0.4 * typical)).mean()) >= _LEAST_DARK


def _largest_region(lit: np.ndarray) -> np.ndarray | None:
    """Largest connected region, without thin parts (text, notches) and holes."""
    side = max(3, min(lit.shape) // 40) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(
        lit.astype(np.uint8), cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE
    )
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[largest, cv2.CC_STAT_AREA] < 0.03 * lit.size:
        return None
    contours, _ = cv2.findContours(
        (labels == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    filled = np.zeros(lit.shape, np.uint8)
    return cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)


def _fit(region: np.ndarray) -> tuple[float, FieldOfView] | None:
    """Circle that contains most of the free outline, and the share that it contains."""
    height, width = region.shape
    contours, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(contours, key=len))
    drawn = cv2.polylines(np.zeros_like(region), [hull], True, 1)
    y, x = np.nonzero(drawn)
    top, bottom, left, right = y.min(), y.max() + 1, x.min(), x.max() + 1
    # Points on the frame, or along a straight cut inside it, do not belong to an arc.
    free = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    for values, edge in ((y, top), (y, bottom - 1), (x, left), (x, right - 1)):
        on_cut = np.abs(values - edge) <= 1
        if on_cut.sum() > 0.25 * min(height, width):
            free &= ~on_cut
    points = np.column_stack([x, y])[free].astype(np.float64) + 0.5
    if len(points) < 12:
        return None
    circle = _consensus(points, height, width)
    if circle is None:
        return None
    share, cx, cy, radius = circle
    fov = FieldOfView(
        cx, cy, radius, float(left), float(top), float(right), float(bottom), width, height
    )
    overlap = fov.mask(height, width) & (region > 0)
    covered = overlap.sum() / max(1, fov.mask(height, width).sum())
    return share * float(min(1.0, covered / 0.5)), fov


def _consensus(
    points: np.ndarray, height: int, width: int
) -> tuple[float, float, float, float] | None:
    """RANSAC over triples of outline points, then least squares on the inliers."""
    rng = np.random.default_rng(0)
    triples = points[rng.integers(len(points), size=(_TRIES, 3))]
    centres, radii = _circles_through(triples)
    longest = np.hypot(height, width)
    possible = (
        (radii > 0.2 * min(height, width))
        & (radii < 0.9 * longest)
        & (np.abs(centres - (width / 2, height / 2)) < (0.5 * width, 0.5 * height)).all(1)
    )
    if not possible.any():
        return None
    centres, radii = centres[possible], radii[possible]
    distance = np.abs(np.linalg.norm(points[None] - centres[:, None], axis=2) - radii[:, None])
    agree = distance < np.maximum(_TOLERANCE * radii, 1.0)[:, None]
    best = int(np.argmax(agree.sum(1)))
    inliers = points[agree[best]]
    cx, cy, radius = _least_squares(inliers)
    if not (0.2 * min(height, width) < radius < 0.9 * longest):
        (cx, cy), radius = centres[best], radii[best]
    return float(agree[best].mean()), float(cx), float(cy), float(radius)


def _circles_through(triples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Circumcircles of triples (N, 3, 2): centres (N, 2) and radii (N,); infinite if collinear."""
    a, b, c = triples[:, 0], triples[:, 1], triples[:, 2]
    ab, ac = b - a, c - a
    cross = 2 * (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        ab2, ac2 = (ab**2).sum(1), (ac**2).sum(1)
        ux = (ac[:, 1] * ab2 - ab[:, 1] * ac2) / cross
        uy = (ab[:, 0] * ac2 - ac[:, 0] * ab2) / cross
    offset = np.column_stack([ux, uy])
    radii = np.nan_to_num(np.linalg.norm(offset, axis=1), nan=np.inf)
    return np.nan_to_num(a + offset, nan=np.inf), radii


def _least_squares(points: np.ndarray) -> tuple[float, float, float]:
    """Algebraic circle fit (Kasa 1976)."""
    system = np.column_stack([points, np.ones(len(points))])
    (a, b, c), *_ = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)
    return a / 2, b / 2, float(np.sqrt(max(c + a * a / 4 + b * b / 4, 0.0)))


def _whole_frame(small: np.ndarray) -> FieldOfView | None:
    """Field of view of a picture cropped inside its disc, if its colours are those of a fundus."""
    height, width = small.shape[:2]
    red, green, blue = (float(v) for v in np.median(small.reshape(-1, 3), axis=0))
    varied = float(small[..., 1].std()) > 2
    if not (varied and red >= green >= 0.7 * blue and red > 1.15 * blue):
        return None
    reddish = float(
        ((small[..., 0] >= 0.9 * small[..., 1]) & (small[..., 0] > small[..., 2])).mean()
    )
    light = small.max(2)
    fine = light - cv2.GaussianBlur(light, (0, 0), max(height, width) / 40)
    texture = float(fine.std() / max(float(light.mean()), 1.0))
    if reddish < 0.9 or texture > _MOST_TEXTURE:
        return None
    radius = float(np.hypot(height, width) / 2)
    return FieldOfView(
        width / 2, height / 2, radius, 0.0, 0.0, float(width), float(height), width, height
    )


def _at_size(fov: FieldOfView, small: tuple[int, int], height: int, width: int) -> FieldOfView:
    """Scale from the analysis size to the picture's; what touches the frame ends at the frame."""
    sx, sy = width / small[1], height / small[0]
    scale = float(np.sqrt(sx * sy))

    def edge(value: float, end: float, factor: float, full: int) -> float:
        return float(full) if value >= end - 1 else (0.0 if value <= 1 else value * factor)

    return FieldOfView(
        fov.x * sx, fov.y * sy, (fov.radius - 0.5) * scale,
        edge(fov.left, small[1], sx, width), edge(fov.top, small[0], sy, height),
        edge(fov.right, small[1], sx, width), edge(fov.bottom, small[0], sy, height),
        width, height,
    )  # fmt: skip
