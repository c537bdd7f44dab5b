"""The colors of charts: told apart by everybody, seen on both grounds."""

import itertools
import math
import re

from app.api.ui.assets import _load

# Machado, Oliveira and Fernandes 2009, of full severity: what is left of red, green and blue.
_EYES = {
    "all three cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
_LEAST_DISTANCE, _LEAST_CONTRAST = 0.09, 3.0  # of OKLab, of WCAG
_GROUNDS = ("#ffffff", "#17171d")  # the surface of light and of dark
_COLOR = re.compile(r"--color-\w+: (#\w{6});")
Triple = tuple[float, ...]


def test_any_two_colors_of_a_chart_differ_for_every_eye_and_from_the_ground() -> None:
    sheet = _load()["spend.css"].content.decode()
    colors = _COLOR.findall(sheet)
    sets = colors[: len(colors) // 2], colors[len(colors) // 2 :]
    assert [len(one) for one in sets] == [8, 8]
    for ground, palette in zip(_GROUNDS, sets, strict=True):
        assert [color for color in palette if _contrast(color, ground) < _LEAST_CONTRAST] == []
        for eye, first, second in itertools.product(_EYES, palette, palette):
            assert first == second or math.dist(_seen(first, eye), _seen(second, eye)) > _LEAST_DISTANCE, (eye, first)


def _linear(color: str) -> Triple:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def _seen(color: str, eye: str) -> Triple:
    """In OKLab, by one who sees with these cones."""
    red, green, blue = (
        min(max(sum(weight * part for weight, part in zip(row, _linear(color), strict=True)), 0), 1)
        for row in _EYES[eye]
    )
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _contrast(color: str, ground: str) -> float:
    lights = [
        sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), _linear(one), strict=True)) for one in (color, ground)
    ]
    return (max(lights) + 0.05) / (min(lights) + 0.05)
