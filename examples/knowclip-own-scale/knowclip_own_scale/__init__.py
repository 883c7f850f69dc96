# What recipes and commands need of the package: no torch here.
from pydantic import PositiveFloat

from knowclip.data.formats.rows import Format, Row
from knowclip.recipe.methods.negclip import NegClipConfig


class OwnScaleConfig(NegClipConfig):
    name: str
    implementation = "knowclip_own_scale.method:OwnScale"
    own_scale: PositiveFloat = 20.0


def rows(path, content, options):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        image, star, caption = line.partition(" * ")
        yield Row(f"line {number}", image, caption, fault="" if star else "line without ' * '")


STARRED = Format("starred", "`.star`", {"a.star": "a.jpg * A dog.\n"}, rows, endings=(".star",))
