"""Draws the chart in mails: the values of a metric, the threshold, and when the alert began.

The PNG is twice the size it is shown at, so that it is sharp on phones. It takes some 10 KB.
"""

import datetime as dt
import io
from collections.abc import Callable

import numpy as np

from bongsu.alerts.fields import zone_of
from bongsu.arrays import Times, Values

WIDTH, HEIGHT = 1104, 400
LEFT, RIGHT, TOP, BOTTOM = 164, 20, 24, 60
GROUND, INK, GRID, LINE, LIMIT, SINCE = "#ffffff", "#475569", "#e2e8f0", "#2563eb", "#dc2626", "#f59e0b"
LEAST_POINTS = 2


def draw(
    times: Times,
    values: Values,
    *,
    threshold: float | None,
    since_ms: int | None,
    zone: str,
    format_value: Callable[[float], str],
) -> bytes | None:
    """The PNG; None if there are too few values to draw."""
    from PIL import Image, ImageDraw, ImageFont  # 4 MB, for those who get mails

    finite = np.isfinite(values)
    times, values = times[finite], values[finite]
    if len(times) < LEAST_POINTS or times[-1] == times[0]:
        return None
    low, high = float(values.min()), float(values.max())
    if threshold is not None and np.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    if high == low:
        low, high = low - max(abs(low) * 0.1, 0.5), high + max(abs(high) * 0.1, 0.5)
    margin = (high - low) * 0.08
    # No axis below zero for values that are never negative.
    bottom, top = (max(0.0, low - margin) if low >= 0 else low - margin), high + margin
    image = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(32)

    def x(time_ms: float) -> float:
        return LEFT + float(time_ms - times[0]) / float(times[-1] - times[0]) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + float(top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    for step in range(4):
        value = bottom + (top - bottom) * step / 3
        pen.line((LEFT, y(value), WIDTH - RIGHT, y(value)), fill=GRID, width=2)
        pen.text((LEFT - 10, y(value)), format_value(value), fill=INK, font=font, anchor="rm")
    for step in range(4):
        moment = times[0] + (times[-1] - times[0]) * step / 3
        text = dt.datetime.fromtimestamp(moment / 1000, zone_of(zone)).strftime("%H:%M")
        anchor = "lm" if step == 0 else "rm" if step == 3 else "mm"
        pen.text((x(moment), HEIGHT - BOTTOM / 2), text, fill=INK, font=font, anchor=anchor)
    if since_ms is not None and times[0] <= since_ms <= times[-1]:
        pen.line((x(since_ms), TOP, x(since_ms), HEIGHT - BOTTOM), fill=SINCE, width=3)
    if threshold is not None and np.isfinite(threshold):
        for start in range(LEFT, WIDTH - RIGHT, 20):
            pen.line((start, y(threshold), start + 10, y(threshold)), fill=LIMIT, width=3)
    # No line across a gap, which is more than five median steps.
    median_step = float(np.median(np.diff(times)))
    for part in np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) > 5 * median_step) + 1):
        points = [(x(times[index]), y(values[index])) for index in part]
        if len(points) > 1:
            pen.line(points, fill=LINE, width=4, joint="curve")
        else:
            pen.ellipse((points[0][0] - 3, points[0][1] - 3, points[0][0] + 3, points[0][1] + 3), fill=LINE)
    stream = io.BytesIO()
    image.quantize(64).save(stream, "PNG", optimize=True)
    return stream.getvalue()
