"""Things that people are asked to photograph, drawn with Pillow; each differs with its random source."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
Pen = ImageDraw.ImageDraw


class Scene(NamedTuple):
    """A drawing, and the places in it that instructions may name."""

    picture: Image.Image
    places: Mapping[str, Point]


Drawing = Callable[[random.Random], Scene]

SIZE = (1720, 1290)
_PAINTS: Sequence[Colour] = (
    (176, 38, 38),
    (38, 82, 150),
    (206, 208, 212),
    (52, 58, 64),
    (34, 104, 84),
    (226, 168, 46),
    (122, 92, 150),
)


def choose(texts: Sequence[str], source: random.Random) -> Drawing:
    """Choose the scene that the first of the texts to name one asks for, else any."""
    for text in texts:
        words = {word.strip(".,:;!?()") for word in text.lower().replace("-", " ").split()}
        for drawing, hints in _HINTS:
            if words & hints:
                return drawing
    return source.choice([car, parcel, meter, wall])


def car(source: random.Random) -> Scene:
    """Draw a car at the kerb, with a dent."""
    scene = _street(source)
    left, top, width = source.randint(170, 240), source.randint(480, 520), source.randint(1240, 1300)
    _shadow(scene, (left + 20, top + 505, left + width - 20, top + 600), 0.75)
    paint = source.choice(_PAINTS)

    def at(points: Sequence[Point]) -> list[Point]:
        return [(left + x * width, top + y * 640) for x, y in points]

    outline = [
        (0.0, 0.72),
        (0.015, 0.5),
        (0.12, 0.41),
        (0.27, 0.36),
        (0.36, 0.12),
        (0.47, 0.03),
        (0.66, 0.03),
    ]
    outline += [
        (0.78, 0.13),
        (0.87, 0.33),
        (0.975, 0.42),
        (1.0, 0.58),
        (0.992, 0.76),
        (0.9, 0.83),
        (0.1, 0.83),
    ]
    _fill(scene, at(_smooth(outline)), _lighter(paint, 0.35), _darker(paint, 0.45))
    glass = [(0.325, 0.345), (0.385, 0.15), (0.475, 0.075), (0.65, 0.075), (0.745, 0.155), (0.815, 0.34)]
    _fill(scene, at(glass), (196, 220, 232), (58, 72, 84))
    draw = ImageDraw.Draw(scene)
    seam = _darker(paint, 0.55)
    draw.line(at([(0.552, 0.065), (0.56, 0.345)]), _darker(paint, 0.3), 22)
    for points in (
        [(0.34, 0.36), (0.345, 0.66), (0.36, 0.79)],
        [(0.56, 0.36), (0.57, 0.8)],
        [(0.8, 0.37), (0.775, 0.55), (0.73, 0.62)],
    ):
        draw.line(at(points), seam, 4, joint="curve")
    draw.line(at([(0.03, 0.52), (0.4, 0.45), (0.95, 0.47)]), _lighter(paint, 0.5), 3)
    draw.line(at([(0.1, 0.8), (0.9, 0.8)]), (30, 30, 32), 16)
    for x in (0.47, 0.68):
        draw.line(at([(x, 0.43), (x + 0.05, 0.43)]), seam, 11)
    _lamp(scene, (left + 0.01 * width, top + 305, left + 0.075 * width, top + 352), (255, 246, 214))
    _lamp(scene, (left + 0.945 * width, top + 285, left + 0.992 * width, top + 340), (206, 40, 34))
    for x in (0.2, 0.79):
        _wheel(scene, left + x * width, top + 520, 0.083 * width)
    dent = (left + source.uniform(0.4, 0.68) * width, top + source.uniform(0.52, 0.66) * 640)
    _dent(scene, source, *dent)
    front, rear = (left + 0.17 * width, top + 330.0), (left + 0.85 * width, top + 320.0)
    places = {"front": front, "rear": rear, "back": rear, "dent": dent, "damage": dent, "scratch": dent}
    places |= {"wheel": (front[0], top + 480.0), "tyre": (front[0], top + 480.0), "door": dent}
    return Scene(scene, places)


def parcel(source: random.Random) -> Scene:
    """Draw a parcel on the mat in front of a door."""
    width, height = SIZE
    scene = _bricks(source)
    floor = int(height * 0.68)
    _panel(scene, (0, floor, width, height), (150, 142, 132), (96, 90, 84))
    paint = source.choice([(46, 74, 62), (110, 40, 36), (40, 56, 88), (88, 66, 48), (216, 212, 202)])
    x = source.randint(420, 640)
    _panel(scene, (x - 34, 70, x + 624, floor + 6), (226, 222, 214), (196, 192, 184))
    _panel(scene, (x, 104, x + 590, floor), _lighter(paint, 0.18), _darker(paint, 0.2))
    draw = ImageDraw.Draw(scene)
    for box in ((70, 150, 260, 440), (330, 150, 520, 440), (70, 500, 260, 800), (330, 500, 520, 800)):
        spot = (x + box[0], box[1], x + box[2], box[3])
        _panel(scene, spot, _darker(paint, 0.22), _lighter(paint, 0.1))
        draw.rectangle(spot, outline=_darker(paint, 0.45), width=4)
    _lamp(scene, (x + 535, 520, x + 573, 558), (226, 196, 120))
    draw.text((x + 276, 116), str(source.randint(2, 148)), (232, 204, 130), ImageFont.load_default(44))
    mat = [(x - 120, height - 50), (x - 10, floor + 60), (x + 640, floor + 60), (x + 760, height - 50)]
    _fill(scene, mat, (92, 76, 60), (66, 54, 44))
    where = x + source.randint(40, 150)
    _box(scene, source, where, floor + 190)
    near = (where + 200.0, floor + 40.0)
    return Scene(scene, {"label": near, "parcel": near, "package": near, "number": (x + 290.0, 160.0)})


def meter(source: random.Random, unit: str = "m\N{SUPERSCRIPT THREE}") -> Scene:
    """Draw a utility meter on a cellar wall, with its reading."""
    scene = _plaster(source, (186, 180, 168))
    cx, cy, radius = SIZE[0] // 2 + source.randint(-90, 90), 590, 390
    for side in (-1, 1):
        _panel(
            scene,
            (cx + side * 560 - 330, cy + 150, cx + side * 560 + 330, cy + 250),
            (206, 158, 98),
            (116, 78, 42),
        )
        _panel(
            scene,
            (cx + side * 360 - 26, cy + 130, cx + side * 360 + 26, cy + 270),
            (150, 108, 62),
            (90, 60, 34),
        )
    _shadow(scene, (cx - radius - 30, cy + 260, cx + radius + 30, cy + radius + 90), 0.6)
    _disc(scene, (cx, cy), radius + 44, (212, 216, 220), (84, 90, 98))
    _disc(scene, (cx, cy), radius + 8, (96, 102, 110), (198, 202, 206))
    _disc(scene, (cx, cy), radius, (252, 251, 244), (226, 224, 212))
    draw = ImageDraw.Draw(scene)
    for step in range(100):
        angle = math.radians(step * 3.6)
        inner = radius - (44 if step % 10 == 0 else 24)
        a = (cx + inner * math.sin(angle), cy - inner * math.cos(angle))
        b = (cx + (radius - 10) * math.sin(angle), cy - (radius - 10) * math.cos(angle))
        draw.line((*a, *b), (70, 74, 80), 5 if step % 10 == 0 else 2)
    reading = f"{source.randint(1200, 99_999):05d}{source.randint(0, 999):03d}"
    _counter(scene, reading, cx, cy - 90)
    draw.text((cx, cy + 45), unit, (60, 64, 70), ImageFont.load_default(58), anchor="mm")
    serial = f"No. {source.randint(10_000_000, 99_999_999)}"
    draw.text((cx, cy + 120), serial, (90, 94, 100), ImageFont.load_default(32), anchor="mm")
    _needle(scene, cx, cy + 235, 84, source.random() * math.tau)
    glare = (cx - 330, cy - 370, cx + 90, cy - 120)
    _paint(scene, glare, lambda pen, spot: pen.ellipse(spot, fill=70), _WHITE, blur=50)
    reading_place = (float(cx), cy - 90.0)
    return Scene(
        scene, {"reading": reading_place, "digits": reading_place, "serial": (float(cx), cy + 100.0)}
    )


def wall(source: random.Random) -> Scene:
    """Draw the corner of a room with a damp patch and a crack."""
    width, height = SIZE
    tone = source.choice([(222, 214, 196), (202, 214, 212), (226, 208, 196), (214, 214, 222)])
    scene = _plaster(source, tone)
    corner = source.randint(430, 700)
    shade = Image.new("L", SIZE, 0)
    ImageDraw.Draw(shade).polygon([(0, 0), (corner, 0), (corner, 1010), (0, 1190)], fill=56)
    scene.paste((40, 40, 48), mask=shade)
    floor = [(0, 1190), (corner, 1010), (width, 1070), (width, height), (0, height)]
    _fill(scene, floor, (158, 118, 78), (112, 78, 48))
    draw = ImageDraw.Draw(scene)
    for step in range(9):
        draw.line((corner + 40 - step * 110, 1010 + step * 4, corner - step * 260, height), (96, 66, 40), 3)
        draw.line(
            (corner + 40 + step * 150, 1013 + step * 5, corner + 20 + step * 330, height), (96, 66, 40), 3
        )
    for points in ([(0, 1160), (corner, 984), (width, 1042)], [(0, 1190), (corner, 1010), (width, 1070)]):
        draw.line(points, (246, 244, 238), 26)
    stain = Image.new("L", SIZE, 0)
    blot = ImageDraw.Draw(stain)
    x, y = source.randint(corner + 150, 1250), source.randint(180, 420)
    for _ in range(46):
        dx, dy, r = source.gauss(0, 150), abs(source.gauss(0, 110)), source.randint(30, 95)
        blot.ellipse((x + dx - r, y + dy - r, x + dx + r, y + dy + r), fill=source.randint(40, 105))
    soft = stain.filter(ImageFilter.BoxBlur(13))
    scene.paste((124, 98, 62), mask=soft)
    rim = ImageChops.subtract(soft, soft.filter(ImageFilter.BoxBlur(11)), scale=0.4)
    scene.paste((92, 68, 38), mask=rim)
    _crack(scene, source, (x - 120, 0.0), 26)
    _lamp(scene, (width - 300, 700, width - 180, 820), (246, 246, 242))
    for hole in (-22, 22):
        draw.ellipse((width - 240 + hole - 7, 753, width - 240 + hole + 7, 767), fill=(60, 60, 62))
    patch = (float(x), y + 80.0)
    return Scene(scene, {"damp": patch, "stain": patch, "crack": patch, "damage": patch, "leak": patch})


_WHITE: Colour = (255, 255, 255)
_HINTS: Sequence[tuple[Drawing, frozenset[str]]] = tuple(
    (drawing, frozenset(hints.split()))
    for drawing, hints in (
        (
            car,
            "car cars dent dents vehicle van plate wheel wheels tyre tire bumper windscreen odometer scratch paint",
        ),
        (partial(meter, unit="kWh"), "electric electricity kwh"),
        (meter, "meter meters reading readings gas dial"),
        (parcel, "parcel parcels package packages delivery door doorstep box label shipment"),
        (wall, "wall walls room damp leak crack ceiling roof house water floor mould stain kitchen window"),
        (car, "damage front rear side back left right"),
    )
)


def _street(source: random.Random) -> Image.Image:
    width, height = SIZE
    sky = source.choice([((118, 168, 216), (222, 234, 240)), ((168, 176, 186), (226, 228, 230))])
    scene = _gradient(SIZE, *sky)
    draw = ImageDraw.Draw(scene)
    x = -source.randint(0, 200)
    while x < width:
        wide, roof = source.randint(240, 420), source.randint(150, 360)
        tone = source.choice(
            [(196, 178, 156), (170, 150, 138), (206, 200, 188), (150, 158, 164), (184, 140, 118)]
        )
        _panel(scene, (x, roof, x + wide, 800), _lighter(tone, 0.15), _darker(tone, 0.15))
        for wx in range(x + 40, x + wide - 70, 100):
            for wy in range(roof + 50, 700, 130):
                draw.rectangle(
                    (wx, wy, wx + 50, wy + 76), fill=(88, 102, 116), outline=(232, 230, 224), width=5
                )
        x += wide
    # Out of focus, like what stands behind the subject.
    backdrop = scene.reduce(5).resize(SIZE, Image.Resampling.BILINEAR)
    _panel(backdrop, (0, 790, width, 905), (188, 184, 178), (160, 156, 150))
    _panel(backdrop, (0, 905, width, 930), (120, 118, 114), (96, 94, 92))
    _panel(backdrop, (0, 930, width, height), (92, 94, 98), (62, 63, 66))
    return backdrop


def _bricks(source: random.Random) -> Image.Image:
    width, height = SIZE
    scene = Image.new("RGB", SIZE, (176, 166, 154))
    draw = ImageDraw.Draw(scene)
    base = source.choice([(158, 84, 64), (174, 112, 84), (132, 118, 106), (196, 184, 164)])
    for row, y in enumerate(range(0, height, 58)):
        for x in range(-70 * (row % 2), width, 140):
            change = source.uniform(-0.14, 0.14)
            tone = _lighter(base, change) if change > 0 else _darker(base, -change)
            draw.rectangle((x + 3, y + 3, x + 136, y + 54), fill=tone)
    return scene


def _plaster(source: random.Random, tone: Colour) -> Image.Image:
    small = Image.effect_noise((86, 64), 60).resize(SIZE, Image.Resampling.BICUBIC)
    scene = _gradient(SIZE, _lighter(tone, 0.12), _darker(tone, 0.18 + source.random() * 0.1))
    mottled = Image.merge("RGB", [small] * 3)
    return Image.blend(scene, mottled, 0.09)


def _box(scene: Image.Image, source: random.Random, x: int, base: int) -> None:
    wide, tall, deep = source.randint(300, 390), source.randint(190, 270), source.randint(110, 150)
    tone = source.choice([(190, 146, 98), (176, 130, 84), (202, 162, 116)])
    lift = deep * 0.55
    _shadow(scene, (x - 30, base - 46, x + wide + deep + 60, base + 44), 0.7)
    front = [(x, base - tall), (x + wide, base - tall), (x + wide, base), (x, base)]
    top = [(x, base - tall), (x + deep, base - tall - lift), (x + wide + deep, base - tall - lift)]
    top.append((x + wide, base - tall))
    side = [(x + wide, base - tall), (x + wide + deep, base - tall - lift), (x + wide + deep, base - lift)]
    side.append((x + wide, base))
    _fill(scene, front, tone, _darker(tone, 0.12))
    _fill(scene, top, _lighter(tone, 0.3), _lighter(tone, 0.12))
    _fill(scene, side, _darker(tone, 0.25), _darker(tone, 0.4))
    draw = ImageDraw.Draw(scene)
    middle = x + wide / 2
    tape = [(middle - 24, base - tall), (middle - 24 + deep, base - tall - lift)]
    tape += [(middle + 24 + deep, base - tall - lift), (middle + 24, base - tall)]
    draw.polygon(tape, fill=_lighter(tone, 0.45))
    draw.rectangle((middle - 24, base - tall, middle + 24, base - tall + 52), fill=_lighter(tone, 0.4))
    label = (x + wide * 0.52, base - tall * 0.62, x + wide * 0.93, base - tall * 0.14)
    draw.rectangle(label, fill=(248, 248, 244))
    bar = label[0] + 12
    while bar < label[2] - 14:
        thick = source.choice([2, 3, 5])
        draw.rectangle((bar, label[1] + 12, bar + thick, label[1] + 52), fill=(24, 24, 24))
        bar += thick + source.choice([3, 4, 6])
    for row in range(2):
        y = label[1] + 68 + row * 16
        draw.line((label[0] + 12, y, label[2] - 30 - row * 24, y), (120, 120, 120), 5)


def _counter(scene: Image.Image, reading: str, cx: int, cy: int) -> None:
    draw = ImageDraw.Draw(scene)
    font, wide, tall = ImageFont.load_default(72), 66, 100
    x = cx - len(reading) * wide // 2
    draw.rectangle(
        (x - 12, cy - tall // 2 - 12, x + len(reading) * wide + 12, cy + tall // 2 + 12), fill=(40, 42, 46)
    )
    for place, digit in enumerate(reading):
        whole = place < 5
        back = ((52, 54, 58), (16, 17, 19)) if whole else ((196, 56, 48), (122, 24, 20))
        spot = (x + place * wide + 3, cy - tall // 2, x + (place + 1) * wide - 3, cy + tall // 2)
        _panel(scene, spot, *back)
        draw.text((x + place * wide + wide // 2, cy), digit, (248, 248, 244), font, anchor="mm")


def _needle(scene: Image.Image, cx: int, cy: int, radius: int, angle: float) -> None:
    draw = ImageDraw.Draw(scene)
    draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), outline=(120, 124, 130), width=3)
    for step in range(10):
        turn = step * math.tau / 10
        a, b = radius - 14, radius - 3
        start = (cx + a * math.sin(turn), cy - a * math.cos(turn))
        draw.line((*start, cx + b * math.sin(turn), cy - b * math.cos(turn)), (90, 94, 100), 3)
    tip = (cx + (radius - 18) * math.sin(angle), cy - (radius - 18) * math.cos(angle))
    sides = [
        (cx + 9 * math.cos(angle), cy + 9 * math.sin(angle)),
        (cx - 9 * math.cos(angle), cy - 9 * math.sin(angle)),
    ]
    draw.polygon([tip, *sides], fill=(204, 40, 34))
    draw.ellipse((cx - 11, cy - 11, cx + 11, cy + 11), fill=(60, 62, 66))


def _wheel(scene: Image.Image, cx: float, cy: float, radius: float) -> None:
    _disc(scene, (cx, cy), radius * 1.13, (16, 16, 18), (26, 26, 28))
    _disc(scene, (cx, cy), radius, (50, 50, 54), (22, 22, 24))
    _disc(scene, (cx, cy), radius * 0.66, (228, 230, 234), (132, 136, 142))
    draw = ImageDraw.Draw(scene)
    for step in range(5):
        angle = step * math.tau / 5 + 0.3
        spread = [(0.16, -0.32), (0.56, -0.3), (0.56, 0.3), (0.16, 0.32)]
        gap = [
            (cx + r * radius * math.cos(angle + w), cy + r * radius * math.sin(angle + w)) for r, w in spread
        ]
        draw.polygon(gap, fill=(54, 56, 60))
    _disc(scene, (cx, cy), radius * 0.14, (240, 240, 244), (150, 152, 158))


def _dent(scene: Image.Image, source: random.Random, cx: float, cy: float) -> None:
    rx, ry = source.randint(55, 95), source.randint(36, 62)
    for shift, colour, strength in ((-9, (10, 10, 12), 150), (12, _WHITE, 90)):
        box = (cx - rx, cy - ry + shift, cx + rx, cy + ry + shift)
        _paint(scene, box, _oval(strength), colour, blur=20)
    draw = ImageDraw.Draw(scene)
    for _ in range(source.randint(4, 8)):
        x, y = cx + source.uniform(-rx, rx), cy + source.uniform(-ry, ry) * 0.7
        end = (x + source.uniform(30, 120), y + source.uniform(-16, 16))
        draw.line(
            (x, y, *end),
            source.choice([(220, 220, 222), (60, 60, 62), (176, 172, 168)]),
            source.randint(1, 3),
        )


def _crack(scene: Image.Image, source: random.Random, start: Point, steps: int) -> None:
    draw = ImageDraw.Draw(scene)
    x, y = start
    for step in range(steps):
        end = (x + source.uniform(-26, 30), y + source.uniform(10, 34))
        draw.line((x, y, *end), (74, 64, 54), max(1, 5 - step // 6))
        if source.random() < 0.25:
            draw.line(
                (*end, end[0] + source.uniform(-50, 50), end[1] + source.uniform(5, 40)), (96, 84, 72), 1
            )
        x, y = end


def _lamp(scene: Image.Image, box: Box, colour: Colour) -> None:
    radius = (box[3] - box[1]) / 2.2
    _paint(
        scene,
        box,
        lambda pen, spot: pen.rounded_rectangle(spot, radius=radius, fill=255),
        _lighter(colour, 0.4),
        _darker(colour, 0.3),
    )


def _disc(scene: Image.Image, centre: Point, radius: float, top: Colour, bottom: Colour) -> None:
    cx, cy = centre
    _paint(scene, (cx - radius, cy - radius, cx + radius, cy + radius), _oval(255), top, bottom)


def _shadow(scene: Image.Image, box: Box, strength: float) -> None:
    _paint(scene, box, _oval(int(255 * strength)), (12, 12, 14), blur=18)


def _fill(scene: Image.Image, points: Sequence[Point], top: Colour, bottom: Colour) -> None:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    box = (min(xs), min(ys), max(xs), max(ys))

    def shape(pen: Pen, spot: Box) -> None:
        pen.polygon([(x - box[0] + spot[0], y - box[1] + spot[1]) for x, y in points], fill=255)

    _paint(scene, box, shape, top, bottom)


def _oval(strength: int) -> Callable[[Pen, Box], None]:
    return lambda pen, spot: pen.ellipse(spot, fill=strength)


def _paint(
    scene: Image.Image,
    box: Box,
    shape: Callable[[Pen, Box], object],
    top: Colour,
    bottom: Colour | None = None,
    *,
    blur: int = 0,
) -> None:
    """Paint a shape with a gradient, working on its own part of the scene only."""
    margin = 3 * blur + 2
    left, upper = int(box[0]) - margin, int(box[1]) - margin
    size = (int(box[2]) + margin - left, int(box[3]) + margin - upper)
    mask = Image.new("L", size, 0)
    shape(ImageDraw.Draw(mask), (box[0] - left, box[1] - upper, box[2] - left, box[3] - upper))
    if blur:
        mask = mask.filter(ImageFilter.GaussianBlur(blur))
    colours = (
        _gradient(size, top, bottom, margin, size[1] - margin) if bottom else Image.new("RGB", size, top)
    )
    scene.paste(colours, (left, upper), mask)


def _panel(scene: Image.Image, box: tuple[int, int, int, int], top: Colour, bottom: Colour) -> None:
    left, upper, right, lower = box
    scene.paste(_gradient((right - left, lower - upper), top, bottom), (left, upper))


def _gradient(
    size: tuple[int, int], top: Colour, bottom: Colour, start: float = 0.0, end: float | None = None
) -> Image.Image:
    """Draw a vertical gradient between two heights, flat outside them."""
    height = size[1]
    end = height if end is None else end
    column = Image.new("RGB", (1, height))
    span = max(1.0, end - start)
    shares = [min(1.0, max(0.0, (y - start) / span)) for y in range(height)]
    column.putdata([_mix(top, bottom, share) for share in shares])
    return column.resize(size, Image.Resampling.NEAREST)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    a, b, c = (round(x + (y - x) * share) for x, y in zip(one, other, strict=True))
    return a, b, c


def _lighter(colour: Colour, share: float) -> Colour:
    return _mix(colour, (255, 255, 255), share)


def _darker(colour: Colour, share: float) -> Colour:
    return _mix(colour, (0, 0, 0), share)


def _smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """Return a closed Catmull-Rom curve through the points."""
    count, curve = len(points), []
    for i in range(count):
        p0, p1, p2, p3 = (points[(i + k - 1) % count] for k in range(4))
        for step in range(steps):
            t = step / steps
            curve.append(tuple(_catmull(a, b, c, d, t) for a, b, c, d in zip(p0, p1, p2, p3, strict=True)))
    return [(x, y) for x, y in curve]


def _catmull(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
